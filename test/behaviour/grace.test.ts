import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, createBranches, KEEP_ALL, wholeLog } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

test('work that ignores its signal is let go after graceMs, and not before', async () => {
  const harness = setup({ graceMs: 3_000 })
  const { ann, advance, logged, tasks } = harness
  const work = controllableTool('deaf')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = watch(task.cancel())
  await advance(2_999)
  expect(cancelled.state).toBe('pending')
  expect((await task.record()).status).toBe('stopping')
  await advance(1)
  expect(cancelled.value).toEqual({ count: 1, tasks: [{ taskId: task.taskId, status: 'cancelled' }] })
  expect(await task.record()).toMatchObject({ status: 'cancelled', abandoned: true, cause: { reason: 'user' } })
  expect(logged).toEqual([
    {
      level: 'warn',
      fields: { taskId: task.taskId, tool: 'deaf', owner: 'ann', reason: 'user' },
      message: 'the work ignores its signal; the task was let go',
    },
  ])
  expect((await tasks.operator.stats()).counters).toMatchObject({ abandonedTasks: 1, lateOutcomes: 0 })
  const log = await wholeLog(harness)
  expect(log.at(-1)).toMatchObject({ type: 'task.cancelled', abandoned: true })
})

test('work that settles in time is not abandoned and nothing is logged', async () => {
  const { ann, advance, logged, tasks, clock } = setup({ graceMs: 3_000 })
  const work = controllableTool('slow')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = watch(task.cancel())
  await advance(2_999)
  work.call(0).resolve('just in time')
  await advance(10_000)
  expect(cancelled.value?.count).toBe(1)
  expect((await task.record()).abandoned).toBeUndefined()
  expect(logged).toEqual([])
  expect((await tasks.operator.stats()).counters.abandonedTasks).toBe(0)
  expect(clock.heldTimerCount()).toBe(0)
})

test('what abandoned work ends with is counted and changes nothing', async () => {
  const harness = setup({ graceMs: 1_000 })
  const { ann, advance, settle, tasks } = harness
  const work = controllableTool<number>('deaf')
  for (const index of [0, 1]) await ann.spawn(work.tool, index)
  const cancelled = watch(ann.cancelAll())
  await advance(1_000)
  expect(cancelled.value?.count).toBe(2)
  const before = await Promise.all(work.calls.map(({ ctx }) => ann.get(ctx.taskId)))
  const logBefore = await wholeLog(harness)
  work.call(0).resolve('late value')
  work.call(1).reject(new Error('late error'))
  await settle()
  expect(await Promise.all(work.calls.map(({ ctx }) => ann.get(ctx.taskId)))).toEqual(before)
  expect(await wholeLog(harness)).toEqual(logBefore)
  expect((await tasks.operator.stats()).counters).toMatchObject({ abandonedTasks: 2, lateOutcomes: 2 })
})

test('what abandoned work still reports is counted and goes nowhere', async () => {
  const harness = setup({ graceMs: 1_000 })
  const { ann, advance, tasks } = harness
  const work = controllableTool('deaf')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = watch(task.cancel())
  await advance(1_000)
  expect(cancelled.state).toBe('resolved')
  const { ctx } = work.call(0)
  const logBefore = await wholeLog(harness)
  ctx.progress(0.5)
  ctx.emit('late', {})
  ctx.output('late')
  await advance(1_000)
  expect(await wholeLog(harness)).toEqual(logBefore)
  expect((await tasks.operator.stats()).counters.lateReports).toBe(3)
})

