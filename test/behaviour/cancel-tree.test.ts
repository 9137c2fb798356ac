import { isTaskError, type CancelReport, type TaskHandle } from 'outlive'
import { controllableTool, passTurns } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, createBranches, KEEP_ALL, typesOf, wholeLog } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

test('cancelling the root of 1 + 10 + 100 + 1,000 tasks signals each once and ends children before parents', async () => {
  const harness = setup({ retention: KEEP_ALL, limits: { maxLive: 2_000 } })
  const { ann, tasks, settle } = harness
  const branches = createBranches()
  const root = await ann.spawn(branches.tool, [10, 10, 10])
  await settle()
  expect(branches.byId.size).toBe(1_111)

  const report = await root.cancel({ note: 'enough' })

  expect(report.count).toBe(1_111)
  expect(report.tasks.every(({ status }) => status === 'cancelled')).toBe(true)
  expect(new Set(report.tasks.map(({ taskId }) => taskId)).size).toBe(1_111)
  const depths = report.tasks.map(({ taskId }) => branches.byId.get(taskId)?.ctx.depth ?? -1)
  expect(depths).toEqual(depths.toSorted((a, b) => b - a))
  expect(branches.signalled).toEqual(report.tasks.map(({ taskId }) => taskId))

  for (const [taskId, { ctx, reasons }] of branches.byId) {
    expect(reasons).toHaveLength(1)
    expect(reasons[0]).toMatchObject({ name: 'TaskStoppedError', code: 'task_stopped', taskId })
    expect(reasons[0]?.stopCause).toEqual(
      ctx.depth === 0 ? { reason: 'user', actor: 'ann', note: 'enough' } : { reason: 'parent', actor: ctx.parentId },
    )
  }
  expect(await tasks.operator.stats()).toMatchObject({ live: 0, byStatus: { cancelled: 1_111 } })
  const log = await wholeLog(harness)
  expect(log.filter(({ type }) => type === 'task.cancelled')).toHaveLength(1_111)
  expect(breachesOf(log)).toEqual([])
})

test('cancelling a subtree leaves its siblings and everything above untouched', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const branches = createBranches()
  await ann.spawn(branches.tool, [3, 2])
  await settle()
  const [left, middle, right] = branches.at(1)
  const report = await ann.cancel(middle?.ctx.taskId ?? '')
  expect(report.count).toBe(3)
  await settle()
  const untouched = [
    branches.only(0),
    left,
    right,
    ...branches.at(2).filter(({ ctx }) => ctx.parentId !== middle?.ctx.taskId),
  ]
  expect(untouched).toHaveLength(7)
  for (const branch of untouched) {
    expect(branch?.reasons).toEqual([])
    expect(await ann.get(branch?.ctx.taskId ?? '')).toMatchObject({ status: 'running' })
  }
  expect((await ann.stats()).byStatus).toEqual({ running: 7, cancelled: 3 })
})

test('a cancel reports how each task ended, deepest first, and a second one changes nothing', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const branches = createBranches({ ignoresSignal: true })
  const root = await ann.spawn(branches.tool, [1])
  await settle()
  const [parent, child] = [branches.only(0), branches.only(1)]
  const first = watch(root.cancel())
  const second = watch(root.cancel({ reason: 'superseded' }))
  await settle()
  expect([first.state, second.state]).toEqual(['pending', 'pending'])
  child.resolve('late')
  parent.resolve('late')
  await settle()

  const expected: CancelReport = {
    count: 2,
    tasks: [
      { taskId: child.ctx.taskId, status: 'cancelled' },
      { taskId: parent.ctx.taskId, status: 'cancelled' },
    ],
  }
  expect(first.value).toEqual(expected)
  expect(second.value).toEqual(expected)
  expect([parent.reasons.length, child.reasons.length]).toEqual([1, 1])
  expect((await root.record()).cause).toEqual({ reason: 'user', actor: 'ann' })
  expect(await root.cancel()).toEqual({ count: 0, tasks: [{ taskId: root.taskId, status: 'cancelled' }] })
  const log = await wholeLog(harness)
  expect(typesOf(log, root.taskId)).toEqual(['task.queued', 'task.started', 'task.stopping', 'task.cancelled'])
  expect(breachesOf(log)).toEqual([])
})

