import { AsyncLocalStorage } from 'node:async_hooks'
import { createTaskSupervisor, currentTask, type Session, type TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

const nothing = { name: 'nothing', run: async (): Promise<void> => undefined }

/** A call that a library makes, far from any context. */
async function deep(session: Session, levels: number): Promise<string> {
  await Promise.resolve()
  if (levels > 0) return deep(session, levels - 1)
  await new Promise((resolve) => setImmediate(resolve))
  return (await session.spawn(nothing)).taskId
}

test('a spawn deep inside a task’s asynchronous code finds its parent', async () => {
  const { ann, settle } = setup()
  const ids: string[] = []
  const task = await ann.spawn(async () => void ids.push(await deep(ann, 20)))
  await settle()
  await task.wait()
  expect(await ann.get(ids[0] ?? '')).toMatchObject({ parentId: task.taskId, rootId: task.taskId, depth: 1 })
})

test('every task knows its place: parent, root, depth, owner and correlation', async () => {
  const { ann, settle } = setup()
  const seen: Pick<TaskContext, 'taskId' | 'parentId' | 'rootId' | 'depth' | 'owner' | 'correlation'>[] = []
  const nest = {
    name: 'nest',
    run: async (left: number, ctx: TaskContext): Promise<void> => {
      const { taskId, parentId, rootId, depth, owner, correlation } = ctx
      seen.push({ taskId, parentId, rootId, depth, owner, correlation })
      if (left === 0) return
      await ctx.spawn(nest, left - 1, left === 1 ? { correlation: { callId: 'c-9' } } : {})
    },
  }
  const root = await ann.spawn(nest, 2, { correlation: { runId: 'r', callId: 'c', agentId: 'a' } })
  await settle()
  await root.wait()
  const [top, middle, bottom] = seen
  const all = { rootId: root.taskId, owner: 'ann' }
  expect(top).toEqual({
    ...all,
    taskId: root.taskId,
    parentId: undefined,
    depth: 0,
    correlation: { runId: 'r', callId: 'c', agentId: 'a' },
  })
  expect(middle).toMatchObject({ ...all, parentId: root.taskId, depth: 1, correlation: top?.correlation })
  expect(bottom).toMatchObject({
    ...all,
    parentId: middle?.taskId,
    depth: 2,
    correlation: { runId: 'r', callId: 'c-9', agentId: 'a' },
  })
  for (const { taskId, parentId, rootId, depth } of seen) {
    expect(await ann.get(taskId)).toMatchObject({ rootId, depth, ...(parentId === undefined ? {} : { parentId }) })
  }
  expect((await ann.list({ tree: root.taskId })).tasks).toHaveLength(3)
})

test('the session of another owner starts a root inside a task, and cannot be given a parent', async () => {
  const { ann, bob, settle } = setup()
  const ids: string[] = []
  const task = await ann.spawn(async () => void ids.push(await deep(bob, 2)))
  await settle()
  await task.wait()
  const record = await bob.get(ids[0] ?? '')
  expect(record).toMatchObject({ owner: 'bob', depth: 0, rootId: ids[0] })
  expect(record?.parentId).toBeUndefined()
  expect(await ann.get(ids[0] ?? '')).toBeUndefined()
})

test('a child cannot be given another owner, parent or conversation', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  for (const option of ['owner', 'parentId', 'parent', 'rootId', 'origin', 'conversation', 'depth', 'nonsense']) {
    await expect(ctx.spawn(nothing, undefined, { [option]: 'bob' } as never)).rejects.toThrow(
      `options has no option "${option}"; it knows name, `,
    )
    await expect(ctx.run(nothing, undefined, { [option]: 'bob' } as never)).rejects.toThrow(TypeError)
    await expect(ann.spawn(nothing, undefined, { [option]: 'bob' } as never)).rejects.toThrow(TypeError)
  }
  expect((await ann.stats()).live).toBe(1)
})

test('children belong to the conversation of their root', async () => {
  const { tasks, settle } = setup()
  const session = tasks.session({ owner: 'ann', conversation: 'c-1' })
  const task = await session.spawn(async (_: undefined, ctx) => (await ctx.spawn(nothing)).taskId)
  await settle()
  const childId = await task.result()
  expect(await session.get(childId)).toMatchObject({ conversation: 'c-1', owner: 'ann' })
})

