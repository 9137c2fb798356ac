import { defineTool, isFinalStatus, isTaskEvent, memoryStore, type StreamItem, type TaskStore } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupBreakable, type Breakage } from '../support/breakable-store.ts'
import { collect, setup, watch } from '../support/setup.ts'
import { eventsOf, placesOf, typesOf, withoutCursors } from '../support/stream-views.ts'

const BREAKAGES: readonly Exclude<Breakage, 'up'>[] = ['hanging', 'failing', 'throwing', 'losing']

test.each(BREAKAGES)('nothing is lost, doubled or reordered over an outage (%s)', async (how) => {
  const { ann, tasks, store, advance, settle } = setupBreakable()
  const live = collect(ann.events())
  const operator = collect(tasks.operator.events())
  const work = controllableTool<string>('work')
  const handles = await Promise.all(['a', 'b', 'c'].map((name) => ann.spawn(work.tool, name)))
  await settle()
  store.break(how)
  for (const call of work.calls) {
    call.ctx.emit(`${call.input} in the outage`)
    call.ctx.output('line')
    call.ctx.usage({ tokens: 1 })
  }
  await advance(2_500)
  const callOf = (input: string): (typeof work.calls)[number] | undefined =>
    work.calls.find((call) => call.input === input)
  callOf('b')?.resolve('b')
  callOf('c')?.reject(new Error('c'))
  await advance(10_000)
  store.recover()
  await advance(20_000)
  callOf('a')?.resolve('a')
  await settle()
  const late = collect(ann.events())
  await settle()
  const isMark = (item: StreamItem): boolean => item.type === 'stream.paused'
  expect(live.items.filter((item) => !isMark(item))).toEqual(late.items)
  expect(withoutCursors(operator.items.filter((item) => !isMark(item)))).toEqual(withoutCursors(late.items))
  expect(live.items.filter(isMark).length).toBeGreaterThan(0)
  expect(verifyLog(late.items)).toEqual([])
  expect(late.items).toHaveLength(3 * 6)
  expect(new Set(store.applied.map(({ id }) => id)).size).toBe(store.applied.length)
  const statuses = await Promise.all(handles.map(async (handle) => (await handle.record()).status))
  expect(statuses).toEqual(['completed', 'completed', 'failed'])
})

test.each(BREAKAGES)(
  'the result of a local task and the end of its wait come in spite of an outage (%s)',
  async (how) => {
    const { ann, store, advance, settle } = setupBreakable()
    const work = controllableTool<string, string>('work')
    const task = await ann.spawn(work.tool, 'a')
    const result = watch(task.result())
    const record = watch(task.wait())
    await settle()
    store.break(how, { reads: true })
    work.call(0).resolve('value')
    await advance(2_000)
    await settle()
    expect(result).toMatchObject({ state: 'resolved', value: 'value' })
    expect(record.value).toMatchObject({ status: 'completed' })
    store.recover()
    await advance(20_000)
    expect(await task.record()).toMatchObject({ status: 'completed' })
  },
)

test.each(BREAKAGES)(
  'a spawn in an outage is refused in time, starts nothing, and leaves nothing live behind (%s)',
  async (how) => {
    const { ann, clock, store, advance, settle } = setupBreakable()
    const work = controllableTool('work')
    store.break(how)
    const spawning = watch(ann.spawn(work.tool, undefined, { name: 'reader' }))
    await advance(2_000)
    expect(spawning).toMatchObject({ state: 'rejected', error: { code: 'store_unavailable', retryable: true } })
    expect((spawning.error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0)
    expect(work.calls).toHaveLength(0)
    const again = watch(ann.spawn(work.tool))
    await settle()
    expect(again).toMatchObject({ state: 'rejected', error: { code: 'store_unavailable' } })
    store.recover()
    await advance(20_000)
    await settle()
    expect(work.calls).toHaveLength(0)
    const { tasks } = await ann.list()
    expect(tasks.length).toBeLessThanOrEqual(1)
    for (const record of tasks) expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'superseded' } })
    expect(await ann.hasRunning()).toBe(false)
    const log = collect(ann.events())
    await settle()
    expect(verifyLog(log.items)).toEqual([])
    const free = await ann.spawn(work.tool, undefined, { name: 'reader' })
    work.call(0).resolve(1)
    await free.wait()
    await advance(1_000)
    expect(clock.heldTimerCount()).toBe(0)
  },
)

