import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { controllableTool, passTurns } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { fc } from '../support/properties.ts'
import { setup, watch } from '../support/setup.ts'

test('a wait that is over rejects with wait_timeout, and the task goes on', async () => {
  const { ann, advance } = setup()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  const wait = watch(task.result({ waitMs: 500 }))
  await advance(499)
  expect(wait.state).toBe('pending')
  await advance(1)
  expect(wait.error).toMatchObject({ name: 'WaitTimeoutError', code: 'wait_timeout', retryable: true })
  expect(work.call(0).ctx.signal.aborted).toBe(false)
  work.call(0).resolve('later')
  expect(await task.result()).toBe('later')
})

test('a wait without a limit of its own gives up after the waitMs of the supervisor', async () => {
  const { ann, advance } = setup({ waitMs: 2_000 })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const waits = [
    watch(task.wait()),
    watch(ann.waitAny([task.taskId])),
    watch(ann.result(task.taskId)),
    watch(task.attach()),
  ]
  await advance(1_999)
  expect(waits.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'pending'])
  await advance(1)
  expect(waits.map(({ state }) => state)).toEqual(['rejected', 'rejected', 'rejected', 'resolved'])
})

test('a wait whose signal aborts rejects with its reason and leaves no listener, and the task goes on', async () => {
  const { ann, settle, clock } = setup()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  await settle()
  const held = clock.heldTimerCount()
  const leaving = new AbortController()
  const wait = watch(task.wait({ signal: leaving.signal }))
  await settle()
  expect(getEventListeners(leaving.signal, 'abort')).toHaveLength(1)
  leaving.abort('gone')
  await settle()
  expect(wait.error).toBe('gone')
  expect(getEventListeners(leaving.signal, 'abort')).toEqual([])
  expect(clock.heldTimerCount()).toBe(held)
  work.call(0).resolve('on')
  expect(await task.result()).toBe('on')
})

test.each([
  ['ends', (harness: Waiting) => harness.work.call(0).resolve(1)],
  ['is cancelled', (harness: Waiting) => void watch(harness.ann.cancel('task-1'))],
  ['is not ended when the wait is over', (harness: Waiting) => void watch(harness.advance(1_000))],
])('after a task that %s, no wait has left a listener or a timer', async (_how, act) => {
  const harness = setupWaiting()
  const { ann, settle, clock, work } = harness
  await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
  await settle()
  const held = clock.heldTimerCount()
  const { signal } = new AbortController()
  const options = { waitMs: 1_000, signal }
  const waits = [
    watch(ann.wait('task-1', options)),
    watch(ann.result('task-1', options)),
    watch(ann.waitAny(['task-1'], options)),
    watch(ann.waitAll(['task-1', 'task-1'], options)),
    watch(ann.attach('task-1', options)),
  ]
  await settle()
  act(harness)
  await settle()
  for (const wait of waits) expect(wait.state).not.toBe('pending')
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(clock.heldTimerCount()).toBe(held)
})

type Waiting = ReturnType<typeof setupWaiting>

function setupWaiting() {
  return { work: controllableTool('work', { honoursSignal: true }), ...setup() }
}

test.each(['inline', 'in the background', 'by its caller leaving', 'by a cancel'])(
  'after a call that ended %s, its signals have no listeners and no timer is held',
  async (how) => {
    const { ann, settle, clock, advance } = setup({ timeoutMs: Infinity })
    const work = controllableTool('work', { honoursSignal: true })
    const [leaving, stopping] = [new AbortController(), new AbortController()]
    const call = watch(ann.run(work.tool, undefined, { signal: leaving.signal, cancelSignal: stopping.signal }))
    await settle()
    if (how === 'in the background') await advance(10_000)
    else if (how === 'by its caller leaving') leaving.abort('gone')
    else if (how === 'by a cancel') stopping.abort('enough')
    else work.call(0).resolve(1)
    await settle()
    expect(call.state).not.toBe('pending')
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([])
    expect(getEventListeners(stopping.signal, 'abort')).toEqual([])
    work.call(0).resolve(1)
    await settle()
    expect(clock.heldTimerCount()).toBe(0)
  },
)