test('cancelling a completed task counts nothing and leaves its outcome', async () => {
  const { ann, settle } = setup()
  const task = await ann.spawn(async () => 7, undefined)
  await settle()
  expect(await task.cancel()).toEqual({ count: 0, tasks: [{ taskId: task.taskId, status: 'completed' }] })
  expect(await task.result()).toBe(7)
})

test('a task that failed or timed out below a cancelled one keeps its own end', async () => {
  const { ann, settle, advance } = setup()
  const branches = createBranches()
  const root = await ann.spawn(branches.tool, [1])
  await settle()
  branches.only(1).reject(new Error('on its own'))
  await settle()
  const report = await root.cancel()
  expect(report.count).toBe(1)
  expect(await ann.get(branches.only(1).ctx.taskId)).toMatchObject({
    status: 'failed',
    failure: { message: 'on its own' },
  })
  await advance(60_000)
  expect(branches.only(1).reasons).toEqual([])
})

test('cancel called by a leaf on its own tree resolves with the leaf and its ancestors stopping', async () => {
  const harness = setup()
  const { ann, settle, tasks } = harness
  const reports: CancelReport[] = []
  const statuses: (string | undefined)[] = []
  const ids: string[] = []
  const leaf = async (rootId: string): Promise<string> => {
    reports.push(await ann.cancel(rootId))
    statuses.push((await ann.get(rootId))?.status)
    return 'the leaf may still clean up'
  }
  const middle = controllableTool<string>('middle', { honoursSignal: false })
  const root = await ann.spawn(async (_: undefined, ctx) => {
    ids.push(ctx.taskId)
    const child = await ctx.spawn(middle.tool, ctx.taskId)
    ids.push(child.taskId)
    await new Promise((_resolve, reject) =>
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error)),
    )
  })
  await settle()
  const grandchild = await middle.call(0).ctx.spawn({ name: 'leaf', run: leaf }, root.taskId)
  ids.push(grandchild.taskId)
  await settle()

  expect(reports).toHaveLength(1)
  expect(reports[0]).toEqual({
    count: 3,
    tasks: ids.toReversed().map((taskId) => ({ taskId, status: 'stopping' })),
  })
  expect(statuses).toEqual(['stopping'])
  expect((await ann.get(root.taskId))?.status).toBe('stopping')
  middle.call(0).resolve(undefined)
  await settle()
  expect((await tasks.operator.stats()).byStatus).toEqual({ cancelled: 3 })
  expect((await ann.get(root.taskId))?.cause).toEqual({ reason: 'user', actor: grandchild.taskId })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a task may cancel itself and still return: it ends as cancelled', async () => {
  const { ann, settle } = setup()
  const seen: unknown[] = []
  const task = await ann.spawn(async (_: undefined, ctx) => {
    seen.push(await ann.cancel(ctx.taskId), ctx.signal.aborted)
    return 'ignored'
  })
  await settle()
  expect(seen).toEqual([{ count: 1, tasks: [{ taskId: task.taskId, status: 'stopping' }] }, true])
  await expect(task.result()).rejects.toMatchObject({
    code: 'task_cancelled',
    stopCause: { reason: 'user', actor: task.taskId },
  })
})

test('a signal that is first read after the stop has its reason at once', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  await settle()
  expect(work.call(0).ctx.signal.aborted).toBe(true)
  expect(work.call(0).ctx.signal.reason).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'user' } })
  work.call(0).resolve(1)
  expect((await cancelled).tasks).toEqual([{ taskId: task.taskId, status: 'cancelled' }])
})

test('a value returned after the cancel does not complete the task', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).resolve('too late')
  await settle()
  expect((await cancelled).count).toBe(1)
  expect((await task.record()).status).toBe('cancelled')
  await expect(task.result()).rejects.toMatchObject({ code: 'task_cancelled' })
})

test('a rejection after the cancel leaves the task cancelled and nothing unhandled', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).reject(new Error('too late'))
  await settle()
  expect((await cancelled).count).toBe(1)
  const record = await task.record()
  expect(record.status).toBe('cancelled')
  expect(record.failure).toBeUndefined()
})

test('whoever awaits a cancelled call inline gets a TaskCancelledError with the cause', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  await ann.cancel(work.call(0).ctx.taskId, { note: 'changed my mind' })
  await settle()
  expect(isTaskError(call.error, 'task_cancelled')).toBe(true)
  expect(call.error).toMatchObject({ stopCause: { reason: 'user', actor: 'ann', note: 'changed my mind' } })
})

