import { isTaskEvent, type OnParentEnd, type StreamItem } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, typesOf, wholeLog } from '../support/branches.ts'
import { setup, watch, type Harness } from '../support/setup.ts'

/** A parent with one child for each policy named, and the calls of both by the test's own names. */
async function family(harness: Harness, policies: readonly OnParentEnd[]) {
  const parent = controllableTool('parent', { honoursSignal: true })
  const child = controllableTool<OnParentEnd>('child', { honoursSignal: true })
  const root = await harness.ann.spawn(parent.tool, undefined)
  for (const onParentEnd of policies) await parent.call(0).ctx.spawn(child.tool, onParentEnd, { onParentEnd })
  await harness.settle()
  expect(child.calls.map(({ input }) => input)).toEqual(policies)
  return { root, parent: parent.call(0), children: child.calls }
}

function indexOfEnd(log: readonly StreamItem[], taskId: string): number {
  return log.findIndex(
    (item) => isTaskEvent(item) && item.taskId === taskId && /completed|failed|cancelled/.test(item.type),
  )
}

test('wait: a parent whose code has succeeded is finishing until its child has ended', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, ['wait'])
  parent.resolve('value')
  const result = watch(root.result())
  await settle()
  expect(await root.record()).toMatchObject({ status: 'finishing' })
  expect(result.state).toBe('pending')
  children[0]?.resolve(1)
  await settle()
  expect(result.value).toBe('value')
  expect((await ann.stats()).byStatus).toEqual({ completed: 2 })
  const log = await wholeLog(harness)
  expect(typesOf(log, root.taskId)).toEqual(['task.queued', 'task.started', 'task.finishing', 'task.completed'])
  expect(breachesOf(log)).toEqual([])
})

test('cancel: the child of a parent that has succeeded is cancelled, and the parent completes after it', async () => {
  const harness = setup()
  const { settle } = harness
  const { root, parent, children } = await family(harness, ['cancel'])
  parent.resolve('value')
  expect(await root.result()).toBe('value')
  await settle()
  const log = await wholeLog(harness)
  const childId = children[0]?.ctx.taskId ?? ''
  expect(log.find((item) => item.type === 'task.cancelled')).toMatchObject({
    taskId: childId,
    stopCause: { reason: 'parent', actor: root.taskId },
  })
  expect(indexOfEnd(log, childId)).toBeLessThan(indexOfEnd(log, root.taskId))
  expect(breachesOf(log)).toEqual([])
})

test('detach: the parent completes at once and its child goes on, with its lineage', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, ['detach'])
  parent.resolve('value')
  await settle()
  expect(await root.record()).toMatchObject({ status: 'completed' })
  const childId = children[0]?.ctx.taskId ?? ''
  expect(await ann.get(childId)).toMatchObject({
    status: 'running',
    parentId: root.taskId,
    rootId: root.taskId,
    depth: 1,
  })
  expect((await ann.list({ parent: root.taskId })).tasks.map(({ taskId }) => taskId)).toEqual([childId])
  children[0]?.resolve('own end')
  expect(await ann.result(childId)).toBe('own end')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a detached child survives a cancel of its former tree, and is still reached by a cancel of all', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, ['detach'])
  const grandchild = await children[0]?.ctx.spawn({ name: 'below', run: () => new Promise(() => undefined) })
  parent.resolve(undefined)
  await settle()
  expect(await root.cancel()).toEqual({ count: 0, tasks: [{ taskId: root.taskId, status: 'completed' }] })
  expect(children[0]?.ctx.signal.aborted).toBe(false)
  const all = watch(ann.cancelAll())
  await harness.advance(5_000)
  expect(all.value?.tasks.map(({ taskId }) => taskId)).toEqual([grandchild?.taskId, children[0]?.ctx.taskId])
})

test('detach does not save a child from a cancel while its parent lives', async () => {
  const harness = setup()
  const { root, children } = await family(harness, ['detach'])
  const report = await root.cancel()
  expect(report.count).toBe(2)
  expect(children[0]?.ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: root.taskId } })
})

