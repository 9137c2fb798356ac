import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, createBranches, KEEP_ALL, wholeLog, codeOf } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

test('cancelAll stops every tree of the owner, deepest first, and nobody else', async () => {
  const harness = setup()
  const { ann, bob, settle } = harness
  const branches = createBranches()
  for (const widths of [[], [2, 1], [1, 1, 1]]) await ann.spawn(branches.tool, widths)
  const foreign = await bob.spawn(branches.tool, [1])
  await settle()

  const report = await ann.cancelAll({ reason: 'user', note: 'logout' })

  expect(report.count).toBe(10)
  const depths = report.tasks.map(({ taskId }) => branches.byId.get(taskId)?.ctx.depth ?? -1)
  expect(depths).toEqual([3, 2, 2, 2, 1, 1, 1, 0, 0, 0])
  expect(branches.signalled).toEqual(report.tasks.map(({ taskId }) => taskId))
  for (const { ctx, reasons } of branches.byId.values()) {
    expect(reasons).toHaveLength(ctx.owner === 'bob' ? 0 : 1)
  }
  expect((await ann.stats()).byStatus).toEqual({ cancelled: 10 })
  expect((await foreign.record()).status).toBe('running')
  expect(breachesOf(await wholeLog(harness), { isComplete: false })).toEqual([])
})

test('cancelAll with nothing to cancel answers at once', async () => {
  const { ann } = setup()
  expect(await ann.cancelAll()).toEqual({ count: 0, tasks: [] })
  expect(await ann.cancelAll({ runId: 'r-1' })).toEqual({ count: 0, tasks: [] })
})

test('after cancelAll without a run the owner may start anew', async () => {
  const { ann } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(work.tool, undefined)
  expect((await ann.cancelAll()).count).toBe(1)
  const next = await ann.spawn(async () => 1, undefined)
  expect(await next.result()).toBe(1)
})

test('cancelAll with a run stops the tasks of that run, inherited by children, and no others', async () => {
  const { ann, settle } = setup()
  const branches = createBranches()
  const first = await ann.spawn(branches.tool, [2], { correlation: { runId: 'r-1', agentId: 'a' } })
  const other = await ann.spawn(branches.tool, [1], { correlation: { runId: 'r-2' } })
  const none = await ann.spawn(branches.tool, [])
  await settle()
  const inherited = branches.at(1).map(({ ctx }) => ctx.correlation)
  expect(inherited.toSorted((a, b) => (a?.runId ?? '').localeCompare(b?.runId ?? ''))).toEqual([
    { runId: 'r-1', agentId: 'a' },
    { runId: 'r-1', agentId: 'a' },
    { runId: 'r-2' },
  ])
  const report = await ann.cancelAll({ runId: 'r-1' })
  expect(report.count).toBe(3)
  expect(report.tasks.at(-1)).toEqual({ taskId: first.taskId, status: 'cancelled' })
  expect(await Promise.all([other, none].map(async (task) => (await task.record()).status))).toEqual([
    'running',
    'running',
  ])
})

test('a cancelled run refuses every later spawn under it, and only for that owner', async () => {
  const { ann, bob } = setup()
  const correlation = { runId: 'r-1' }
  await ann.cancelAll({ runId: 'r-1' })
  const quick = async (): Promise<number> => 1
  await expect(ann.spawn(quick, undefined, { correlation })).rejects.toMatchObject({ code: 'parent_stopping' })
  await expect(ann.run(quick, undefined, { correlation })).rejects.toMatchObject({ code: 'parent_stopping' })
  await expect(ann.run(quick, undefined, { correlation: { runId: 'r-2' } })).resolves.toMatchObject({ value: 1 })
  await expect(bob.run(quick, undefined, { correlation })).resolves.toMatchObject({ value: 1 })
})

test('a spawn under a cancelled run is refused although its parent belongs to another', async () => {
  const { ann } = setup()
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  await ann.cancelAll({ runId: 'r-1' })
  const { ctx } = parent.call(0)
  const child = controllableTool('child')
  await expect(ctx.spawn(child.tool, undefined, { correlation: { runId: 'r-1' } })).rejects.toMatchObject({
    code: 'parent_stopping',
  })
  await expect(ctx.spawn(child.tool, undefined, { correlation: { runId: 'r-2' } })).resolves.toBeDefined()
})

test('a run inside a run of another name is stopped once, with everything between', async () => {
  const { ann, settle, clock } = setup({ timeoutMs: Infinity })
  const work = controllableTool<string>('work', { honoursSignal: true })
  await ann.spawn(work.tool, 'outer', { correlation: { runId: 'r-1' } })
  await work.call(0).ctx.spawn(work.tool, 'between', { correlation: { runId: 'r-2' } })
  await work.call(1).ctx.spawn(work.tool, 'inner', { correlation: { runId: 'r-1' } })
  await settle()
  const report = await ann.cancelAll({ runId: 'r-1' })
  expect(report.count).toBe(3)
  expect(report.tasks.map(({ taskId }) => work.calls.find(({ ctx }) => ctx.taskId === taskId)?.input)).toEqual([
    'inner',
    'between',
    'outer',
  ])
  const [outer, between, inner] = work.calls.map(({ ctx }) => ctx)
  expect(between?.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: outer?.taskId } })
  expect(inner?.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: between?.taskId } })
  await settle()
  expect(clock.heldTimerCount()).toBe(0)
})

test('cancelAll from inside a task resolves when the signals are out', async () => {
  const { ann, settle } = setup()
  const branches = createBranches()
  await ann.spawn(branches.tool, [2])
  await settle()
  const seen: unknown[] = []
  const task = await ann.spawn(async () => void seen.push((await ann.cancelAll()).count))
  await settle()
  expect(seen).toEqual([4])
  expect((await task.record()).cause).toEqual({ reason: 'user', actor: task.taskId })
  expect((await ann.stats()).byStatus).toEqual({ cancelled: 4 })
})

test('a cancelled run stays cancelled for the whole tree while spawns race with it', async () => {
  const harness = setup({ retention: KEEP_ALL })
  const { ann, settle } = harness
  const correlation = { runId: 'r-1' }
  const refused: string[] = []
  const busy = async (_: undefined, ctx: { spawn: typeof ann.spawn; signal: AbortSignal }): Promise<void> => {
    for (let index = 0; index < 20 && !ctx.signal.aborted; index += 1) {
      await ctx.spawn({ name: 'leaf', run: async () => index }).catch((error: unknown) => refused.push(codeOf(error)))
    }
    await new Promise<void>((resolve) => {
      if (ctx.signal.aborted) resolve()
      ctx.signal.addEventListener('abort', () => resolve())
    })
  }
  const spawns = Array.from({ length: 5 }, () => ann.spawn({ name: 'busy', run: busy }, undefined, { correlation }))
  const settled = watch(Promise.allSettled(spawns))
  const cancelled = watch(ann.cancelAll({ runId: 'r-1' }))
  await settle()
  expect(settled.state).toBe('resolved')
  expect(cancelled.state).toBe('resolved')
  expect((await ann.stats()).live).toBe(0)
  expect(refused.every((code) => code === 'parent_stopping')).toBe(true)
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})
