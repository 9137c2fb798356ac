import { defineTool, isTaskError } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { collect, watch } from '../../support/setup.ts'

const RECONCILE_MS = 2_000

/** A parent in one process, and a session of another process inside it. */
async function setupTree(given: { readonly wakes?: boolean; readonly onChildFailure?: 'fail' } = {}) {
  const nodes = setupNodes(given)
  const child = controllableTool<undefined, string>('child', { honoursSignal: true })
  const parent = controllableTool<undefined, string>('parent', {
    honoursSignal: true,
    policy: given.onChildFailure === undefined ? {} : { onChildFailure: given.onChildFailure },
  })
  const [a, b] = [await nodes.start(), await nodes.start()]
  const { taskId } = await a.ann.spawn(parent.tool, undefined)
  await nodes.settle()
  const inside = b.tasks.session({ owner: 'ann', parentId: taskId })
  const withinMs = given.wakes === false ? 2 * RECONCILE_MS + 100 : 300
  const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
    promise.catch(() => undefined)
    await nodes.advance(withinMs)
    return promise
  }
  const spawnBelow = async () => {
    const handle = await soon(inside.spawn(child.tool, undefined))
    await nodes.settle()
    return handle
  }
  return { ...nodes, a, b, child, parent, taskId, inside, soon, withinMs, spawnBelow }
}

describe.each([true, false])('a child in another process than its parent, with hints: %s', (wakes) => {
  test('is a child like any other, and its parent ends after it', async () => {
    const { a, b, child, parent, taskId, spawnBelow, advance, withinMs } = await setupTree({ wakes })
    const below = await spawnBelow()
    expect(await b.ann.get(below.taskId)).toMatchObject({
      parentId: taskId,
      rootId: taskId,
      depth: 1,
      status: 'running',
    })
    expect((await a.ann.stats()).byStatus).toEqual({ running: 2 })
    parent.call(0).resolve('own part')
    await advance(withinMs)
    expect((await b.ann.get(taskId))?.status).toBe('finishing')
    child.call(0).resolve('other part')
    await advance(2 * withinMs)
    expect(await b.ann.get(taskId)).toMatchObject({ status: 'completed' })
    expect(await a.ann.result(below.taskId)).toBe('other part')
    const { items } = collect(a.ann.events())
    await advance(withinMs)
    expect(verifyLog(items)).toEqual([])
    expect(new Set(items.map((item) => 'taskId' in item && item.taskId))).toEqual(new Set([taskId, below.taskId]))
  })

  test('is cancelled with its parent, within the time of a look, and named in the report', async () => {
    const { a, child, taskId, spawnBelow, soon } = await setupTree({ wakes })
    const below = await spawnBelow()
    const report = await soon(a.ann.cancel(taskId))
    expect(report).toEqual({
      count: 2,
      tasks: [
        { taskId: below.taskId, status: 'cancelled' },
        { taskId, status: 'cancelled' },
      ],
    })
    expect(child.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: taskId } })
    expect((await a.ann.get(below.taskId))?.cause).toEqual({ reason: 'parent', actor: taskId })
  })

  test('never starts when it is still queued as the cancel comes', async () => {
    const nodes = setupNodes({ wakes })
    const work = controllableTool<undefined, string>('work', { honoursSignal: true })
    const a = await nodes.start()
    const b = await nodes.start({ limits: { maxRunning: 1 } })
    await b.ann.spawn(controllableTool('holder').tool, undefined)
    const { taskId } = await a.ann.spawn(work.tool, undefined)
    await nodes.settle()
    const spawning = watch(b.tasks.session({ owner: 'ann', parentId: taskId }).spawn(work.tool, undefined))
    await nodes.advance(RECONCILE_MS * 2)
    expect(spawning.state).toBe('resolved')
    const cancelled = watch(a.ann.cancel(taskId))
    await nodes.advance(RECONCILE_MS * 2)
    expect(cancelled.value?.count).toBe(2)
    expect(work.calls).toHaveLength(1)
  })
})

test('what fails there fails its parent where that says so', async () => {
  const { a, child, taskId, spawnBelow, advance } = await setupTree({ onChildFailure: 'fail' })
  await spawnBelow()
  child.call(0).reject(new Error('broken'))
  await advance(500)
  expect(await a.ann.get(taskId)).toMatchObject({ status: 'failed', failure: { code: 'child_failed' } })
})