test('an admission whose answer was lost is closed as cancelled once the store is back, for everybody to see', async () => {
  const { ann, store, advance, settle } = setupBreakable()
  const work = controllableTool('work')
  const live = collect(ann.events())
  await settle()
  store.break('losing')
  const spawning = watch(ann.spawn(work.tool))
  await advance(2_000)
  expect(spawning).toMatchObject({ state: 'rejected', error: { code: 'store_unavailable' } })
  store.recover()
  await advance(20_000)
  expect(await ann.get('task-1')).toMatchObject({ status: 'cancelled', cause: { reason: 'superseded' } })
  expect(typesOf(live.items).filter((type) => type !== 'stream.paused')).toEqual(['queued', 'cancelled'])
  expect(store.sent.filter((id) => id === store.sent[0]).length).toBeGreaterThan(1)
  expect(work.calls).toHaveLength(0)
})

test('a run that is kept from its start is refused in an outage, and its inline time ends nothing twice', async () => {
  const { ann, clock, store, advance } = setupBreakable({ inlineMs: 100 })
  const work = controllableTool('work')
  store.break('failing')
  const call = watch(ann.run(work.tool, undefined, { durable: true }))
  await advance(5_000)
  expect(call).toMatchObject({ state: 'rejected', error: { code: 'store_unavailable' } })
  store.recover()
  await advance(20_000)
  expect(work.calls).toHaveLength(0)
  expect(clock.heldTimerCount()).toBe(0)
  const ends = collect(ann.events())
  await advance(0)
  expect(typesOf(ends.items)).toEqual(['queued', 'backgrounded', 'cancelled'])
})

test('a run whose inline time ends before the store has it gets its ticket once the store has', async () => {
  const { ann, store, advance } = setupBreakable({ inlineMs: 100 })
  const work = controllableTool('work')
  store.break('failing')
  const call = watch(ann.run(work.tool, undefined, { durable: true }))
  await advance(500)
  expect(call.state).toBe('pending')
  store.recover()
  await advance(1_400)
  expect(call).toMatchObject({
    state: 'resolved',
    value: { kind: 'background', ticket: { taskId: 'task-1', status: 'running' } },
  })
  work.call(0).resolve('value')
  expect(await ann.result('task-1')).toBe('value')
})

test('a quick inline call does not notice an outage', async () => {
  const { ann, store, settle } = setupBreakable()
  store.break('failing', { reads: true })
  const call = watch(ann.run(async (n: number) => n + 1, 41))
  await settle()
  expect(call.value).toEqual({ kind: 'inline', value: 42, persisted: false })
  expect(store.sent).toEqual([])
})

test('a slow inline call gets its ticket after the commit wait, and its result comes all the same', async () => {
  const { ann, store, advance, settle } = setupBreakable({ inlineMs: 1_000 })
  const work = controllableTool<string, string>('work')
  const call = watch(ann.run(work.tool, 'a'))
  await settle()
  store.break('hanging')
  await advance(1_000)
  expect(call.state).toBe('pending')
  await advance(1_999)
  expect(call.state).toBe('pending')
  await advance(1)
  expect(call.value).toMatchObject({ kind: 'background', ticket: { taskId: 'task-1', persisted: false } })
  const result = watch(ann.result('task-1'))
  work.call(0).resolve('value')
  await settle()
  expect(result).toMatchObject({ state: 'resolved', value: 'value' })
  store.recover()
  await advance(10_000)
  expect(await ann.result('task-1')).toBe('value')
})

