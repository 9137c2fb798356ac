import { getEventListeners } from 'node:events'
import { AsyncResource } from 'node:async_hooks'
import { isTaskError, ParentStoppingError, type Session, type TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, createBranches, wholeLog } from '../support/branches.ts'
import { setupHeld } from '../support/held-store.ts'
import { setup, watch } from '../support/setup.ts'

const quick = { name: 'quick', run: async (): Promise<number> => 1 }

const quickNeverEnding = controllableTool('holder')

async function expectRefused(start: () => Promise<unknown>): Promise<void> {
  const attempt = watch(start())
  await Promise.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  expect(attempt.error).toBeInstanceOf(ParentStoppingError)
  expect(attempt.error).toMatchObject({ code: 'parent_stopping', retryable: false })
}

/** Every way in which a task's code can start something. */
function doors(ctx: TaskContext, session: Session): readonly (() => Promise<unknown>)[] {
  return [
    () => ctx.spawn(quick),
    () => ctx.run(quick),
    () => ctx.spawn(quick, undefined, { name: 'cleanup', onParentEnd: 'detach' }),
    () => session.spawn(quick),
    () => session.run(quick),
  ]
}

test('a stopping task can start nothing, by any door', async () => {
  const harness = setup()
  const { ann, settle } = harness
  let refused = 0
  const task = await ann.spawn(async (_: undefined, ctx) => {
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
    for (const start of doors(ctx, ann)) {
      await expectRefused(start)
      refused += 1
    }
  })
  await settle()
  const report = watch(task.cancel())
  await settle()
  await settle()
  expect(report.value).toEqual({ count: 1, tasks: [{ taskId: task.taskId, status: 'cancelled' }] })
  expect(refused).toBe(5)
  expect((await ann.list()).tasks).toHaveLength(1)
})

test('a listener of the signal can start nothing, whoever cancels', async () => {
  const { ann, settle } = setup()
  const seen: unknown[] = []
  const stubborn = await ann.spawn((_: undefined, ctx) => {
    ctx.signal.addEventListener('abort', () => {
      for (const start of doors(ctx, ann)) start().catch((error: unknown) => seen.push(error))
    })
    return new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  const canceller = await ann.spawn(async () => (await stubborn.cancel()).count)
  await settle()
  expect(await canceller.result()).toBe(1)
  expect(seen).toHaveLength(5)
  expect(seen.every((error) => isTaskError(error, 'parent_stopping'))).toBe(true)
  expect((await ann.list()).tasks.map(({ taskId }) => taskId)).toEqual([stubborn.taskId, canceller.taskId])
})

test('nothing starts below any task of a cancelled tree, however deep', async () => {
  const { ann, settle } = setup()
  const branches = createBranches({ ignoresSignal: true })
  const root = await ann.spawn(branches.tool, [2, 2, 2])
  await settle()
  const cancelled = root.cancel()
  expect(branches.byId.size).toBe(15)
  for (const { ctx } of branches.byId.values()) await expectRefused(() => ctx.spawn(quick))
  for (const { resolve } of branches.byId.values()) resolve()
  await settle()
  expect((await cancelled).count).toBe(15)
  expect((await ann.stats()).byStatus).toEqual({ cancelled: 15 })
})

test('from the moment a cancel is accepted nothing starts, although the signals come in later turns', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<number>('work')
  const root = await ann.spawn(async (_: undefined, ctx) => {
    for (let index = 0; index < 1_100; index += 1) await ctx.spawn(work.tool, index)
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  await settle()
  const cancelled = root.cancel()
  const unsignalled = work.calls.filter(({ ctx }) => !ctx.signal.aborted)
  expect(unsignalled).toHaveLength(1_100)
  const attempts = unsignalled.map(({ ctx }) => watch(ctx.spawn(quick)))
  expect(unsignalled.filter(({ ctx }) => ctx.signal.aborted)).toHaveLength(0)
  for (const call of work.calls) call.resolve(undefined)
  await settle()
  expect(attempts.every(({ error }) => isTaskError(error, 'parent_stopping'))).toBe(true)
  expect((await cancelled).count).toBe(1_101)
})

test('the code of a task that has ended can start nothing more', async () => {
  const { ann, settle } = setup()
  const later: (() => Promise<unknown>)[] = []
  const task = await ann.spawn(async (_: undefined, ctx) => {
    later.push(...doors(ctx, ann).map((start) => AsyncResource.bind(start)))
  })
  await settle()
  expect((await task.record()).status).toBe('completed')
  expect(later).toHaveLength(5)
  for (const start of later) await expectRefused(start)
  await settle()
  expect((await ann.list()).tasks).toHaveLength(1)
})

test('code that goes on after its task has returned can start nothing while children still run', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child')
  const contexts: TaskContext[] = []
  const parent = await ann.spawn(async (_: undefined, ctx) => {
    contexts.push(ctx)
    await ctx.spawn(child.tool, undefined)
  })
  await settle()
  expect((await parent.record()).status).toBe('finishing')
  await expectRefused(() => contexts[0]?.spawn(quick) ?? Promise.resolve())
  child.call(0).resolve(1)
  await settle()
  expect((await parent.record()).status).toBe('completed')
})

test('a child of a finishing parent may still have children of its own', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const child = controllableTool('child')
  const parent = await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(child.tool, undefined)))
  await settle()
  const grandchild = await child.call(0).ctx.spawn(quick)
  expect(await grandchild.result()).toBe(1)
  child.call(0).resolve(1)
  expect((await parent.wait()).status).toBe('completed')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a parent whose child was aborted with it starts no new turn', async () => {
  const { ann, settle } = setup()
  const turns: string[] = []
  const child = controllableTool('child', { honoursSignal: true })
  const agent = await ann.spawn(async (_: undefined, ctx) => {
    for (let turn = 1; turn <= 3; turn += 1) {
      turns.push(`turn ${turn}`)
      const task = await ctx.spawn(child.tool, undefined)
      // An agent that takes every failure of a tool for something to try again.
      await task.result().catch((error: unknown) => turns.push(isTaskError(error) ? error.code : 'another error'))
    }
  })
  await settle()
  const report = watch(agent.cancel())
  await settle()
  expect(report.value?.count).toBe(2)
  expect(child.calls).toHaveLength(1)
  expect(turns).toEqual(['turn 1', 'task_cancelled', 'turn 2'])
  expect((await agent.record()).status).toBe('cancelled')
})