test('nothing starts below a parent that has ended, is stopping, is unknown or is somebody else’s', async () => {
  const { a, b, taskId, inside, soon, child } = await setupTree()
  const codeOf = async (promise: Promise<unknown>): Promise<unknown> => {
    const error: unknown = await soon(promise.catch((thrown: unknown) => thrown))
    return isTaskError(error) ? error.code : error
  }
  for (const parentId of ['unknown', 'task-0']) {
    expect(await codeOf(b.tasks.session({ owner: 'ann', parentId }).spawn(child.tool, undefined))).toBe(
      'task_not_found',
    )
  }
  expect(await codeOf(b.tasks.session({ owner: 'bob', parentId: taskId }).spawn(child.tool, undefined))).toBe(
    'task_not_found',
  )
  await soon(a.ann.cancel(taskId))
  expect(await codeOf(inside.spawn(child.tool, undefined))).toBe('parent_stopping')
  expect(child.calls).toHaveLength(0)
  expect(() => b.tasks.session({ owner: 'ann', parentId: 7 as never })).toThrow(TypeError)
})

test('nothing starts below a task whose code does not run yet: one that waits for its turn, one before its next attempt', async () => {
  const nodes = setupNodes()
  const child = controllableTool('child')
  const failing = defineTool({
    name: 'failing',
    policy: { retry: { maxAttempts: 2, baseMs: 60_000, jitter: 'none' } },
    run: () => Promise.reject(new Error('broken')),
  })
  const a = await nodes.start({ limits: { maxRunning: 1 } })
  const b = await nodes.start()
  const retrying = await a.ann.spawn(failing, undefined)
  await nodes.settle()
  await a.ann.spawn(controllableTool('holder').tool, undefined)
  const queued = await a.ann.spawn(child.tool, undefined)
  await nodes.settle()
  const statuses = await Promise.all([retrying, queued].map(async ({ taskId }) => (await a.ann.get(taskId))?.status))
  expect(statuses).toEqual(['retrying', 'queued'])
  const codesBelow = async (taskId: string): Promise<unknown[]> => {
    const codes: unknown[] = []
    for (const { tasks } of [a, b]) {
      const spawning = watch(tasks.session({ owner: 'ann', parentId: taskId }).spawn(child.tool, undefined))
      await nodes.advance(300)
      codes.push(isTaskError(spawning.error) ? spawning.error.code : spawning.state)
    }
    return codes
  }
  expect(await codesBelow(queued.taskId)).toEqual(['not_allowed', 'not_allowed'])
  expect(await codesBelow(retrying.taskId)).toEqual(['parent_stopping', 'parent_stopping'])
  expect(child.calls).toHaveLength(0)
})

test('nothing starts below a task that was taken up again, before its next attempt', async () => {
  const nodes = setupNodes()
  const child = controllableTool('child')
  const parent = defineTool({
    name: 'parent',
    policy: { recovery: 'rerun' },
    run: () => new Promise<never>(() => undefined),
  })
  const a = await nodes.start({ tools: [parent] })
  const b = await nodes.start({ tools: [parent], limits: { maxRunning: 1 } })
  await b.ann.spawn(controllableTool('holder').tool, undefined)
  const { taskId } = await a.ann.spawn(parent, undefined)
  await nodes.settle()
  a.kill()
  await nodes.advance(3 * LEASE_MS)
  expect((await b.ann.get(taskId))?.status).toBe('retrying')
  const spawning = watch(b.tasks.session({ owner: 'ann', parentId: taskId }).spawn(child.tool, undefined))
  await nodes.advance(300)
  expect(spawning.error).toMatchObject({ code: 'not_allowed', taskId })
})

test.each(['here', 'elsewhere'])(
  'what somebody runs below a parent that is %s is a task of record from the beginning',
  async (where) => {
    const { a, b, child, taskId, soon } = await setupTree()
    const inside = (where === 'here' ? a : b).tasks.session({ owner: 'ann', parentId: taskId })
    const running = watch(inside.run(child.tool, undefined, { inlineMs: Infinity }))
    await soon(Promise.resolve())
    const { tasks } = await b.ann.list({ parent: taskId })
    expect(tasks).toMatchObject([{ status: 'running' }])
    expect(running.state).toBe('pending')
    child.call(0).resolve('done')
    await soon(Promise.resolve())
    expect(running.value).toMatchObject({ kind: 'inline', value: 'done' })
  },
)

test('what is queued says where its parent runs, and what its end means for it', async () => {
  const { a, b, child, parent, taskId, inside, soon } = await setupTree()
  const there = await soon(inside.spawn(child.tool, undefined, { onParentEnd: 'cancel' }))
  const here = await a.tasks.session({ owner: 'ann', parentId: taskId }).spawn(parent.tool, undefined)
  const { items } = collect(b.ann.events())
  await soon(Promise.resolve())
  const queued = (id: string) => items.find((item) => item.type === 'task.queued' && item.taskId === id)
  expect(queued(there.taskId)).toMatchObject({ parentId: taskId, parent: 'elsewhere', onParentEnd: 'cancel' })
  expect(queued(here.taskId)).toMatchObject({ parentId: taskId })
  for (const key of ['parent', 'onParentEnd']) expect(queued(here.taskId)).not.toHaveProperty(key)
})