test('a consumer is told of a pause once, and then of everything that was held back', async () => {
  const { ann, store, advance, settle } = setupBreakable()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const live = collect(task.events())
  await settle()
  store.break('hanging')
  work.call(0).ctx.emit('one')
  await advance(1_999)
  expect(typesOf(live.items)).toEqual(['queued', 'started'])
  await advance(1)
  expect(typesOf(live.items)).toEqual(['queued', 'started', 'stream.paused'])
  work.call(0).ctx.emit('two')
  await advance(60_000)
  expect(typesOf(live.items)).toEqual(['queued', 'started', 'stream.paused'])
  store.recover()
  await advance(0)
  expect(typesOf(live.items)).toEqual(['queued', 'started', 'stream.paused', 'one', 'two'])
  store.break('failing')
  work.call(0).ctx.emit('three')
  await settle()
  store.recover()
  await advance(20_000)
  work.call(0).resolve(1)
  expect(await live.ended).toBeUndefined()
  expect(typesOf(live.items).slice(4)).toEqual(['two', 'stream.paused', 'three', 'completed'])
})

test('a commit keeps its id over its attempts and is applied once, though its answer was lost again and again', async () => {
  const { ann, store, advance, settle } = setupBreakable()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  await settle()
  store.break('losing')
  work.call(0).ctx.emit('once')
  await advance(5_000)
  const id = store.sent.at(-1)
  expect(store.sent.filter((sent) => sent === id).length).toBeGreaterThan(3)
  store.recover()
  await advance(20_000)
  work.call(0).resolve(1)
  await settle()
  const log = collect(task.events())
  expect(await log.ended).toBeUndefined()
  expect(placesOf(log.items)).toEqual(['task-1:1', 'task-1:2', 'task-1:3', 'task-1:4'])
  expect(store.applied.filter((commit) => commit.id === id)).toHaveLength(1)
})

test('a store that fails is asked again ever more slowly, and said once for each commit', async () => {
  const { ann, store, logged, advance, settle } = setupBreakable()
  const work = controllableTool('work')
  await ann.spawn(work.tool)
  await settle()
  store.break('failing')
  const before = store.sent.length
  work.call(0).ctx.emit('one')
  await advance(60_000)
  const attempts = store.sent.length - before
  expect(attempts).toBeGreaterThan(8)
  expect(attempts).toBeLessThan(60)
  expect(logged).toHaveLength(1)
  expect(logged[0]).toMatchObject({ level: 'error', fields: { taskId: 'task-1' } })
})

test.each(BREAKAGES)(
  'children end before their parent in the log although both ended in the outage (%s)',
  async (how) => {
    for (const childSpeaks of [false, true]) {
      const { ann, store, advance, settle } = setupBreakable()
      const leaf = controllableTool('leaf')
      const parent = controllableTool('parent')
      const task = await ann.spawn(parent.tool)
      await parent.call(0).ctx.spawn(leaf.tool)
      await parent.call(0).ctx.spawn(leaf.tool)
      await settle()
      store.break(how)
      // With a commit of its own on the way, a child's end has to wait for the answer to that one.
      if (childSpeaks) for (const call of leaf.calls) call.ctx.emit('on its way')
      await advance(3_000)
      const result = watch(task.result())
      await settle()
      parent.call(0).resolve('parent')
      for (const call of leaf.calls) call.resolve('leaf')
      await advance(10_000)
      expect(result).toMatchObject({ state: 'resolved', value: 'parent' })
      store.recover()
      await advance(60_000)
      const log = collect(ann.events())
      await settle()
      expect(verifyLog(log.items)).toEqual([])
      const ends = eventsOf(log.items).filter((event) => event.type === 'task.completed')
      expect(ends.map((event) => event.depth)).toEqual([1, 1, 0])
    }
  },
)