test('listeners of events do not inherit the task that caused them', async () => {
  const { ann, tasks, settle } = setup()
  const spawned: string[] = []
  const contexts: unknown[] = []
  const subscriptions = [
    tasks.operator.events$({ after: 'now', type: 'task.custom' }).subscribe(() => {
      contexts.push(currentTask())
      ann.spawn(nothing).then(
        ({ taskId }) => spawned.push(taskId),
        () => undefined,
      )
    }),
    ann.events$({ after: 'now', type: 'task.custom' }).subscribe(() => contexts.push(currentTask())),
  ]
  await settle()
  const task = await ann.spawn((_: undefined, ctx) => {
    ctx.emit('hello', {})
    return new Promise<void>((resolve) => setImmediate(resolve))
  })
  await settle()
  await task.wait()
  await settle()
  for (const subscription of subscriptions) subscription.unsubscribe()
  expect(contexts).toEqual([undefined, undefined])
  expect(spawned).toHaveLength(1)
  const record = await ann.get(spawned[0] ?? '')
  expect(record?.depth).toBe(0)
  expect(record?.parentId).toBeUndefined()
})

test('listeners of the live set do not inherit a task either', async () => {
  const { ann, settle } = setup()
  const seen: unknown[] = []
  const subscription = ann.live$.subscribe(() => seen.push(currentTask()))
  const task = await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(nothing)))
  await settle()
  await task.wait()
  subscription.unsubscribe()
  expect(seen.length).toBeGreaterThan(1)
  expect(seen.every((context) => context === undefined)).toBe(true)
})

test('currentTask gives the context of the task whose code runs, across awaits, and nothing outside', async () => {
  const { ann, settle } = setup()
  expect(currentTask()).toBeUndefined()
  const pairs: [string | undefined, string][] = []
  const inner = {
    name: 'inner',
    run: async (_: undefined, ctx: TaskContext): Promise<void> => {
      pairs.push([currentTask()?.taskId, ctx.taskId])
      await new Promise((resolve) => setImmediate(resolve))
      pairs.push([currentTask()?.taskId, ctx.taskId])
    },
  }
  const outer = await ann.spawn(async (_: undefined, ctx) => {
    pairs.push([currentTask()?.taskId, ctx.taskId])
    await Promise.all([ctx.run(inner), ctx.run(inner)])
    pairs.push([currentTask()?.taskId, ctx.taskId])
  })
  await settle()
  await outer.wait()
  expect(pairs).toHaveLength(6)
  for (const [current, own] of pairs) expect(current).toBe(own)
  expect(currentTask()).toBeUndefined()
})

test('currentTask reports on the task it stands for', async () => {
  const { ann, settle } = setup()
  const task = await ann.spawn(async () => currentTask()?.progress(0.5))
  await settle()
  expect((await task.record()).progress).toEqual({ fraction: 0.5 })
})

test('the async context of the host reaches the task’s code unharmed', async () => {
  const { ann } = setup()
  const request = new AsyncLocalStorage<string>()
  const seen = await request.run('request-1', () => ann.run(async () => request.getStore(), undefined))
  expect(seen).toMatchObject({ value: 'request-1' })
})

test('explicit lineage: a session call inside a task is a root, a call on its context is a child', async () => {
  const { ann, settle } = setup({ lineage: 'explicit' })
  const task = await ann.spawn(async (_: undefined, ctx) => {
    expect(currentTask()).toBeUndefined()
    return [await deep(ann, 2), (await ctx.spawn(nothing)).taskId]
  })
  await settle()
  const [outside = '', inside = ''] = await task.result()
  expect((await ann.get(outside))?.parentId).toBeUndefined()
  expect((await ann.get(inside))?.parentId).toBe(task.taskId)
})

test('explicit lineage: a cancelled tree still refuses what is spawned on its contexts', async () => {
  const { ann, settle } = setup({ lineage: 'explicit' })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = watch(task.cancel())
  await expect(work.call(0).ctx.spawn(nothing)).rejects.toMatchObject({ code: 'parent_stopping' })
  work.call(0).resolve(1)
  await settle()
  expect(cancelled.value?.count).toBe(1)
})

test('the task of one supervisor is no parent in another', async () => {
  const { ann, settle } = setup()
  const other = createTaskSupervisor()
  const task = await ann.spawn(async () => (await other.spawn(nothing)).taskId)
  await settle()
  const record = await other.get(await task.result())
  expect(record?.depth).toBe(0)
  expect(record?.parentId).toBeUndefined()
  await other.shutdown()
})

test('code that a task left behind is no parent once the task has ended', async () => {
  const { ann, settle } = setup()
  const attempts: ReturnType<typeof watch>[] = []
  let release: () => void = () => undefined
  const task = await ann.spawn(async () => {
    const gate = new Promise<void>((resolve) => (release = resolve))
    const leftBehind = async (): Promise<void> => {
      await gate
      attempts.push(watch(ann.spawn(nothing)))
    }
    leftBehind().catch(() => undefined)
  })
  await settle()
  expect((await task.record()).status).toBe('completed')
  release()
  await settle()
  expect(attempts).toHaveLength(1)
  expect(attempts[0]?.error).toMatchObject({ code: 'parent_stopping' })
})
