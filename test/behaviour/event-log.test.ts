import { currentTask, isTaskEvent, type StreamItem } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { recordingStore } from '../support/recording-store.ts'
import { collect, setup, watch } from '../support/setup.ts'
import { cursorOf, eventsOf, placesOf, typesOf } from '../support/stream-views.ts'

test('the log of a task tells its whole life, numbered without a hole, with its place in the tree', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { name: 'reader', description: 'reads', metadata: { a: 1 } })
  work.call(0).ctx.progress(0.5)
  work.call(0).ctx.emit('found', { n: 1 })
  work.call(0).ctx.output('line')
  work.call(0).ctx.usage({ tokens: 3 })
  work.call(0).resolve('done')
  await settle()
  const log = collect(task.events())
  expect(await log.ended).toBeUndefined()
  expect(typesOf(log.items)).toEqual(['queued', 'started', 'progress', 'found', 'output', 'usage', 'completed'])
  expect(eventsOf(log.items).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(log.items[0]).toMatchObject({ description: 'reads', metadata: { a: 1 } })
  for (const event of eventsOf(log.items)) {
    expect(event).toMatchObject({ taskId: 'task-1', owner: 'ann', tool: 'work', rootId: 'task-1', depth: 0, epoch: 1 })
    expect(event.name).toBe(event.type === 'task.custom' ? 'found' : 'reader')
    expect(event.cursor).toBeTypeOf('string')
    expect(event.ephemeral).toBeUndefined()
  }
  expect(verifyLog(log.items)).toEqual([])
})

test('a subscriber gets the past, then the present, without a hole or a double', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.emit('before')
  const log = collect(task.events())
  work.call(0).ctx.emit('in the tick of the subscription')
  await settle()
  work.call(0).ctx.emit('after')
  work.call(0).resolve(1)
  expect(await log.ended).toBeUndefined()
  expect(typesOf(log.items)).toEqual([
    'queued',
    'started',
    'before',
    'in the tick of the subscription',
    'after',
    'completed',
  ])
  expect(verifyLog(log.items)).toEqual([])
})

test('a subscriber after the end gets everything and its stream ends', async () => {
  const { ann, settle } = setup()
  const task = await ann.spawn(() => 'quick')
  await settle()
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const log = collect(task.events())
    expect(await log.ended).toBeUndefined()
    expect(typesOf(log.items)).toEqual(['queued', 'started', 'completed'])
  }
})

test('a subscriber in any turn around the end gets the terminal event once, last, and its stream ends', async () => {
  for (let turns = 0; turns < 14; turns += 1) {
    const { ann, settle } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    await settle()
    work.call(0).ctx.emit('last words')
    work.call(0).resolve(1)
    for (let turn = 0; turn < turns; turn += 1) {
      await (turn % 2 === 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve)))
    }
    const log = collect(task.events())
    const seen: StreamItem[] = []
    task.events$.subscribe((item) => void seen.push(item))
    expect(await log.ended, `after ${turns} turns`).toBeUndefined()
    await settle()
    expect(typesOf(log.items), `after ${turns} turns`).toEqual(['queued', 'started', 'last words', 'completed'])
    expect(seen, `after ${turns} turns`).toEqual(log.items)
  }
})

test('a subscriber of an inline call in any turn before its end gets the terminal event once, and its stream ends', async () => {
  for (let turns = 0; turns < 6; turns += 1) {
    const { ann, settle } = setup()
    const work = controllableTool('work')
    const call = ann.run(work.tool, undefined)
    await settle()
    const log = collect(ann.events({ taskId: work.call(0).ctx.taskId }))
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    work.call(0).resolve(1)
    await call
    expect(await log.ended, `after ${turns} turns`).toBeUndefined()
    expect(
      typesOf(log.items).filter((type) => type === 'completed'),
      `after ${turns} turns`,
    ).toEqual(['completed'])
    expect(typesOf(log.items).at(-1), `after ${turns} turns`).toBe('completed')
  }
})