test('a task that waits for a child of unknown fate is not held by it for the length of the outage', async () => {
  const { ann, store, advance, settle } = setupBreakable()
  const parent = await ann.spawn(async (_: undefined, ctx) => {
    store.break('hanging')
    return ctx
      .spawn(() => 'never')
      .then(
        () => 'spawned',
        (error: unknown) => (error as { code: string }).code,
      )
  })
  const result = watch(parent.result())
  await advance(2_000)
  await advance(2_000)
  expect(result.value).toBe('store_unavailable')
  store.recover()
  await advance(20_000)
  const log = collect(ann.events())
  await settle()
  expect(eventsOf(log.items).filter((event) => event.type === 'task.started')).toHaveLength(1)
  expect(verifyLog(log.items)).toEqual([])
  expect(await ann.hasRunning()).toBe(false)
})

test('a cancel in an outage is carried out at once and written down later', async () => {
  const { ann, store, advance } = setupBreakable()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool)
  await advance(0)
  store.break('hanging')
  const cancelling = watch(task.cancel({ note: 'now' }))
  expect(work.call(0).ctx.signal.aborted).toBe(true)
  await advance(2_000)
  expect(cancelling.value).toEqual({ count: 1, tasks: [{ taskId: 'task-1', status: 'cancelled' }] })
  store.recover()
  await advance(10_000)
  expect(await task.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'user', note: 'now' } })
})

test('a shutdown in an outage is bounded and says how many commits are unsaved', async () => {
  const { ann, tasks, store, advance, settle } = setupBreakable()
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(work.tool)
  await ann.spawn(work.tool)
  await settle()
  store.break('hanging')
  const closing = watch(tasks.shutdown({ graceMs: 100 }))
  await advance(10_000)
  expect(closing.value).toMatchObject({ completed: 0, cancelled: 2, abandoned: 0 })
  expect((closing.value as { unsaved: number }).unsaved).toBeGreaterThan(0)
})

test('a store that cannot be read fails the reader, and not the task or the other readers', async () => {
  const { ann, store, advance, settle } = setupBreakable()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const live = collect(task.events())
  await settle()
  store.break('failing', { reads: true })
  expect(await collect(ann.events()).ended).toMatchObject({ message: 'the store is down' })
  await expect(ann.list()).rejects.toThrow('the store is down')
  store.recover()
  work.call(0).resolve(1)
  await advance(0)
  expect(await live.ended).toBeUndefined()
  const record = await task.record()
  expect(isFinalStatus(record.status)).toBe(true)
})

test('an end that no store has is not said to be kept, by any verb that waits for it', async () => {
  const inner = memoryStore()
  let isUp = true
  const commit: TaskStore['commit'] = (change) => (isUp ? inner.commit(change) : Promise.reject(new Error('down')))
  const { ann, advance, settle } = setup({ store: { ...inner, durability: 'process', commit } })
  const work = controllableTool('work')
  const handle = await ann.spawn(work.tool, undefined)
  const early = await ann.spawn(async () => 'before', undefined)
  await settle()
  isUp = false
  work.call(0).resolve('done')
  const waits = [ann.wait(handle.taskId), ann.waitAny([handle.taskId]), handle.wait()].map(watch)
  const all = watch(ann.waitAll([early.taskId, handle.taskId]))
  await advance(2_000)
  for (const wait of waits) expect(wait.value).toMatchObject({ status: 'completed', persisted: false })
  expect(all.value?.map(({ persisted }) => persisted)).toEqual([true, false])
  isUp = true
  await advance(10_000)
  expect(await ann.wait(handle.taskId)).toMatchObject({ status: 'completed', persisted: true })
})

