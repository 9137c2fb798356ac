import { memoryStore, type TaskContext } from 'outlive'
import { afterEach, expect, test, vi } from 'vitest'
import { recordingStore } from '../support/recording-store.ts'
import { isLateStore, setup, watch } from '../support/setup.ts'

// What a call does not use, it does not pay for: told by counts, which are the same on every machine.

const CALLS = 100

afterEach(() => {
  vi.unstubAllGlobals()
})

test('a quick inline call has its actor hear of its start and its end, and of nothing else', async () => {
  const heard: string[] = []
  const { ann } = setup({
    inspect: (event) => {
      if (event.type === '@xstate.event') heard.push(event.event.type)
    },
  })
  heard.length = 0
  await ann.run((n: number) => n + 1, 1)
  expect(heard).toEqual([
    'supervisor.spawn',
    'xstate.init',
    'work.started',
    'work.completed',
    'xstate.done.actor.task-1',
  ])
})

test('a signal that nobody reads is not made', async () => {
  let made = 0
  const Real = AbortController
  vi.stubGlobal(
    'AbortController',
    class extends Real {
      constructor() {
        super()
        made += 1
      }
    },
  )
  const { ann } = setup()
  for (let n = 0; n < CALLS; n += 1) await ann.run(() => n)
  expect(made).toBe(0)
  const work = (_: undefined, ctx: TaskContext): boolean => ctx.signal === ctx.signal
  await ann.run(work)
  expect(made).toBe(1)
})

test('calls with the same durations share their timers', async () => {
  const { ann, clock, settle } = setup()
  const startTimer = vi.spyOn(clock, 'startTimer')
  await Promise.all(Array.from({ length: CALLS }, () => ann.run(() => settle())))
  // One for the inline time and one for the hard deadline.
  expect(startTimer).toHaveBeenCalledTimes(2)
})

test('an inline call writes nothing, and a background task with nothing to say three commits, or two while those take time', async () => {
  const store = recordingStore(memoryStore())
  const { ann, settle } = setup({ store })
  for (let n = 0; n < CALLS; n += 1) await ann.run(() => n)
  await settle()
  expect(store.written()).toEqual([])
  await (await ann.spawn(async () => 1)).wait()
  await settle()
  const quick = isLateStore ? [['task.started', 'task.completed']] : [['task.started'], ['task.completed']]
  expect(store.written()).toEqual([['task.queued'], ...quick])
  await (await ann.spawn(() => settle())).wait()
  await settle()
  expect(store.written().slice(1 + quick.length)).toEqual([['task.queued'], ['task.started'], ['task.completed']])
})

test('a call that is tried once has its input copied once', async () => {
  const copy = vi.fn<typeof structuredClone>(structuredClone)
  vi.stubGlobal('structuredClone', copy)
  const { ann, advance } = setup()
  await ann.run((input: { n: number }) => input.n, { n: 1 }, { attemptTimeoutMs: 1_000 })
  await ann.run((input: { n: number }) => input.n, { n: 1 })
  expect(copy).toHaveBeenCalledTimes(2)
  const fails = (input: { n: number }): number => {
    throw new Error(`again ${input.n}`)
  }
  const tried = watch(ann.run(fails, { n: 1 }, { retry: { maxAttempts: 3 } }))
  await advance(10_000)
  expect(tried.state).toBe('rejected')
  // At the call, and for each attempt.
  expect(copy).toHaveBeenCalledTimes(2 + 1 + 3)
})