test('a child whose admission the store answers after the cancel never runs and ends before its parent', async () => {
  const harness = setupHeld()
  const { ann, release, open, hold } = harness
  await open()
  const parent = controllableTool('parent', { honoursSignal: true })
  const child = controllableTool('child')
  const root = await ann.spawn(parent.tool, undefined)
  hold()
  const spawned = watch(parent.call(0).ctx.spawn(child.tool, undefined))
  const cancelled = watch(root.cancel())
  await release()
  await open()
  expect(cancelled.value?.tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
  expect(child.calls).toHaveLength(0)
  expect(spawned.state).toBe('resolved')
  const record = await ann.get(spawned.value?.taskId ?? '')
  expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'parent', actor: root.taskId } })
  expect(record?.startedAt).toBeUndefined()
  expect(breachesOf(await wholeLog({ ...harness, settle: release }))).toEqual([])
})

test('a parent that ends while the store refuses its child is not held up by it', async () => {
  const { ann, release, open, hold } = setupHeld()
  await open()
  const parent = controllableTool('parent')
  await ann.spawn(quickNeverEnding.tool, undefined, { name: 'taken' })
  const root = await ann.spawn(parent.tool, undefined)
  hold()
  const spawned = watch(parent.call(0).ctx.spawn(quick, undefined, { name: 'taken' }))
  parent.call(0).resolve('done')
  await release()
  await open()
  expect(spawned.error).toMatchObject({ code: 'name_taken' })
  expect(await root.record()).toMatchObject({ status: 'completed' })
})

test('a cancel does not wait for a task that the store refuses meanwhile', async () => {
  const { ann, release, open, hold, clock } = setupHeld()
  await open()
  await ann.spawn(quickNeverEnding.tool, undefined, { name: 'taken' })
  hold()
  const spawned = watch(ann.spawn(quick, undefined, { name: 'taken' }))
  const cancelled = watch(ann.cancelAll())
  quickNeverEnding.calls.at(-1)?.resolve(undefined)
  await release()
  await open()
  expect(spawned.error).toMatchObject({ code: 'name_taken' })
  expect(cancelled.state).toBe('resolved')
  expect(clock.heldTimerCount()).toBe(0)
})

test('a refused call leaves no timer and no listener on its signals', async () => {
  const { ann, release, open, hold, clock } = setupHeld()
  await open()
  const holder = await ann.spawn(quickNeverEnding.tool, undefined, { name: 'taken', timeoutMs: Infinity })
  hold()
  const before = clock.heldTimerCount()
  const signals = Array.from({ length: 9 }, () => new AbortController())
  const shared = new AbortController()
  const calls = signals.map(({ signal }) =>
    watch(ann.run(quick, undefined, { name: 'taken', signal, cancelSignal: shared.signal })),
  )
  await release()
  expect(calls.map(({ error }) => isTaskError(error, 'name_taken'))).toEqual(signals.map(() => true))
  expect(clock.heldTimerCount()).toBe(before)
  expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0)
  for (const { signal } of signals) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  await open()
  expect((await ann.get(holder.taskId))?.status).toBe('running')
})

test('a child whose admission the store never answers holds up neither its parent nor a cancel', async () => {
  const { ann, open, hold, clock, release, tasks } = setupHeld()
  await open()
  const parent = controllableTool('parent')
  const root = await ann.spawn(parent.tool, undefined)
  hold()
  const spawned = watch(parent.call(0).ctx.spawn(quick))
  await clock.advance(2_000)
  expect(spawned.error).toMatchObject({ code: 'store_unavailable', retryable: true })
  const cancelled = watch(root.cancel())
  parent.call(0).resolve('done')
  await clock.advance(2_000)
  expect(cancelled.value?.tasks.map(({ status }) => status)).toEqual(['cancelled'])
  await open()
  await clock.advance(60_000)
  await release()
  const late = (await ann.list({ parent: root.taskId })).tasks
  expect(late.map(({ status, cause }) => [status, cause?.reason])).toEqual([['cancelled', 'superseded']])
  expect((await tasks.operator.stats()).live).toBe(0)
})