test('one grace clock runs for a whole tree, and children are let go before their parents', async () => {
  const harness = setup({ graceMs: 5_000, retention: KEEP_ALL })
  const { ann, advance, clock, settle } = harness
  const branches = createBranches({ ignoresSignal: true })
  const root = await ann.spawn(branches.tool, [2, 2, 2], { timeoutMs: Infinity })
  await settle()
  const cancelled = watch(root.cancel())
  await advance(5_000)
  expect(cancelled.value?.count).toBe(15)
  const records = await Promise.all([...branches.byId.keys()].map((taskId) => ann.get(taskId)))
  expect(records.every((record) => record?.abandoned === true && record.status === 'cancelled')).toBe(true)
  expect(new Set(records.map((record) => record?.endedAt))).toEqual(new Set([clock.now()]))
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a task that lets its grace pass does not hold up those of its tree that settle', async () => {
  const { ann, advance, settle } = setup({ graceMs: 5_000 })
  const branches = createBranches({ ignoresSignal: true })
  const root = await ann.spawn(branches.tool, [3])
  await settle()
  const [first, deaf, third] = branches.at(1)
  const cancelled = watch(root.cancel())
  first?.resolve()
  third?.reject(new Error('stopped'))
  branches.only(0).resolve()
  await settle()
  const status = async (taskId = ''): Promise<unknown> => (await ann.get(taskId))?.status
  expect([await status(first?.ctx.taskId), await status(third?.ctx.taskId)]).toEqual(['cancelled', 'cancelled'])
  expect([await status(deaf?.ctx.taskId), await status(root.taskId)]).toEqual(['stopping', 'stopping'])
  await advance(5_000)
  expect(cancelled.state).toBe('resolved')
  expect((await ann.get(deaf?.ctx.taskId ?? ''))?.abandoned).toBe(true)
  // Its own code had ended: it only waited for its child.
  expect((await root.record()).abandoned).toBeUndefined()
})

test('a parent that settles after its deaf children were let go is not abandoned', async () => {
  const { ann, settle, advance } = setup({ graceMs: 5_000 })
  const deaf = controllableTool('deaf')
  const parent = controllableTool('parent')
  const root = await ann.spawn(parent.tool, undefined)
  const child = await parent.call(0).ctx.spawn(deaf.tool, undefined)
  const own = watch(child.cancel())
  await advance(4_000)
  const whole = watch(root.cancel())
  await advance(1_000)
  expect(own.state).toBe('resolved')
  expect((await child.record()).abandoned).toBe(true)
  expect(whole.state).toBe('pending')
  parent.call(0).resolve(1)
  await settle()
  expect(whole.value?.tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
  expect((await root.record()).abandoned).toBeUndefined()
})

test('abandoned tasks are reported one by one up to ten, the rest as a number', async () => {
  const { ann, advance, logged, settle } = setup({ graceMs: 1_000 })
  const branches = createBranches({ ignoresSignal: true })
  const root = await ann.spawn(branches.tool, [24])
  await settle()
  const cancelled = watch(root.cancel())
  await advance(1_000)
  expect(cancelled.value?.count).toBe(25)
  const named = logged.filter(({ fields }) => 'taskId' in fields)
  expect(named).toHaveLength(10)
  expect(named.every(({ fields }) => fields['tool'] === 'branch' && typeof fields['taskId'] === 'string')).toBe(true)
  expect(logged.filter(({ fields }) => 'count' in fields)).toMatchObject([{ level: 'warn', fields: { count: 15 } }])
})

test('the name of abandoned work is free again', async () => {
  const { ann, advance } = setup({ graceMs: 1_000 })
  const work = controllableTool('deaf')
  const task = await ann.spawn(work.tool, undefined, { name: 'reader' })
  const cancelled = watch(task.cancel())
  await advance(1_000)
  expect(cancelled.state).toBe('resolved')
  await expect(ann.spawn(work.tool, undefined, { name: 'reader' })).resolves.toBeDefined()
})

test('a wait inside a cancelled task does not keep the tree alive beyond its grace', async () => {
  const { ann, advance, tasks } = setup({ graceMs: 1_000 })
  const endless = controllableTool('endless')
  const other = await ann.spawn(endless.tool, undefined)
  const waiting = await ann.spawn(async () => other.result({ waitMs: Infinity }))
  const cancelled = watch(waiting.cancel())
  await advance(1_000)
  expect(cancelled.value?.count).toBe(1)
  expect((await waiting.record()).abandoned).toBe(true)
  expect((await other.record()).status).toBe('running')
  endless.call(0).resolve('value')
  await advance(1)
  expect((await tasks.operator.stats()).counters.lateOutcomes).toBe(1)
})