test('each child of one parent follows its own policy', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, ['wait', 'cancel', 'detach', 'wait'])
  parent.resolve('value')
  await settle()
  const statuses = async (): Promise<unknown[]> =>
    Promise.all(children.map(async ({ ctx }) => (await ann.get(ctx.taskId))?.status))
  expect(await statuses()).toEqual(['running', 'cancelled', 'running', 'running'])
  expect((await root.record()).status).toBe('finishing')
  children[0]?.resolve(1)
  await settle()
  expect((await root.record()).status).toBe('finishing')
  children[3]?.reject(new Error('a failure that is isolated'))
  await settle()
  expect((await root.record()).status).toBe('completed')
  expect(await statuses()).toEqual(['completed', 'cancelled', 'running', 'failed'])
})

test('a parent whose own code fails cancels its children, and fails after them', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, ['wait', 'cancel', 'detach'])
  parent.reject(new Error('broken'))
  await settle()
  const [waiting, cancelled, detached] = children.map(({ ctx }) => ctx.taskId)
  expect(await root.record()).toMatchObject({ status: 'failed', failure: { code: 'tool_error', message: 'broken' } })
  for (const taskId of [waiting, cancelled]) {
    expect(await ann.get(taskId ?? '')).toMatchObject({
      status: 'cancelled',
      cause: { reason: 'parent', actor: root.taskId },
    })
  }
  expect(await ann.get(detached ?? '')).toMatchObject({ status: 'running' })
  children[2]?.resolve(1)
  await settle()
  const log = await wholeLog(harness)
  expect(indexOfEnd(log, waiting ?? '')).toBeLessThan(indexOfEnd(log, root.taskId))
  expect(breachesOf(log)).toEqual([])
})

test('a failing parent is stopping until its children have settled, and accepts no other cause', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const stubborn = controllableTool('stubborn')
  const parent = controllableTool('parent')
  const root = await ann.spawn(parent.tool, undefined)
  await parent.call(0).ctx.spawn(stubborn.tool, undefined)
  parent.call(0).reject(new Error('broken'))
  await settle()
  expect(await root.record()).toMatchObject({ status: 'stopping' })
  const cancelled = watch(root.cancel())
  stubborn.call(0).resolve(1)
  await settle()
  expect(cancelled.value?.tasks.map(({ status }) => status)).toEqual(['cancelled', 'failed'])
  const record = await root.record()
  expect(record).toMatchObject({ status: 'failed', failure: { code: 'tool_error' } })
  expect(record.cause).toBeUndefined()
})

test('cancelling a finishing parent cancels the children it waits for', async () => {
  const harness = setup()
  const { root, parent, children } = await family(harness, ['wait', 'wait'])
  parent.resolve('value')
  await harness.settle()
  const report = await root.cancel()
  expect(report.tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled'])
  expect(children.every(({ ctx }) => ctx.signal.aborted)).toBe(true)
  await expect(root.result()).rejects.toMatchObject({ code: 'task_cancelled' })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a finishing parent completes after all its children, whatever the order of their ends', async () => {
  const harness = setup()
  const { root, parent, children } = await family(harness, ['wait', 'wait', 'wait'])
  parent.resolve('value')
  for (const index of [2, 0, 1]) {
    await harness.settle()
    expect((await root.record()).status).toBe('finishing')
    children[index]?.resolve(index)
  }
  expect(await root.result()).toBe('value')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a caller who awaits the parent inline gets the value once the children have ended', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child')
  const call = watch(
    ann.run(async (_: undefined, ctx) => {
      await ctx.spawn(child.tool, undefined)
      return 'value'
    }, undefined),
  )
  await settle()
  expect(call.state).toBe('pending')
  child.call(0).resolve(1)
  await settle()
  expect(call.value).toEqual({ kind: 'inline', value: 'value', persisted: false, taskId: 'task-1' })
})

test('the policy of a spawn call goes before that of the tool', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child', { honoursSignal: true, policy: { onParentEnd: 'cancel' } })
  await ann.spawn(async (_: undefined, ctx) => {
    await ctx.spawn(child.tool, undefined)
    await ctx.spawn(child.tool, undefined, { onParentEnd: 'detach' })
  })
  await settle()
  expect(child.calls.map(({ ctx }) => ctx.signal.aborted)).toEqual([true, false])
})
