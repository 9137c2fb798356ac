import { isTaskError, type BudgetOptions, type StreamItem, type TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, wholeLog } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

const refusal = (what: string, granted: number, spent: number) => ({
  code: 'budget_exceeded',
  retryable: false,
  details: { what, granted, spent },
})

test('what a task and everything below it reports is drawn on its budget, and everybody sees what is left', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const root = await ann.spawn(work.tool, undefined, { budget: { tokens: 1_000, cost: 5, spawns: 10 } })
  await settle()
  const top = work.call(0).ctx
  expect(top.budget).toEqual({ tokens: 1_000, cost: 5, spawns: 10 })
  await top.spawn(work.tool, undefined)
  await settle()
  const below = work.call(1).ctx
  await below.spawn(work.tool, undefined)
  await settle()
  top.usage({ tokens: 100 })
  below.usage({ tokens: 50, cost: 1 })
  work.call(2).ctx.usage({ cost: 0.5 })
  for (const { ctx } of work.calls) expect(ctx.budget).toEqual({ tokens: 850, cost: 3.5, spawns: 8 })
  for (const { resolve } of work.calls.toReversed()) resolve(1)
  await settle()
  const record = await root.record()
  expect(record).toMatchObject({
    status: 'completed',
    usage: { tokens: 100, cost: 0 },
    budget: { granted: { tokens: 1_000, cost: 5, spawns: 10 }, spent: { tokens: 150, cost: 1.5, spawns: 2 } },
  })
  const { tasks } = await ann.list({ parent: root.taskId })
  expect(tasks[0]?.budget).toBeUndefined()
})

test('the record of a task tells what its own last report left', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { budget: { tokens: 100 } })
  await settle()
  expect((await task.record()).budget?.spent.tokens).toBe(0)
  work.call(0).ctx.usage({ tokens: 30 })
  await settle()
  expect(await task.record()).toMatchObject({ status: 'running', budget: { spent: { tokens: 30 } } })
})

test('of two budgets that refuse a spawn, the one that stops its tree is named', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const root = await ann.spawn(work.tool, undefined, { budget: { tokens: 100 } })
  await settle()
  await work.call(0).ctx.spawn(work.tool, undefined, { budget: { spawns: 0 } })
  await settle()
  const below = work.call(1).ctx
  await expect(below.spawn(work.tool, undefined)).rejects.toMatchObject(refusal('spawns', 0, 0))
  below.usage({ tokens: 90 })
  await expect(below.spawn(work.tool, undefined)).rejects.toMatchObject({
    ...refusal('tokens', 100, 90),
    taskId: root.taskId,
  })
})

test('without a budget there is none', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  await settle()
  expect(work.call(0).ctx.budget).toBeUndefined()
  work.call(0).ctx.usage({ tokens: 1e9 })
  expect((await task.record()).budget).toBeUndefined()
})

test('the spawn beyond the budget is refused, by run and spawn, at any depth, and the tree goes on', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const work = controllableTool('work')
  const root = await ann.spawn(work.tool, undefined, { budget: { spawns: 3 } })
  await settle()
  const top = work.call(0).ctx
  await top.spawn(work.tool, undefined)
  await settle()
  const below = work.call(1).ctx
  await below.spawn(work.tool, undefined)
  expect((await below.run(() => 1)).kind).toBe('inline')
  for (const ctx of [top, below, work.call(2).ctx]) {
    for (const refused of [ctx.spawn(work.tool, undefined), ctx.run(() => 1)]) {
      await expect(refused).rejects.toMatchObject({ ...refusal('spawns', 3, 3), taskId: root.taskId })
    }
  }
  expect(top.budget).toEqual({ tokens: Infinity, cost: Infinity, spawns: 0 })
  // Ends give nothing back.
  work.call(2).resolve(1)
  await settle()
  await expect(top.spawn(work.tool, undefined)).rejects.toMatchObject({ code: 'budget_exceeded' })
  for (const { resolve } of work.calls.toReversed()) resolve(1)
  await settle()
  expect(await root.record()).toMatchObject({
    status: 'completed',
    budget: { granted: { spawns: 3 }, spent: { spawns: 3 } },
  })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a budget without spawns lets nothing start below', async () => {
  const { ann } = setup()
  const outcome = ann.run((_: undefined, ctx: TaskContext) => ctx.run(() => 1), undefined, { budget: { spawns: 0 } })
  await expect(outcome).rejects.toMatchObject(refusal('spawns', 0, 0))
})

test('a call that was refused for another reason, or by the store, counts for nothing', async () => {
  const { ann, settle } = setup({ limits: { maxChildren: 2 } })
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, { budget: { spawns: 5 } })
  await settle()
  const { ctx } = work.call(0)
  await ctx.spawn(work.tool, undefined, { name: 'reader' })
  await expect(ctx.spawn(work.tool, undefined, { name: 'reader' })).rejects.toMatchObject({ code: 'name_taken' })
  await ctx.spawn(work.tool, undefined)
  await expect(ctx.spawn(work.tool, undefined)).rejects.toMatchObject({ code: 'children_exceeded' })
  expect(ctx.budget?.spawns).toBe(3)
})

