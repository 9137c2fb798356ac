import type { StreamItem, TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'
import { eventsOf, placesOf, typesOf } from '../support/stream-views.ts'

test('the feed of an owner has all its tasks and nobody else’s, in one order for every consumer', async () => {
  const { ann, bob, settle } = setup()
  const early = collect(ann.events())
  const work = controllableTool<string>('work')
  await Promise.all([
    ann.spawn(work.tool, 'a'),
    bob.spawn(work.tool, 'x'),
    ann.spawn(work.tool, 'b'),
    ann.spawn(work.tool, 'c'),
  ])
  await settle()
  const middle = collect(ann.events())
  for (const call of work.calls) call.ctx.emit(call.input)
  for (const call of work.calls.toReversed()) call.resolve(call.input)
  await settle()
  const late = collect(ann.events())
  const pushed: StreamItem[] = []
  ann.events$().subscribe((item) => void pushed.push(item))
  await settle()
  expect(late.items).toHaveLength(12)
  expect(early.items).toEqual(late.items)
  expect(middle.items).toEqual(late.items)
  expect(pushed).toEqual(late.items)
  expect(eventsOf(late.items).every((event) => event.owner === 'ann')).toBe(true)
  expect(verifyLog(late.items)).toEqual([])
})

test('events of one owner arrive in the order of their places, however the store answers', async () => {
  const { ann, store, settle } = setup()
  const live = collect(ann.events())
  const contexts: TaskContext[] = []
  const ends: (() => void)[] = []
  const tool = (_input: undefined, ctx: TaskContext): Promise<void> =>
    new Promise((resolve) => {
      contexts.push(ctx)
      ends.push(resolve)
    })
  await Promise.all(Array.from({ length: 12 }, () => ann.spawn(tool)))
  await settle()
  for (let round = 0; round < 5; round += 1) {
    for (const ctx of contexts) ctx.emit(`round ${round}`)
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  for (const end of ends) end()
  await settle()
  const { entries } = await store.readFeed({ owner: 'ann', after: 0, limit: 1_000 })
  expect(placesOf(live.items)).toEqual(entries.map(({ record, event }) => `${record.taskId}:${event.seq}`))
  expect(live.items).toHaveLength(12 * 8)
  expect(verifyLog(live.items)).toEqual([])
})

test('the feed of the operator has the tasks of all owners', async () => {
  const { ann, bob, tasks, settle } = setup()
  const live = collect(tasks.operator.events())
  await settle()
  await Promise.all([ann.spawn(() => 1), bob.spawn(() => 2), tasks.spawn(() => 3, undefined)])
  await settle()
  const late = collect(tasks.operator.events())
  await settle()
  expect(live.items).toEqual(late.items)
  expect(new Set(eventsOf(late.items).map((event) => event.owner))).toEqual(new Set(['ann', 'bob', 'local']))
  expect(late.items).toHaveLength(9)
  expect(verifyLog(late.items)).toEqual([])
})

test('a tree of tasks is told with parents after children and with its lineage', async () => {
  const { ann, settle } = setup()
  const live = collect(ann.events())
  const leaf = controllableTool('leaf')
  const middle = { name: 'middle', run: async (_: undefined, ctx: TaskContext) => void (await ctx.spawn(leaf.tool)) }
  const top = {
    name: 'root',
    async run(_: undefined, ctx: TaskContext) {
      await ctx.spawn(middle)
      await ctx.spawn(leaf.tool)
    },
  }
  const root = await ann.spawn(top)
  await settle()
  for (const call of leaf.calls) call.resolve(1)
  await root.wait()
  await settle()
  expect(verifyLog(live.items)).toEqual([])
  const events = eventsOf(live.items)
  expect(events.every((event) => event.rootId === root.taskId)).toBe(true)
  const depths = new Set(events.map((event) => `${event.tool}:${event.depth}:${event.parentId === undefined}`))
  expect(depths).toEqual(new Set(['root:0:true', 'middle:1:false', 'leaf:1:false', 'leaf:2:false']))
  expect(events.at(-1)).toMatchObject({ taskId: root.taskId, type: 'task.completed' })
  expect(typesOf(live.items)).toContain('finishing')
})

test('a filter keeps what fits and only that, in the past and live', async () => {
  const { ann, tasks, settle } = setup()
  const chat = tasks.session({ owner: 'ann', conversation: 'c-1' })
  const work = controllableTool('work')
  const other = controllableTool('other')
  const past = await chat.spawn(work.tool)
  const streams = {
    tree: ann.events({ tree: past.taskId }),
    tool: ann.events({ tool: 'other' }),
    conversation: ann.events({ conversation: 'c-1' }),
    type: ann.events({ type: 'task.completed' }),
    types: ann.events({ type: ['task.queued', 'task.completed'], tool: 'work' }),
    nothing: ann.events({ tree: 'unknown' }),
  }
  const seen = Object.fromEntries(Object.entries(streams).map(([name, stream]) => [name, collect(stream)]))
  await ann.spawn(other.tool)
  await ann.spawn(work.tool)
  await settle()
  for (const call of [...work.calls, ...other.calls]) call.resolve(1)
  await settle()
  const places = Object.fromEntries(Object.entries(seen).map(([name, { items }]) => [name, placesOf(items).toSorted()]))
  expect(places).toEqual({
    tree: ['task-1:1', 'task-1:2', 'task-1:3'],
    tool: ['task-2:1', 'task-2:2', 'task-2:3'],
    conversation: ['task-1:1', 'task-1:2', 'task-1:3'],
    type: ['task-1:3', 'task-2:3', 'task-3:3'],
    types: ['task-1:1', 'task-1:3', 'task-3:1', 'task-3:3'],
    nothing: [],
  })
})

test('a stream from now on has nothing of the past', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  await settle()
  const owner = collect(ann.events({ after: 'now' }))
  const one = collect(task.events({ after: 'now' }))
  await settle()
  expect([owner.items, one.items]).toEqual([[], []])
  work.call(0).ctx.emit('new')
  work.call(0).resolve(1)
  await settle()
  expect(typesOf(owner.items)).toEqual(['new', 'completed'])
  expect(one.items).toEqual(owner.items)
  expect(await one.ended).toBeUndefined()
})

test('trimmed events leave a mark in their place, with what is known of the task, and its lifecycle stays whole', async () => {
  const { ann, settle } = setup({ retention: { maxProgressEvents: 2 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  await settle()
  for (let n = 1; n <= 5; n += 1) work.call(0).ctx.emit(`e${n}`)
  await ann.background(task.taskId)
  await settle()
  work.call(0).resolve(1)
  await settle()
  const log = collect(task.events())
  await log.ended
  expect(placesOf(log.items)).toEqual(['task-1:1', 'task-1:2', 'gap 3-5', 'task-1:6', 'task-1:7', 'task-1:8'])
  expect(typesOf(log.items)).toEqual(['queued', 'started', 'stream.gap', 'e4', 'e5', 'completed'])
  expect(log.items[2]).toMatchObject({ type: 'stream.gap', record: { taskId: 'task-1', status: 'completed' } })
  expect(verifyLog(log.items)).toEqual([])
  const owner = collect(ann.events())
  await settle()
  expect(typesOf(owner.items)).toEqual(['queued', 'started', 'stream.gap', 'e4', 'e5', 'completed'])
})

test('a gap is marked exactly, wherever a consumer resumes around it', async () => {
  const { ann, settle } = setup({ retention: { maxProgressEvents: 2 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  for (let n = 1; n <= 5; n += 1) work.call(0).ctx.emit(`e${n}`)
  await settle()
  work.call(0).resolve(1)
  await settle()
  const from = async (after: number): Promise<string[]> => {
    const log = collect(task.events({ after }))
    await log.ended
    return placesOf(log.items)
  }
  const rest = ['task-1:6', 'task-1:7', 'task-1:8']
  expect(await from(1)).toEqual(['task-1:2', 'gap 3-5', ...rest])
  expect(await from(2)).toEqual(['gap 3-5', ...rest])
  expect(await from(3)).toEqual(['gap 4-5', ...rest])
  expect(await from(4)).toEqual(['gap 5-5', ...rest])
  expect(await from(5)).toEqual(rest)
})

test('a trimmed event between those of other tasks is marked in its place in the feed', async () => {
  const { ann, settle } = setup({ retention: { maxProgressEvents: 1 } })
  const one = controllableTool('one')
  const two = controllableTool('two')
  await ann.spawn(one.tool)
  one.call(0).ctx.emit('a')
  await settle()
  await ann.spawn(two.tool)
  await settle()
  one.call(0).ctx.emit('b')
  await settle()
  const late = collect(ann.events())
  await settle()
  expect(placesOf(late.items)).toEqual(['task-1:1', 'task-1:2', 'gap 3-3', 'task-2:1', 'task-2:2', 'task-1:4'])
})

test('a live consumer is told of events that were trimmed before it could get them', async () => {
  const { ann, settle } = setup({ retention: { maxProgressEvents: 2 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const log = collect(task.events())
  await settle()
  for (let n = 1; n <= 50; n += 1) work.call(0).ctx.emit(`e${n}`)
  await settle()
  work.call(0).resolve(1)
  expect(await log.ended).toBeUndefined()
  const covered = log.items.flatMap((item) => {
    if (item.type === 'stream.gap')
      return Array.from({ length: item.to - item.from + 1 }, (_, index) => item.from + index)
    return 'seq' in item ? [item.seq] : []
  })
  expect(covered).toEqual(Array.from({ length: 53 }, (_, index) => index + 1))
  expect(typesOf(log.items).slice(-3)).toEqual(['e49', 'e50', 'completed'])
})

test('tasks that were dropped leave a mark in the feed of their owner', async () => {
  const { ann, settle, prune } = setup({ retention: { maxFinished: 1 } })
  for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => n)).wait()
  await prune()
  const late = collect(ann.events())
  await settle()
  expect(placesOf(late.items)).toEqual(['gap 1-6', 'task-3:1', 'task-3:2', 'task-3:3'])
  expect(late.items[0]).not.toHaveProperty('record')
})

test('what a subscriber causes reaches every consumer after its cause, in the same order', async () => {
  const { ann, settle } = setup({ graceMs: 50 })
  const before: StreamItem[] = []
  const after: StreamItem[] = []
  ann.events$().subscribe((item) => void before.push(item))
  const caused: Promise<unknown>[] = []
  ann.events$({ type: 'task.started' }).subscribe((item) => {
    if (!('taskId' in item)) return
    if (item.tool === 'first')
      caused.push(ann.cancel(item.taskId), ann.spawn({ name: 'second', run: () => 2 }, undefined))
  })
  ann.events$().subscribe((item) => void after.push(item))
  const pulled = collect(ann.events())
  await settle()
  const first = controllableTool('first', { honoursSignal: true })
  await ann.spawn(first.tool)
  await settle()
  expect(await Promise.all(caused)).toMatchObject([{ count: 1 }, { taskId: 'task-2' }])
  await settle()
  expect(after).toEqual(before)
  expect(pulled.items).toEqual(before)
  expect(verifyLog(before)).toEqual([])
  expect(before).toHaveLength(7)
})

test('what a listener spawns is no child of the task that it heard about', async () => {
  const { ann, settle } = setup()
  const spawned: Promise<{ taskId: string }>[] = []
  ann.events$({ type: 'task.custom' }).subscribe(() => void spawned.push(ann.spawn(() => 'reaction')))
  await settle()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  await settle()
  const inside = await ann.spawn(async (_: undefined, ctx) => {
    ctx.emit('heard')
    await Promise.resolve()
  })
  await inside.wait()
  await settle()
  expect(spawned).toHaveLength(1)
  const handle = await spawned[0]
  expect(await ann.get(handle?.taskId ?? '')).toMatchObject({ depth: 0 })
  expect((await ann.get(handle?.taskId ?? ''))?.parentId).toBeUndefined()
  work.call(0).resolve(1)
  await task.wait()
})

test('a subscriber is never called inside a transition: what it starts has started when its call returns', async () => {
  const { ann, settle } = setup()
  const started: string[] = []
  ann.events$({ tool: 'work' }).subscribe((item) => {
    let isCalled = false
    void ann.run(() => void (isCalled = true))
    started.push(`${item.type} ${isCalled}`)
  })
  await settle()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.emit('found')
  await task.cancel()
  await settle()
  expect(started).toEqual([
    'task.queued true',
    'task.started true',
    'task.custom true',
    'task.stopping true',
    'task.cancelled true',
  ])
})

test('two streams of one supervisor do not know each other: ending one leaves the other', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const abort = new AbortController()
  const ended = collect(task.events({ signal: abort.signal }))
  const iterator = task.events()
  const kept = collect(task.events())
  const subscription = task.events$.subscribe(() => undefined)
  await settle()
  abort.abort()
  expect(await ended.ended).toBeUndefined()
  await iterator.next()
  expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
  expect(await iterator.next()).toEqual({ done: true, value: undefined })
  subscription.unsubscribe()
  subscription.unsubscribe()
  work.call(0).resolve(1)
  expect(await kept.ended).toBeUndefined()
  expect(typesOf(ended.items)).toEqual(['queued', 'started'])
  expect(typesOf(kept.items)).toEqual(['queued', 'started', 'completed'])
})

test('a stream whose signal was aborted beforehand ends at once', async () => {
  const { ann, settle } = setup()
  const task = await ann.spawn(() => 1)
  await settle()
  const log = collect(task.events({ signal: AbortSignal.abort() }))
  expect(await log.ended).toBeUndefined()
  expect(log.items).toEqual([])
  let hasEnded = false
  ann.events$({ signal: AbortSignal.abort() }).subscribe({ complete: () => void (hasEnded = true) })
  expect(hasEnded).toBe(true)
})

test('a stream that is silent for hours stays open, costs no timer, and goes on when something happens', async () => {
  const { ann, clock, advance, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
  const one = collect(task.events())
  const owner = collect(ann.events())
  await advance(86_400_000)
  expect(typesOf(one.items)).toEqual(['queued', 'started'])
  expect(clock.timerCount()).toBe(0)
  work.call(0).ctx.emit('at last')
  work.call(0).resolve(1)
  expect(await one.ended).toBeUndefined()
  await settle()
  expect(typesOf(one.items)).toEqual(['queued', 'started', 'at last', 'completed'])
  expect(owner.items).toEqual(one.items)
})

test('the stream of an unknown or foreign task fails as every verb does', async () => {
  const { ann, bob, settle } = setup()
  const work = controllableTool('work')
  const foreign = await bob.spawn(work.tool)
  await settle()
  const errors: unknown[] = []
  for (const taskId of [foreign.taskId, 'unknown']) {
    errors.push(await collect(ann.events({ taskId })).ended)
    errors.push(
      await new Promise((resolve) => {
        ann.events$({ taskId }).subscribe({ error: resolve })
      }),
    )
  }
  const texts = errors.map((error) => JSON.stringify({ ...(error as object), message: (error as Error).message }))
  expect(errors).toMatchObject(Array.from({ length: 4 }, () => ({ code: 'task_not_found' })))
  expect(new Set(texts).size).toBe(1)
})

test('a filter and a taskId together, or an unknown option, are refused with their names', () => {
  const { ann } = setup()
  expect(() => ann.events({ taskId: 'a', tool: 'b' })).toThrow(TypeError)
  expect(() => ann.events({ since: 3 } as never)).toThrow(/since/)
  expect(() => ann.events({ after: 1 })).toThrow(/after/)
  expect(() => ann.events({ taskId: 'a', after: -1 })).toThrow(/after/)
  expect(() => ann.events({ taskId: 'a', after: 1.5 })).toThrow(/after/)
  expect(() => ann.events({ signal: 'x' } as never)).toThrow(/signal/)
})