test('a wait whose signal has aborted beforehand rejects with its reason', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const options = { signal: AbortSignal.abort('before') }
  await expect(task.wait(options)).rejects.toBe('before')
  await expect(task.result(options)).rejects.toBe('before')
  await expect(task.attach(options)).rejects.toBe('before')
  await expect(ann.waitAny([task.taskId], options)).rejects.toBe('before')
})

test('a wait settles whether it begins before, while or after its task ends', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(8), fc.nat(8), fc.boolean(), async (turnsBeforeEnd, turnsBeforeWait, isRun) => {
      const { ann, settle } = setup()
      const work = controllableTool<undefined, string>('work')
      if (isRun) watch(ann.run(work.tool, undefined, { durable: true }))
      else await ann.spawn(work.tool, undefined)
      await settle()
      const end = async (): Promise<void> => {
        await passTurns(turnsBeforeEnd)
        work.call(0).resolve('done')
      }
      const wait = async (): Promise<unknown> => {
        await passTurns(turnsBeforeWait)
        return await Promise.all([ann.result('task-1'), ann.attach('task-1'), ann.waitAll(['task-1'])])
      }
      const [, waited] = await Promise.all([end(), wait()])
      expect(waited).toMatchObject(['done', { kind: 'inline', value: 'done' }, [{ status: 'completed' }]])
    }),
    { numRuns: 50 },
  )
})

test('a wait for a live call that the store does not have yet is answered at its end', async () => {
  const { ann, release } = setupHeld()
  const work = controllableTool<undefined, string>('work')
  watch(ann.run(work.tool, undefined))
  const result = watch(ann.result('task-1'))
  await passTurns(3)
  expect(result.state).toBe('pending')
  work.call(0).resolve('done')
  await release()
  expect(result.value).toBe('done')
})

test('waitAny gives the first to end, and leaves the others alone', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const tasks = [await ann.spawn(work.tool, undefined), await ann.spawn(work.tool, undefined)]
  const any = watch(ann.waitAny(tasks.map(({ taskId }) => taskId)))
  await settle()
  work.call(1).resolve(1)
  await settle()
  expect(any.value).toMatchObject({ taskId: 'task-2', status: 'completed' })
  expect(await ann.get('task-1')).toMatchObject({ status: 'running' })
})

test('waitAll gives all final records in the order of the ids, however they ended', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const ids = [
    (await ann.spawn(work.tool, undefined)).taskId,
    (await ann.spawn(work.tool, undefined)).taskId,
    (await ann.spawn(() => 1, undefined)).taskId,
  ]
  const all = watch(ann.waitAll([...ids].reverse()))
  await settle()
  await ann.cancel('task-1')
  work.call(1).reject(new Error('broken'))
  await settle()
  expect(all.value?.map(({ taskId, status }) => `${taskId} ${status}`)).toEqual([
    'task-3 completed',
    'task-2 failed',
    'task-1 cancelled',
  ])
})

test.each(['unknown', '', 5, null, undefined, {}, 'x'.repeat(10_000)])('a wait for %o is not found', async (taskId) => {
  const { ann } = setup()
  const known = await ann.spawn(() => 1, undefined)
  const id = taskId as string
  const notFound = { name: 'TaskNotFoundError', code: 'task_not_found', message: 'There is no such task.' }
  await expect(ann.wait(id)).rejects.toMatchObject(notFound)
  await expect(ann.result(id)).rejects.toMatchObject(notFound)
  await expect(ann.attach(id)).rejects.toMatchObject(notFound)
  await expect(ann.waitAll([known.taskId, id])).rejects.toMatchObject(notFound)
  await expect(ann.waitAny([id, known.taskId])).rejects.toMatchObject(notFound)
})

const CYCLE = { code: 'wait_cycle' }

