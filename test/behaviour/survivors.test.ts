import { getEventListeners } from 'node:events'
import { isTaskEvent } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, typesOf, wholeLog } from '../support/branches.ts'
import { isLateStore, setup, watch } from '../support/setup.ts'

test('a task that a subscriber cancels on its first event never runs, and ends once', async () => {
  const harness = setup()
  const { ann, tasks, settle } = harness
  const work = controllableTool('work')
  const reports: Promise<unknown>[] = []
  const subscription = tasks.operator.events$({ after: 'now', type: 'task.queued' }).subscribe((item) => {
    if (isTaskEvent(item)) reports.push(ann.cancel(item.taskId))
  })
  await settle()
  const spawned = watch(ann.spawn(work.tool, undefined))
  await settle()
  subscription.unsubscribe()
  const [record] = (await ann.list()).tasks
  expect(reports).toHaveLength(1)
  expect(record?.status).toBe(work.calls.length === 0 ? 'cancelled' : 'stopping')
  // A store that answers late tells of the task when its code has been called already.
  if (!isLateStore) expect(work.calls).toHaveLength(0)
  work.calls[0]?.resolve(1)
  await settle()
  expect(spawned.state).toBe('resolved')
  expect(await Promise.all(reports)).toHaveLength(1)
  const log = await wholeLog(harness)
  expect(typesOf(log, record?.taskId ?? '').filter((type) => type === 'task.cancelled')).toHaveLength(1)
  expect(breachesOf(log)).toEqual([])
})

test('a call that a subscriber cancels when its ticket is out ends once', async () => {
  const harness = setup()
  const { ann, tasks, settle } = harness
  const work = controllableTool('work', { honoursSignal: true })
  const subscription = tasks.operator.events$({ after: 'now', type: 'task.backgrounded' }).subscribe((item) => {
    if (isTaskEvent(item)) ann.cancel(item.taskId).catch(() => undefined)
  })
  await settle()
  const call = watch(ann.run(work.tool, undefined, { inlineMs: 0 }))
  await settle()
  subscription.unsubscribe()
  expect(call.state).not.toBe('pending')
  const log = await wholeLog(harness)
  const [record] = (await ann.list()).tasks
  expect(record?.status).toBe('cancelled')
  expect(log.filter(({ type }) => type === 'task.cancelled')).toHaveLength(1)
  expect(breachesOf(log)).toEqual([])
})

test('a task that waits for its start deep in a stack is cancelled by the code above it and never runs', async () => {
  const harness = setup({ limits: { maxDepth: Infinity } })
  const { ann, settle } = harness
  const started: number[] = []
  const attempts: ReturnType<typeof watch>[] = []
  const nest = {
    name: 'nest',
    run: (
      left: number,
      ctx: { spawn: typeof ann.spawn; readonly depth: number; readonly rootId: string },
    ): Promise<void> => {
      started.push(ctx.depth)
      attempts.push(watch(ctx.spawn(nest, left - 1)))
      // In the same turn: none of the tasks that just came to be has had a turn of its own.
      if (left === 1) attempts.push(watch(ann.cancel(ctx.rootId)))
      return new Promise((resolve) => setImmediate(resolve))
    },
  }
  // Code is called on the stack of its parent up to 32 times; these are the depths at which the next one has to wait.
  for (const depth of [32, 64, 96]) {
    started.length = 0
    await ann.spawn(nest, depth)
    await settle()
    expect(started).toEqual(Array.from({ length: depth }, (_, index) => index))
  }
  await settle()
  expect(attempts.map(({ state }) => state)).toEqual(attempts.map(() => 'resolved'))
  const log = await wholeLog(harness)
  expect(log.filter(({ type }) => type === 'task.cancelled')).toHaveLength(33 + 65 + 97)
  expect(breachesOf(log)).toEqual([])
})

test('siblings and strangers survive whatever happens beside them', async () => {
  const { ann, settle, advance } = setup({ graceMs: 1_000 })
  const quiet = controllableTool<string>('quiet')
  const loud = controllableTool<string>('loud', { policy: { timeoutMs: 2_000 } })
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  const { ctx } = parent.call(0)
  const sibling = await ctx.spawn(quiet.tool, 'sibling')
  const stranger = await ann.spawn(quiet.tool, 'stranger')
  for (const input of ['throws', 'is cancelled', 'is abandoned', 'times out']) await ctx.spawn(loud.tool, input)
  await settle()
  loud.call(0).reject(new Error('broken'))
  const cancelled = [watch(ann.cancel(loud.call(1).ctx.taskId)), watch(ann.cancel(loud.call(2).ctx.taskId))]
  loud.call(1).resolve(undefined)
  await advance(5_000)
  expect(cancelled.map(({ state }) => state)).toEqual(['resolved', 'resolved'])
  expect((await ann.stats()).byStatus).toEqual({ running: 3, failed: 2, cancelled: 2 })
  for (const call of quiet.calls) call.resolve(call.input)
  expect([await sibling.result(), await stranger.result()]).toEqual(['sibling', 'stranger'])
})

test('a shared signal keeps no listener of calls and waits that are over', async () => {
  const { ann, settle, advance } = setup({ inlineMs: 1_000 })
  const shared = new AbortController()
  const { signal } = shared
  const work = controllableTool<number>('work')
  const calls = [0, 1, 2].map((index) => watch(ann.run(work.tool, index, { signal, cancelSignal: signal })))
  await settle()
  work.call(0).resolve('value')
  work.call(1).reject(new Error('broken'))
  await advance(1_000)
  expect(calls.map(({ state }) => state)).toEqual(['resolved', 'rejected', 'resolved'])
  const wait = watch(ann.result(work.call(2).ctx.taskId, { signal, waitMs: 500 }))
  await advance(500)
  expect(wait.error).toMatchObject({ code: 'wait_timeout' })
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})