test('where the reserve begins the tree of the holder is stopped with the cause budget, leaves first, and nobody else', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const work = controllableTool('work', { honoursSignal: true })
  const host = await ann.spawn(work.tool, undefined)
  await settle()
  const holder = await work.call(0).ctx.spawn(work.tool, undefined, { budget: { tokens: 100 } })
  await settle()
  const below = await work.call(1).ctx.spawn(work.tool, undefined)
  await settle()
  work.call(2).ctx.usage({ tokens: 89 })
  expect(work.call(1).ctx.signal.aborted).toBe(false)
  work.call(2).ctx.usage({ tokens: 1 })
  expect(work.call(1).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'budget', note: 'tokens' } })
  expect(work.call(2).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: holder.taskId } })
  await expect(work.call(1).ctx.spawn(work.tool, undefined)).rejects.toMatchObject(refusal('tokens', 100, 90))
  await settle()
  expect(await holder.record()).toMatchObject({
    status: 'cancelled',
    cause: { reason: 'budget', note: 'tokens' },
    budget: { granted: { tokens: 100 }, spent: { tokens: 90, cost: 0, spawns: 1 } },
  })
  expect((await below.record()).status).toBe('cancelled')
  expect((await host.record()).status).toBe('running')
  work.call(0).resolve(1)
  await settle()
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('in its grace a tree hands back what it has, and may use the reserve for it', async () => {
  const { ann, advance, settle } = setup({ graceMs: 1_000 })
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined, { budget: { cost: 10, reserve: 0.2 } })
  await settle()
  const { ctx } = work.call(0)
  ctx.usage({ cost: 8 })
  expect(ctx.signal.aborted).toBe(true)
  await advance(500)
  ctx.usage({ cost: 1.5 })
  expect(ctx.budget?.cost).toBe(0.5)
  work.call(0).resolve('half of it')
  await settle()
  expect(await task.record()).toMatchObject({
    status: 'cancelled',
    cause: { reason: 'budget', note: 'cost' },
    partial: 'half of it',
    budget: { spent: { cost: 9.5 } },
  })
})

test('a report past the end of a budget is kept in the usage, refused by the budget, and told to the code', async () => {
  const { ann, settle, tasks } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { budget: { tokens: 100 } })
  await settle()
  const { ctx } = work.call(0)
  // One report goes beyond, whatever is left.
  ctx.usage({ tokens: 150 })
  let thrown: unknown
  try {
    ctx.usage({ tokens: 1, cost: 2 })
  } catch (error) {
    thrown = error
  }
  expect(isTaskError(thrown, 'budget_exceeded')).toBe(true)
  expect(thrown).toMatchObject({ ...refusal('tokens', 100, 150), taskId: task.taskId })
  ctx.usage({ cost: 1 })
  work.call(0).resolve(1)
  await settle()
  expect(await task.record()).toMatchObject({
    usage: { tokens: 151, cost: 3 },
    budget: { spent: { tokens: 150, cost: 1 } },
  })
  expect((await tasks.operator.stats()).counters.lateReports).toBe(0)
})

test('a caller who waits inline hears that the budget has stopped the call', async () => {
  const { ann } = setup()
  const spend = (_: undefined, ctx: TaskContext): string => {
    ctx.usage({ tokens: 100 })
    return 'too late'
  }
  await expect(ann.run(spend, undefined, { budget: { tokens: 100 } })).rejects.toMatchObject({
    code: 'task_cancelled',
    stopCause: { reason: 'budget', note: 'tokens' },
  })
  expect(await ann.run(spend, undefined, { budget: { tokens: 112 } })).toMatchObject({ value: 'too late' })
})

test('a child with a budget of its own gets at most what is left above, and draws on both', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const work = controllableTool('work', { honoursSignal: true })
  const root = await ann.spawn(work.tool, undefined, { budget: { tokens: 100, spawns: 3, reserve: 0 } })
  await settle()
  const top = work.call(0).ctx
  top.usage({ tokens: 40 })
  const greedy = await top.spawn(work.tool, undefined, { budget: { tokens: 500, cost: 1 } })
  const modest = await top.spawn(work.tool, undefined, { budget: { tokens: 10, spawns: 9, reserve: 0.5 } })
  await settle()
  expect((await greedy.record()).budget?.granted).toEqual({ tokens: 60, cost: 1 })
  expect((await modest.record()).budget?.granted).toEqual({ tokens: 10, spawns: 1 })
  const [below, other] = [work.call(1).ctx, work.call(2).ctx]
  expect(below.budget).toEqual({ tokens: 60, cost: 1, spawns: 1 })
  other.usage({ tokens: 5 })
  await settle()
  expect(await modest.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'budget' } })
  expect(below.budget?.tokens).toBe(55)
  expect((await root.record()).status).toBe('running')
  // Its own line and that of the root at once: the root is stopped, and it with that.
  below.usage({ tokens: 55 })
  await settle()
  expect(await root.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'budget', note: 'tokens' } })
  expect((await greedy.record()).cause).toEqual({ reason: 'parent', actor: root.taskId })
  expect((await root.record()).budget?.spent).toEqual({ tokens: 100, cost: 0, spawns: 2 })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a budget within a tree that has none bounds its own part alone', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const root = await ann.spawn(work.tool, undefined)
  await settle()
  const child = await work.call(0).ctx.spawn(work.tool, undefined, { budget: { cost: 1 } })
  await settle()
  work.call(0).ctx.usage({ cost: 100 })
  work.call(1).ctx.usage({ cost: 1 })
  await settle()
  expect([(await root.record()).status, (await child.record()).status]).toEqual(['running', 'cancelled'])
})