test.each(['wait', 'result', 'attach'] as const)('a task that asks to %s for itself gets wait_cycle', async (verb) => {
  const { ann } = setup()
  const task = await ann.spawn(async (_input: undefined, ctx) => {
    await expect(ann[verb](ctx.taskId)).rejects.toMatchObject(CYCLE)
    return 'went on'
  }, undefined)
  expect(await task.result()).toBe('went on')
})

test.each(['wait', 'result', 'attach'] as const)(
  'a child that asks to %s for its parent or its root gets wait_cycle',
  async (verb) => {
    const { ann } = setup()
    const root = await ann.spawn(async (_input: undefined, ctx) => {
      const middle = await ctx.spawn(async (_inner: undefined, middleCtx) => {
        const leaf = await middleCtx.spawn(async (_leaf: undefined, { parentId, rootId }) => {
          await expect(ann[verb](parentId ?? '')).rejects.toMatchObject(CYCLE)
          await expect(ann[verb](rootId)).rejects.toMatchObject(CYCLE)
          return 'went on'
        }, undefined)
        return await leaf.result()
      }, undefined)
      return await middle.result()
    }, undefined)
    expect(await root.result()).toBe('went on')
  },
)

/** Tasks whose code does what the test orders, inside the task, and ends when the test says so. */
function steeredTool() {
  const calls: { readonly inside: <Result>(work: () => Result) => Result; readonly end: (value: string) => void }[] = []
  const tool = (): Promise<string> =>
    new Promise((end) => {
      calls.push({ inside: AsyncLocalStorage.snapshot(), end })
    })
  return { tool, calls }
}

async function setupSteered(count: number) {
  const harness = setup()
  const { tool, calls } = steeredTool()
  for (let index = 0; index < count; index += 1) await harness.ann.spawn(tool, undefined)
  await harness.settle()
  expect(calls).toHaveLength(count)
  return { ...harness, calls }
}

test('of two tasks that wait for each other the second to ask gets wait_cycle', async () => {
  const { ann, settle, calls } = await setupSteered(2)
  const first = watch(calls[0]?.inside(() => ann.result('task-2')) ?? Promise.resolve())
  await settle()
  await expect(calls[1]?.inside(() => ann.result('task-1'))).rejects.toMatchObject(CYCLE)
  calls[1]?.end('unharmed')
  await settle()
  expect(first.value).toBe('unharmed')
})

test.each(['result', 'attach'] as const)('a ring of tasks that %s one another is broken at the last', async (verb) => {
  const { ann, settle, calls } = await setupSteered(4)
  const ring = [1, 2, 3].map((next) =>
    watch(calls[next - 1]?.inside(() => ann[verb](`task-${next + 1}`)) ?? Promise.resolve()),
  )
  await settle()
  expect(ring.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending'])
  for (const taskId of ['task-1', 'task-2', 'task-3', 'task-4']) {
    await expect(calls[3]?.inside(() => ann[verb](taskId))).rejects.toMatchObject(CYCLE)
    await expect(calls[3]?.inside(() => ann.waitAll([taskId]))).rejects.toMatchObject(CYCLE)
  }
})

test('a wait that was given up is no part of a cycle any more', async () => {
  const { ann, advance, settle, calls } = await setupSteered(2)
  const first = watch<unknown>(calls[0]?.inside(() => ann.wait('task-2', { waitMs: 100 })) ?? Promise.resolve())
  const attached = watch<unknown>(calls[0]?.inside(() => ann.attach('task-2', { waitMs: 100 })) ?? Promise.resolve())
  await advance(100)
  expect([first.state, attached.state]).toEqual(['rejected', 'resolved'])
  const second = watch(calls[1]?.inside(() => ann.result('task-1')) ?? Promise.resolve())
  calls[0]?.end('allowed')
  await settle()
  expect(second.value).toBe('allowed')
})

test('a task outside waits for whom it likes', async () => {
  const { ann, settle, calls } = await setupSteered(2)
  watch(calls[0]?.inside(() => ann.result('task-2')) ?? Promise.resolve())
  const outside = watch(ann.waitAll(['task-1', 'task-2']))
  calls[1]?.end('a')
  calls[0]?.end('b')
  await settle()
  expect(outside.value).toHaveLength(2)
})
