import { isTaskError, isTaskEvent, type StreamItem, type StreamLaggedError } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'
import { cursorOf, placesOf } from '../support/stream-views.ts'

/** Reads until the stream ends or cuts the reader off. */
async function drain(
  stream: AsyncIterable<StreamItem>,
): Promise<{ items: StreamItem[]; cut: StreamLaggedError | undefined }> {
  const log = collect(stream)
  const error = await log.ended
  if (error !== undefined && !isTaskError(error, 'stream_lagged')) throw error as Error
  return { items: log.items, cut: error as StreamLaggedError | undefined }
}

test('a consumer that does not read is cut with its cursor, and a resume there completes the set', async () => {
  const { ann, tasks, settle } = setup({ maxBufferedEvents: 10, retention: { maxProgressEvents: 1_000 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const slow = task.events()
  await settle()
  for (let n = 0; n < 100; n += 1) work.call(0).ctx.emit('tick', n)
  await settle()
  expect((await tasks.operator.stats()).counters.cutConsumers).toBe(1)
  work.call(0).resolve(1)
  await settle()
  const first = await drain(slow)
  expect(first.cut?.code).toBe('stream_lagged')
  expect(first.cut?.cursor).toBe(cursorOf(first.items.at(-1)))
  expect(first.items.length).toBe(10)
  const all = [...first.items]
  for (let cursor = first.cut?.cursor; cursor !== undefined;) {
    const next = await drain(task.events({ after: cursor }))
    all.push(...next.items)
    cursor = next.cut?.cursor
  }
  expect(all.map((item) => (isTaskEvent(item) ? item.seq : 0))).toEqual(
    Array.from({ length: 103 }, (_, index) => index + 1),
  )
  expect(verifyLog(all)).toEqual([])
})

test('a cut consumer holds nothing back: others get everything, and the task ends in time', async () => {
  const { ann, settle } = setup({ maxBufferedEvents: 5, retention: { maxProgressEvents: 1_000 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const slow = task.events()
  const quick = collect(task.events())
  const pushed: StreamItem[] = []
  task.events$.subscribe((item) => void pushed.push(item))
  await settle()
  for (let n = 0; n < 40; n += 1) {
    work.call(0).ctx.emit('tick', n)
    await settle()
  }
  work.call(0).resolve('value')
  expect(await task.result()).toBe('value')
  expect(await quick.ended).toBeUndefined()
  await settle()
  expect(quick.items).toHaveLength(43)
  expect(pushed).toEqual(quick.items)
  expect((await drain(slow)).cut).toBeDefined()
})

test('a replay waits for its consumer, however small the buffer is', async () => {
  for (const maxBufferedEvents of [1, 2, 7]) {
    const { ann, tasks, settle } = setup({ maxBufferedEvents, retention: { maxProgressEvents: 50 } })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    for (let n = 0; n < 60; n += 1) work.call(0).ctx.emit('tick', n)
    work.call(0).resolve(1)
    await settle()
    const { items, cut } = await drain(task.events())
    expect(cut, `buffer of ${maxBufferedEvents}`).toBeUndefined()
    expect(items).toHaveLength(54)
    expect(placesOf(items).slice(0, 4)).toEqual(['task-1:1', 'task-1:2', 'gap 3-12', 'task-1:13'])
    expect((await tasks.operator.stats()).counters.cutConsumers).toBe(0)
  }
})

test('a consumer that reads a long past slowly is not cut by what happens meanwhile', async () => {
  const { ann, settle } = setup({ maxBufferedEvents: 20, retention: { maxProgressEvents: 10_000 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  for (let n = 0; n < 1_000; n += 1) work.call(0).ctx.emit('past', n)
  await settle()
  const seqs: number[] = []
  let isEnding = false
  for await (const item of task.events()) {
    if (isTaskEvent(item)) seqs.push(item.seq)
    if (seqs.length < 900 && seqs.length % 10 === 0) {
      work.call(0).ctx.emit('meanwhile')
      await new Promise((resolve) => setImmediate(resolve))
    } else if (seqs.length === 1_000 && !isEnding) {
      isEnding = true
      work.call(0).resolve(1)
    }
  }
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => index + 1))
  expect(seqs.length).toBe(1_000 + 89 + 3)
})

test('a consumer that was cut before it read anything resumes from what it gave up', async () => {
  const { ann, settle } = setup({ maxBufferedEvents: 3 })
  const slow = ann.events({ after: 'now' })
  await settle()
  for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => n)).wait()
  await settle()
  const { items, cut } = await drain(slow)
  const rest = collect(ann.events({ after: cut?.cursor ?? 'none' }))
  await settle()
  const whole = collect(ann.events())
  await settle()
  expect([...items, ...rest.items]).toEqual(whole.items)
  expect(whole.items).toHaveLength(9)
})

test('a subscriber that was cut is not told twice, and its iterator stays ended', async () => {
  const { ann, settle } = setup({ maxBufferedEvents: 2 })
  const slow = ann.events()
  await settle()
  await (await ann.spawn(() => 1)).wait()
  await settle()
  expect((await slow.next()).done).toBe(false)
  expect((await slow.next()).done).toBe(false)
  await expect(slow.next()).rejects.toMatchObject({ code: 'stream_lagged', retryable: true })
  expect(await slow.next()).toEqual({ done: true, value: undefined })
  expect(await slow.return?.()).toEqual({ done: true, value: undefined })
})

test('several readers of one iterator share its items, each item once', async () => {
  const { ann, settle } = setup()
  const stream = ann.events()
  const reads = [stream.next(), stream.next(), stream.next()]
  await (await ann.spawn(() => 1)).wait()
  await settle()
  const items = (await Promise.all(reads)).map(({ value }) => value as StreamItem)
  expect(placesOf(items)).toEqual(['task-1:1', 'task-1:2', 'task-1:3'])
  const waiting = stream.next()
  await stream.return?.()
  expect(await waiting).toEqual({ done: true, value: undefined })
})