test('a parent in the same process is found there', async () => {
  const { a, child, taskId, settle } = await setupTree()
  const below = await a.tasks.session({ owner: 'ann', parentId: taskId }).spawn(child.tool, undefined)
  await settle()
  expect(await a.ann.get(below.taskId)).toMatchObject({ parentId: taskId, depth: 1 })
})

test('limits of the parent hold: depth, children, and what was refused leaves no debt', async () => {
  const nodes = setupNodes()
  const work = controllableTool<undefined, string>('work', { honoursSignal: true })
  const a = await nodes.start({ limits: { maxChildren: 1 } })
  const b = await nodes.start()
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await nodes.settle()
  const inside = b.tasks.session({ owner: 'ann', parentId: taskId })
  const first = watch(inside.spawn(work.tool, undefined, { name: 'one' }))
  await nodes.advance(300)
  expect(first.state).toBe('resolved')
  const second = watch(inside.spawn(work.tool, undefined))
  await nodes.advance(300)
  expect(second.error).toMatchObject({ code: 'children_exceeded' })
  work.call(1).resolve('done')
  await nodes.advance(300)
  const taken = watch(b.ann.spawn(work.tool, undefined, { name: 'taken' }))
  await nodes.advance(300)
  expect(taken.state).toBe('resolved')
  const refused = watch(inside.spawn(work.tool, undefined, { name: 'taken' }))
  await nodes.advance(300)
  expect(refused.error).toMatchObject({ code: 'name_taken' })
  work.call(0).resolve('done')
  await nodes.advance(3_000)
  expect((await a.ann.get(taskId))?.status).toBe('completed')
})

test('a child whose parent’s process dies is stopped, before anything is decided about the parent', async () => {
  const nodes = setupNodes()
  const child = controllableTool<string, string>('child', { honoursSignal: true })
  const parent = defineTool({
    name: 'parent',
    policy: { recovery: 'rerun' },
    run: async (_input: undefined, ctx) => (ctx.attempt === 1 ? new Promise<never>(() => undefined) : 'second'),
  })
  const [a, b, c] = [
    await nodes.start({ tools: [parent] }),
    await nodes.start(),
    await nodes.start({ tools: [parent] }),
  ]
  const { taskId } = await a.ann.spawn(parent, undefined)
  await nodes.settle()
  const spawning = watch(b.tasks.session({ owner: 'ann', parentId: taskId }).spawn(child.tool, 'of the first'))
  await nodes.advance(300)
  a.kill()
  await nodes.advance(4 * LEASE_MS)
  expect(child.call(0).ctx.signal.aborted).toBe(true)
  expect((await b.ann.get(spawning.value?.taskId ?? ''))?.cause).toEqual({ reason: 'parent', actor: taskId })
  expect(await c.ann.result(taskId)).toBe('second')
  const { items } = collect(c.ann.events())
  await nodes.settle()
  expect(verifyLog(items)).toEqual([])
})

test('a child whose parent’s process dies is stopped by its own process when no other is left, and the parent runs again there', async () => {
  const nodes = setupNodes()
  const child = controllableTool<string, string>('child', { honoursSignal: true })
  const parent = defineTool({
    name: 'parent',
    policy: { recovery: 'rerun' },
    run: async (_input: undefined, ctx) => (ctx.attempt === 1 ? new Promise<never>(() => undefined) : 'second'),
  })
  const [a, b] = [await nodes.start({ tools: [parent] }), await nodes.start({ tools: [parent] })]
  const { taskId } = await a.ann.spawn(parent, undefined)
  await nodes.settle()
  const spawning = watch(b.tasks.session({ owner: 'ann', parentId: taskId }).spawn(child.tool, 'of the first'))
  await nodes.advance(300)
  a.kill()
  await nodes.advance(4 * LEASE_MS)
  expect(child.call(0).ctx.signal.aborted).toBe(true)
  expect((await b.ann.get(spawning.value?.taskId ?? ''))?.cause).toEqual({ reason: 'parent', actor: taskId })
  expect(await b.ann.result(taskId)).toBe('second')
  const { items } = collect(b.ann.events())
  await nodes.settle()
  expect(verifyLog(items)).toEqual([])
})

test('a child whose own process dies fails, and its parent hears of it', async () => {
  const { a, b, child, parent, taskId, spawnBelow, advance } = await setupTree()
  const below = await spawnBelow()
  b.kill()
  parent.call(0).resolve('own part')
  await advance(3 * LEASE_MS)
  expect((await a.ann.get(below.taskId))?.failure?.code).toBe('interrupted')
  expect((await a.ann.get(taskId))?.status).toBe('completed')
  expect(child.calls).toHaveLength(1)
})