test('the end of an attempt is written after the ends of its children, also when these have to be written again', async () => {
  const inner = memoryStore()
  let failures = 8
  const commit: TaskStore['commit'] = (change) => {
    const isChildsEnd = change.record.depth === 1 && isFinalStatus(change.record.status)
    if (!isChildsEnd || failures === 0) return inner.commit(change)
    failures -= 1
    return Promise.reject(new Error('down'))
  }
  const { ann, advance, settle } = setup({ store: { ...inner, commit } })
  const child = defineTool({ name: 'child', run: async () => 'quick' })
  const parent = defineTool({
    name: 'parent',
    policy: { retry: { maxAttempts: 2, baseMs: 10, factor: 1, maxMs: 10, jitter: 'none' } },
    run: async (_input: undefined, ctx) => {
      if (ctx.attempt === 2) return 'done'
      await ctx.spawn(child, undefined)
      throw new Error('the first time')
    },
  })
  const live = collect(ann.events())
  const busy = controllableTool('busy')
  await ann.spawn(busy.tool, undefined)
  await settle()
  const task = await ann.spawn(parent, undefined)
  // Others whose commits are answered keep the writer going.
  for (let turn = 0; turn < 100; turn += 1) {
    busy.call(0).ctx.output('busy')
    await advance(200)
  }
  expect(await task.result()).toBe('done')
  await settle()
  expect(failures).toBe(0)
  const tree = live.items.filter(isTaskEvent).filter(({ rootId }) => rootId === task.taskId)
  const types = tree.map(({ type, depth }) => `${depth} ${type}`)
  expect(types.indexOf('1 task.completed')).toBeGreaterThan(0)
  expect(types.indexOf('0 task.retrying')).toBeGreaterThan(types.indexOf('1 task.completed'))
})

test('a parent whose child was admitted too late ends after it, however many such tasks there are', async () => {
  const inner = memoryStore()
  let isUp = true
  const commit: TaskStore['commit'] = (change) => (isUp ? inner.commit(change) : Promise.reject(new Error('down')))
  const { ann, advance, settle } = setup({ store: { ...inner, commit } })
  const child = controllableTool('child')
  const parent = controllableTool('parent')
  const live = collect(ann.events())
  const { taskId } = await ann.spawn(parent.tool, undefined)
  await settle()
  isUp = false
  const spawns = [ann.spawn(child.tool, undefined), parent.call(0).ctx.spawn(child.tool, undefined)].map(watch)
  await advance(2_000)
  for (const spawn of spawns) expect(spawn).toMatchObject({ state: 'rejected', error: { code: 'store_unavailable' } })
  parent.call(0).resolve('alone')
  isUp = true
  await advance(10_000)
  await settle()
  expect(child.calls).toHaveLength(0)
  const tree = live.items.filter(isTaskEvent).filter(({ rootId }) => rootId === taskId)
  const ends = tree.filter(({ type }) => /completed|cancelled/.test(type))
  expect(ends.map(({ type, depth }) => `${depth} ${type}`)).toEqual(['1 task.cancelled', '0 task.completed'])
  expect(verifyLog(live.items)).toEqual([])
})

test('what the store takes after a shutdown is cancelled there, before its parent', async () => {
  const { tasks, ann, store, advance, settle } = setupBreakable()
  const parent = controllableTool<undefined, string>('parent')
  const { taskId } = await ann.spawn(parent.tool, undefined)
  await settle()
  store.break('hanging')
  const refused = watch(parent.call(0).ctx.spawn(() => 'too late'))
  await advance(3_000)
  expect(refused.error).toMatchObject({ code: 'store_unavailable' })
  const closing = tasks.shutdown({ graceMs: 1 })
  await advance(60_000)
  expect((await closing).unsaved).toBeGreaterThan(0)
  store.recover()
  await settle()
  const ends = store.applied.flatMap(({ record, events }) =>
    events.filter(({ type }) => type === 'task.cancelled').map(() => record.taskId),
  )
  expect(ends).toHaveLength(2)
  expect(ends[1]).toBe(taskId)
  const { records } = await store.list({ limit: 10 })
  expect(records.map(({ status, cause }) => [status, cause?.reason])).toEqual([
    ['cancelled', 'shutdown'],
    ['cancelled', 'shutdown'],
  ])
})
