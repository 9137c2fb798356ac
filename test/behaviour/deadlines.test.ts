import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, createBranches, KEEP_ALL, wholeLog } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

const DAY_MS = 86_400_000

test('the hard deadline of a root fails it and cancels everything below', async () => {
  const harness = setup({ retention: KEEP_ALL })
  const { ann, advance, settle } = harness
  const branches = createBranches()
  const root = await ann.spawn(branches.tool, [2, 2], { timeoutMs: 60_000 })
  await settle()
  await advance(59_999)
  expect((await ann.stats()).byStatus).toEqual({ running: 7 })
  await advance(1)
  expect(await root.record()).toMatchObject({
    status: 'failed',
    failure: { code: 'timeout', name: 'TaskError' },
    cause: { reason: 'timeout' },
  })
  await expect(root.result()).rejects.toMatchObject({ code: 'task_failed', failure: { code: 'timeout' } })
  for (const { ctx, reasons } of branches.byId.values()) {
    expect(reasons.map(({ stopCause }) => stopCause)).toEqual([
      ctx.depth === 0 ? { reason: 'timeout' } : { reason: 'parent', actor: ctx.parentId },
    ])
  }
  expect((await ann.stats()).byStatus).toEqual({ failed: 1, cancelled: 6 })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('the hard deadline of a child leaves its parent and siblings alone', async () => {
  const { ann, advance } = setup()
  const child = controllableTool<number>('child', { honoursSignal: true })
  const parent = controllableTool('parent')
  const root = await ann.spawn(parent.tool, undefined)
  const timed = await parent.call(0).ctx.spawn(child.tool, 0, { timeoutMs: 1_000 })
  const other = await parent.call(0).ctx.spawn(child.tool, 1)
  await advance(1_000)
  expect(await timed.record()).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  expect([(await root.record()).status, (await other.record()).status]).toEqual(['running', 'running'])
})

test('a task that ends at the last moment before its deadline keeps its value', async () => {
  const { ann, advance, clock } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  await advance(999)
  work.call(0).resolve('in time')
  await advance(10_000)
  expect(await task.result()).toBe('in time')
  expect(clock.heldTimerCount()).toBe(0)
})

test('work that ignores its deadline is let go after the grace and stays failed', async () => {
  const { ann, advance, settle, tasks } = setup({ graceMs: 2_000 })
  const work = controllableTool('deaf')
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  await advance(2_999)
  expect((await task.record()).status).toBe('stopping')
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'failed', abandoned: true, failure: { code: 'timeout' } })
  work.call(0).resolve('late')
  await settle()
  expect((await tasks.operator.stats()).counters.lateOutcomes).toBe(1)
})

test('a deadline that passes after a cancel does not change the cause', async () => {
  const { ann, advance } = setup({ graceMs: 5_000 })
  const work = controllableTool('deaf')
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  const cancelled = watch(task.cancel())
  await advance(5_000)
  expect(cancelled.value?.tasks).toEqual([{ taskId: task.taskId, status: 'cancelled' }])
  expect(await task.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'user' } })
  expect((await task.record()).failure).toBeUndefined()
})

test('a deadline that passes while a parent only waits for children stops them', async () => {
  const { ann, advance } = setup()
  const child = controllableTool('child', { honoursSignal: true })
  const root = await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(child.tool, undefined)), undefined, {
    timeoutMs: 1_000,
  })
  await advance(999)
  expect((await root.record()).status).toBe('finishing')
  await advance(1)
  expect(await root.record()).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  expect(child.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: root.taskId } })
})

test('a deadline of 30 days is kept to the millisecond', async () => {
  const { ann, advance } = setup({ waitMs: Infinity })
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 30 * DAY_MS })
  await advance(30 * DAY_MS - 1)
  expect((await task.record()).status).toBe('running')
  await advance(1)
  expect((await task.record()).failure?.code).toBe('timeout')
})

test('without a deadline a task runs on', async () => {
  const { ann, advance, clock } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
  expect((await task.record()).dueAt).toBeUndefined()
  await advance(400 * DAY_MS)
  expect((await task.record()).status).toBe('running')
  expect(clock.heldTimerCount()).toBe(0)
})

test('a jump of the wall clock ends nothing early and revives nothing', async () => {
  const { ann, advance, clock } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  clock.jump(DAY_MS)
  await advance(999)
  expect((await task.record()).status).toBe('running')
  clock.jump(-2 * DAY_MS)
  await advance(1)
  const record = await task.record()
  expect(record).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
})

test('a timeout at the inline time is a timeout for the caller or for the ticket, never both', async () => {
  const { ann, advance } = setup({ inlineMs: 1_000 })
  const work = controllableTool('work', { honoursSignal: true })
  const call = watch(ann.run(work.tool, undefined, { timeoutMs: 1_000 }))
  await advance(1_000)
  if (call.state === 'resolved') {
    expect(call.value).toMatchObject({ kind: 'background' })
    expect(await ann.get(work.call(0).ctx.taskId)).toMatchObject({ failure: { code: 'timeout' } })
  } else {
    expect(call.error).toMatchObject({ code: 'task_failed', failure: { code: 'timeout' } })
  }
})