test('an observable of a task completes after the terminal event, and of a final task at once', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const told: string[] = []
  task.events$.subscribe({ next: (item) => void told.push(item.type), complete: () => void told.push('end') })
  await settle()
  expect(told).toEqual(['task.queued', 'task.started'])
  work.call(0).resolve(1)
  await settle()
  expect(told).toEqual(['task.queued', 'task.started', 'task.completed', 'end'])
  const again: string[] = []
  task.events$.subscribe({ next: (item) => void again.push(item.type), complete: () => void again.push('end') })
  await settle()
  expect(again).toEqual(told)
})

test('every outcome has one terminal event, the last of the log', async () => {
  const { ann, advance, settle } = setup({ graceMs: 100 })
  const completed = await ann.spawn(() => 1)
  const failed = await ann.spawn(() => {
    throw new Error('broken')
  })
  const stubborn = controllableTool('stubborn')
  const cancelled = await ann.spawn(stubborn.tool)
  const late = await ann.spawn(stubborn.tool, undefined, { timeoutMs: 50 })
  void cancelled.cancel({ note: 'enough' })
  await advance(500)
  stubborn.call(0).resolve('too late')
  stubborn.call(1).reject(new Error('too late'))
  stubborn.call(1).ctx.emit('ghost')
  await settle()
  const ends: StreamItem[] = []
  for (const task of [completed, failed, cancelled, late]) {
    const log = collect(task.events())
    await log.ended
    expect(verifyLog(log.items)).toEqual([])
    const last = log.items.at(-1)
    if (last !== undefined) ends.push(last)
  }
  expect(ends).toMatchObject([
    { type: 'task.completed' },
    { type: 'task.failed', failure: { code: 'tool_error', message: 'broken' } },
    { type: 'task.cancelled', stopCause: { reason: 'user', actor: 'ann', note: 'enough' }, abandoned: true },
    { type: 'task.failed', failure: { code: 'timeout' }, abandoned: true },
  ])
})

test('a cancelled task says so to whoever watches it, and its outcome is not overwritten by a late value', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const log = collect(task.events())
  const cancelling = task.cancel()
  work.call(0).resolve('late value')
  await cancelling
  expect(await log.ended).toBeUndefined()
  expect(typesOf(log.items)).toEqual(['queued', 'started', 'stopping', 'cancelled'])
  await settle()
  expect(await task.record()).toMatchObject({ status: 'cancelled', partial: 'late value' })
})

test('the record has its final status before anybody hears the terminal event', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const statuses: Promise<unknown>[] = []
  ann.events$({ type: 'task.completed' }).subscribe((item) => {
    if (isTaskEvent(item)) statuses.push(ann.get(item.taskId).then((record) => record?.status))
  })
  work.call(0).resolve(1)
  await settle()
  expect(await Promise.all(statuses)).toEqual(['completed'])
  expect(await task.result()).toBe(1)
})

test('a record is final in the commit of its terminal event and in none before, whatever the end still brings', async () => {
  const store = recordingStore()
  const { ann, settle } = setup({ store })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  await settle()
  work.call(0).ctx.progress({ done: 1 })
  work.call(0).ctx.progress({ done: 2, note: 'held back, and told at the end' })
  work.call(0).resolve('done')
  await settle()
  expect(await task.result()).toBe('done')
  const ends = store.commits.map(({ record, events }) => [record.status, events.at(-1)?.type])
  expect(ends.filter(([status]) => status === 'completed')).toEqual([['completed', 'task.completed']])
  expect(store.commits.at(-1)?.events.map(({ type }) => type)).toEqual(['task.progress', 'task.completed'])
})

test('order is told by numbers alone when the wall clock jumps back by an hour', async () => {
  const { ann, clock, settle } = setup()
  const work = controllableTool('work')
  const owner = collect(ann.events())
  const task = await ann.spawn(work.tool)
  await settle()
  clock.jump(-3_600_000)
  work.call(0).ctx.emit('earlier by the clock')
  const log = collect(task.events())
  work.call(0).resolve(1)
  await log.ended
  await settle()
  expect(typesOf(log.items)).toEqual(['queued', 'started', 'earlier by the clock', 'completed'])
  expect(owner.items).toEqual(log.items)
  const [queued, , , completed] = eventsOf(log.items)
  expect(completed?.at).toBeLessThan(queued?.at ?? 0)
  expect(completed).toMatchObject({ type: 'task.completed', durationMs: 0 })
})