test('a child that outlives its parent still draws on its budget, and is stopped itself where that ends', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const root = await ann.spawn(work.tool, undefined, { budget: { tokens: 100, spawns: 3 } })
  await settle()
  const child = await work.call(0).ctx.spawn(work.tool, undefined, { onParentEnd: 'detach' })
  await settle()
  const { ctx } = work.call(1)
  const grandchild = await ctx.spawn(work.tool, undefined)
  work.call(0).resolve(1)
  await settle()
  expect((await root.record()).status).toBe('completed')
  expect(ctx.budget).toEqual({ tokens: 100, cost: Infinity, spawns: 1 })
  work.call(2).ctx.usage({ tokens: 95 })
  await settle()
  expect(await child.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'budget' } })
  expect(await grandchild.record()).toMatchObject({ cause: { reason: 'parent', actor: child.taskId } })
  expect((await root.record()).status).toBe('completed')
})

test('all attempts of a task draw on one budget, and none begins once that has stopped it', async () => {
  const { ann, advance, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, {
    budget: { tokens: 100 },
    retry: { maxAttempts: 5, baseMs: 100, jitter: 'none' },
  })
  await settle()
  work.call(0).ctx.usage({ tokens: 60 })
  work.call(0).reject(new Error('broken'))
  await advance(100)
  expect(work.call(1).ctx.budget?.tokens).toBe(40)
  work.call(1).ctx.usage({ tokens: 40 })
  work.call(1).reject(new Error('broken'))
  await advance(10_000)
  expect(work.calls).toHaveLength(2)
  expect(await task.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'budget' } })
})

test('a stop by the budget is in the log as any other, after the report that caused it', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(work.tool, undefined, { budget: { tokens: 10 } })
  await settle()
  work.call(0).ctx.usage({ tokens: 10 })
  await settle()
  const log: readonly StreamItem[] = await wholeLog(harness)
  expect(log).toMatchObject([
    { type: 'task.queued' },
    { type: 'task.started' },
    { type: 'task.usage', tokens: 10 },
    { type: 'task.stopping', stopCause: { reason: 'budget', note: 'tokens' } },
    { type: 'task.cancelled', stopCause: { reason: 'budget', note: 'tokens' } },
  ])
})

test('a subscriber that cancels on hearing of the report goes first', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool, undefined, { budget: { tokens: 10 } })
  await settle()
  ann.events$({ type: 'task.usage', after: 'now' }).subscribe(() => void watch(ann.cancel(task.taskId)))
  await settle()
  work.call(0).ctx.usage({ tokens: 10 })
  await settle()
  expect((await task.record()).status).toBe('cancelled')
})

test('a bad budget is a TypeError that names it', async () => {
  const { ann } = setup()
  for (const [budget, message] of [
    [5, 'budget must be an object, got 5'],
    [{}, 'budget must be limited in tokens, cost or spawns'],
    [{ reserve: 0.5 }, 'budget must be limited in tokens, cost or spawns'],
    [{ tokens: 0 }, 'budget.tokens must be a positive finite number, got 0'],
    [{ tokens: Infinity }, 'budget.tokens must be a positive finite number, got Infinity'],
    [{ cost: -1 }, 'budget.cost must be a positive finite number, got -1'],
    [{ cost: NaN }, 'budget.cost must be a positive finite number, got NaN'],
    [{ cost: '5' }, 'budget.cost must be a positive finite number, got "5"'],
    [{ spawns: 1.5 }, 'budget.spawns must be a whole number from 0'],
    [{ spawns: -1 }, 'budget.spawns must be a whole number from 0'],
    [{ tokens: 1, reserve: 1 }, 'budget.reserve must be a number from 0 to below 1, got 1'],
    [{ tokens: 1, reserve: -0.1 }, 'budget.reserve must be a number from 0 to below 1, got -0.1'],
    [{ tokens: 1, time: 1 }, 'budget has no option "time"'],
  ] as const) {
    const call = { budget: budget as BudgetOptions }
    await expect(ann.run(() => 1, undefined as never, call)).rejects.toThrow(message)
    await expect(ann.spawn(() => 1, undefined as never, call)).rejects.toThrow(TypeError)
  }
})
