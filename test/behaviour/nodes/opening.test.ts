import { createTaskSupervisor, defineTool, memoryStore, type TaskStore } from 'outlive'
import { controllableTool, createManualClock, sequentialIds } from 'outlive/testing'
import { expect, onTestFinished, test } from 'vitest'
import { watch } from '../../support/setup.ts'

const quiet = { warn: () => undefined, error: () => undefined }

/** A store that has to be opened, and the supervisor that shall. */
function setupOpening(given: Partial<TaskStore>) {
  const inner = memoryStore()
  const warnings: string[] = []
  const store: TaskStore = { ...inner, durability: 'process', ...given }
  const tasks = createTaskSupervisor({
    store,
    logger: { ...quiet, warn: (_fields, message) => void warnings.push(message) },
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  return { tasks, ann: tasks.session({ owner: 'ann' }), store, inner, warnings }
}

test('the first use opens the store, once, and waits for it', async () => {
  const opened: string[] = []
  let open = (): void => undefined
  const { ann, tasks, warnings } = setupOpening({
    open: () =>
      new Promise((resolve) => {
        opened.push('open')
        open = () => resolve(['It keeps nothing on disk.'])
      }),
  })
  const spawned = watch(ann.spawn(() => 42))
  const listed = watch(ann.list())
  const started = watch(tasks.start())
  await new Promise((resolve) => setImmediate(resolve))
  expect([spawned.state, listed.state, started.state]).toEqual(['pending', 'pending', 'pending'])
  open()
  await expect.poll(() => [spawned.state, listed.state, started.state]).toEqual(['resolved', 'resolved', 'resolved'])
  expect(opened).toEqual(['open'])
  expect(warnings).toEqual(['It keeps nothing on disk.'])
})

test('a store that cannot be opened fails `start` with its reason, and is tried again by later calls', async () => {
  let isDown = true
  const { ann, tasks } = setupOpening({
    open: async () => {
      if (isDown) throw new Error('wrong password')
      return []
    },
  })
  await expect(tasks.start()).rejects.toThrow('wrong password')
  await expect(ann.list()).rejects.toThrow('wrong password')
  isDown = false
  await expect.poll(async () => (await ann.list()).tasks).toEqual([])
  await expect(tasks.start()).resolves.toBeUndefined()
})

test('a cursor of another log is told from one of this log though the store is not open yet', async () => {
  const first = setupOpening({ open: async () => [] })
  const handle = await first.ann.spawn(() => 1)
  await handle.result()
  const seen = []
  for await (const item of handle.events()) seen.push(item)
  const cursor = seen[0] !== undefined && 'cursor' in seen[0] ? (seen[0].cursor ?? '') : ''
  // The same log, through another supervisor.
  const second = setupOpening({ ...first.inner, durability: 'process', open: async () => [] })
  const types = []
  for await (const item of second.ann.events({ taskId: handle.taskId, after: cursor })) types.push(item.type)
  expect(types).toEqual(['task.started', 'task.completed'])
})

test('what a process left behind that had the store for itself is recovered when it opens again', async () => {
  const inner = memoryStore()
  const store: TaskStore = { ...inner, durability: 'process', close: () => undefined }
  const clock = createManualClock()
  const createId = sequentialIds()
  const runs: number[] = []
  const again = defineTool({
    name: 'again',
    policy: { recovery: 'rerun' },
    run: (_input: undefined, ctx) => {
      runs.push(ctx.attempt)
      return ctx.attempt === 1 ? new Promise<string>(() => undefined) : 'done'
    },
  })
  const unknown = defineTool({ ...again, name: 'unknown' })
  const once = controllableTool('once')
  const before = createTaskSupervisor({ store, clock, createId, tools: [again, unknown], logger: quiet })
  const ann = before.session({ owner: 'ann' })
  const [first, second, third] = [
    await ann.spawn(again, undefined),
    await ann.spawn(once.tool, undefined),
    await ann.spawn(unknown, undefined),
  ]
  // That process writes nothing more.
  const after = createTaskSupervisor({ store: { ...store }, clock, createId, tools: [again], logger: quiet })
  onTestFinished(async () => {
    for (const tasks of [before, after]) {
      const closing = tasks.shutdown({ graceMs: 1 })
      await clock.advance(60_000)
      await closing
    }
  })
  await after.start()
  await clock.advance(10)
  const reader = after.session({ owner: 'ann' })
  expect(await reader.result(first.taskId)).toBe('done')
  for (const { taskId } of [second, third]) {
    expect(await reader.get(taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' } })
  }
  expect(runs).toEqual([1, 1, 2])
})

test('tools that may run again have names, are registered, and take JSON', async () => {
  const again = defineTool({ name: 'again', policy: { recovery: 'rerun' }, run: (_input: unknown) => 1 })
  expect(() => createTaskSupervisor({ tools: [again, again] })).toThrow(TypeError)
  expect(() => createTaskSupervisor({ tools: [(() => 1) as never] })).toThrow('tools')
  expect(() => createTaskSupervisor({ tools: 'again' as never })).toThrow(TypeError)
  expect(() => defineTool({ name: 'a', policy: { maxInterruptions: 1 }, run: () => 1 })).toThrow('maxInterruptions')
  const stranger = createTaskSupervisor()
  await expect(stranger.spawn(again, 1)).rejects.toThrow("has to be among the supervisor's tools")
  await stranger.shutdown()
  const tasks = createTaskSupervisor({ tools: [again] })
  await expect(tasks.spawn(again, new Map())).rejects.toMatchObject({ code: 'input_invalid' })
  await expect(tasks.spawn(again, 'x'.repeat(2_000_000))).rejects.toMatchObject({ code: 'input_invalid' })
  expect(await (await tasks.spawn(again, { fine: true })).result()).toBe(1)
  await tasks.shutdown()
})

test('a result that is too large is kept beside its record, by option, and read when it is asked for', async () => {
  const inner = memoryStore()
  const store: TaskStore = { ...inner, durability: 'process' }
  const tasks = createTaskSupervisor({
    store,
    retention: { maxResultBytes: 100, oversizeResult: 'spill' },
    logger: quiet,
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  const ann = tasks.session({ owner: 'ann' })
  const long = 'x'.repeat(1_000)
  const handle = await ann.spawn(() => long)
  expect(await handle.result()).toBe(long)
  expect((await inner.read(handle.taskId))?.resultJson).toBeUndefined()
  expect(await ann.get(handle.taskId)).toMatchObject({ status: 'completed', resultBytes: 1_002 })
  const short = await ann.spawn(() => 'short')
  expect(await short.result()).toBe('short')
  expect(await inner.readAttachment(short.taskId, 'result')).toBeUndefined()
  expect(() => createTaskSupervisor({ retention: { oversizeResult: 'spill' } })).toThrow('store in memory')
})