test('events of an inline call are live only: marked, without a cursor, and gone after it', async () => {
  const { ann, tasks, settle } = setup()
  const owner = collect(ann.events())
  const operator = collect(tasks.operator.events())
  await settle()
  const outcome = await ann.run((n: number) => {
    currentTask()?.emit('half', { n })
    return n + 1
  }, 1)
  await settle()
  expect(outcome).toEqual({ kind: 'inline', value: 2, persisted: false })
  expect(typesOf(owner.items)).toEqual(['queued', 'started', 'half', 'completed'])
  expect(operator.items).toEqual(owner.items)
  for (const event of eventsOf(owner.items)) {
    expect(event.ephemeral).toBe(true)
    expect(event.cursor).toBeUndefined()
  }
  expect(verifyLog(owner.items)).toEqual([])
  const later = collect(ann.events())
  await settle()
  expect(later.items).toEqual([])
})

test('a promotion brings the whole log into the feed, and nothing twice to who saw it live', async () => {
  const { ann, advance, settle } = setup({ inlineMs: 50 })
  const live = collect(ann.events())
  await settle()
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  work.call(0).ctx.emit('seen live')
  await advance(50)
  expect(call.value).toMatchObject({ kind: 'background' })
  work.call(0).ctx.emit('of record')
  work.call(0).resolve(1)
  await settle()
  expect(typesOf(live.items)).toEqual(['queued', 'started', 'seen live', 'backgrounded', 'of record', 'completed'])
  expect(eventsOf(live.items).map((event) => event.ephemeral === true)).toEqual([true, true, true, false, false, false])
  expect(verifyLog(live.items)).toEqual([])
  const later = collect(ann.events())
  const ofTask = collect(ann.events({ taskId: 'task-1' }))
  await settle()
  expect(placesOf(later.items)).toEqual(placesOf(live.items))
  expect(placesOf(ofTask.items)).toEqual(placesOf(live.items))
  expect(eventsOf(later.items).some((event) => event.ephemeral)).toBe(false)
})

test('who joins in the middle of an inline call misses nothing of it once it is promoted', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  work.call(0).ctx.emit('unseen')
  const live = collect(ann.events())
  await settle()
  work.call(0).ctx.emit('seen live')
  await ann.background('task-1')
  work.call(0).resolve(1)
  await settle()
  expect(call.value).toMatchObject({ kind: 'background' })
  const seqs = eventsOf(live.items).map((event) => event.seq)
  expect(seqs.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6])
})

test('who watches one inline call gets its rest live, and goes on over its promotion', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  const log = collect(ann.events({ taskId: 'task-1', after: 2 }))
  await settle()
  work.call(0).ctx.emit('seen live')
  await ann.background('task-1')
  work.call(0).resolve(1)
  expect(await log.ended).toBeUndefined()
  expect(call.value).toMatchObject({ kind: 'background' })
  expect(placesOf(log.items)).toEqual(['task-1:3', 'task-1:4', 'task-1:5'])
  expect(typesOf(log.items)).toEqual(['seen live', 'backgrounded', 'completed'])
})

test('events, records and payloads that are handed out cannot be changed from outside', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const payload = { list: [1] }
  work.call(0).ctx.emit('found', payload)
  payload.list.push(2)
  await settle()
  const log = collect(task.events())
  await settle()
  const found = log.items.find((item) => item.type === 'task.custom')
  expect(found).toMatchObject({ payload: { list: [1] } })
  expect(Object.isFrozen(found)).toBe(true)
  expect(() => ((found as { payload: { list: number[] } }).payload.list[0] = 9)).toThrow(TypeError)
  expect(cursorOf(found)).not.toBe('')
})