test('a task 1,000 deep is cancelled from its root', async () => {
  const harness = setup({ limits: { maxDepth: 1_000 }, retention: KEEP_ALL })
  const { ann, settle } = harness
  const branches = createBranches()
  const root = await ann.spawn(
    branches.tool,
    Array.from({ length: 1_000 }, () => 1),
  )
  await settle()
  expect(branches.byId.size).toBe(1_001)
  const report = await root.cancel()
  expect(report.count).toBe(1_001)
  expect(report.tasks[0]?.taskId).toBe(branches.only(1_000).ctx.taskId)
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a task that ends before its slice of a large cancel keeps its outcome', async () => {
  const harness = setup({ retention: KEEP_ALL })
  const { ann, clock, settle } = harness
  const work = controllableTool<number, string>('work')
  const handles: TaskHandle<string>[] = []
  const root = await ann.spawn(async (_: undefined, ctx) => {
    for (let index = 0; index < 1_500; index += 1) handles.push(await ctx.spawn(work.tool, index))
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  await settle()
  expect(work.calls).toHaveLength(1_500)

  const cancelled = watch(root.cancel())
  // Each slice has a turn of its own, and the first of them is out.
  await passTurns(1)
  expect(clock.pendingTurns()).toBeGreaterThan(0)
  const waiting = work.calls.filter(({ ctx }) => !ctx.signal.aborted)
  expect(waiting.length).toBe(500)
  const early = waiting[0]
  early?.resolve('in time')
  await Promise.resolve()
  await Promise.resolve()
  await settle()
  for (const call of work.calls) call.resolve('too late')
  await settle()

  expect(cancelled.value?.count).toBe(1_501)
  const kept = cancelled.value?.tasks.filter(({ status }) => status !== 'cancelled')
  expect(kept).toEqual([{ taskId: early?.ctx.taskId, status: 'completed' }])
  expect(await ann.result(early?.ctx.taskId ?? '')).toBe('in time')
  expect((await root.record()).status).toBe('cancelled')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('the name of a task stays taken while the task is stopping and is free after its end', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { name: 'reader' })
  const cancelled = task.cancel()
  await settle()
  expect((await task.record()).status).toBe('stopping')
  await expect(ann.spawn(work.tool, undefined, { name: 'READER' })).rejects.toMatchObject({ code: 'name_taken' })
  work.call(0).resolve(1)
  await cancelled
  const next = await ann.spawn(work.tool, undefined, { name: 'reader' })
  expect((await next.record()).name).toBe('reader')
})

test('a second child with a name in use is refused and the first stays controllable', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child', { honoursSignal: true })
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  const { ctx } = parent.call(0)
  const first = await ctx.spawn(child.tool, undefined, { name: 'helper' })
  await expect(ctx.spawn(child.tool, undefined, { name: 'helper' })).rejects.toMatchObject({ code: 'name_taken' })
  await settle()
  expect(child.calls).toHaveLength(1)
  expect((await ann.stats()).live).toBe(2)
  expect(await first.cancel()).toEqual({ count: 1, tasks: [{ taskId: first.taskId, status: 'cancelled' }] })
  await expect(ctx.spawn(child.tool, undefined, { name: 'helper' })).resolves.toBeDefined()
})

test('cancelling a foreign or unknown task is not found and stops nothing', async () => {
  const { ann, bob } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  await expect(bob.cancel(task.taskId)).rejects.toMatchObject({ code: 'task_not_found' })
  await expect(bob.cancel('nothing')).rejects.toMatchObject({ code: 'task_not_found' })
  expect(work.call(0).ctx.signal.aborted).toBe(false)
})

test('a cancelSignal cancels the call with everything below it', async () => {
  const { ann, settle } = setup()
  const branches = createBranches({ policy: { inlineMs: 60_000 } })
  const stop = new AbortController()
  const call = watch(ann.run(branches.tool, [2], { cancelSignal: stop.signal }))
  await settle()
  expect(branches.byId.size).toBe(3)
  stop.abort(new Error('the reason is the caller’s own'))
  await settle()
  expect(call.error).toMatchObject({ code: 'task_cancelled', stopCause: { reason: 'user', actor: 'ann' } })
  expect((await ann.stats()).byStatus).toEqual({ cancelled: 3 })
})
