import { getEventListeners } from 'node:events'
import type { StreamItem, TaskEvent } from 'outlive'
import { expect, test } from 'vitest'
import { toIterator } from '../../src/events/iterator-face.ts'
import type { FeedSink } from '../../src/events/feed.ts'
import { watch } from '../support/setup.ts'

const itemOf = (seq: number): TaskEvent =>
  ({ type: 'task.custom', taskId: 'a', seq, cursor: `c${seq}` }) as unknown as TaskEvent

function bench(options: { readonly maxBuffered?: number; readonly signal?: AbortSignal } = {}): {
  readonly stream: AsyncIterableIterator<StreamItem>
  readonly sink: FeedSink
  opened(): number
  closed(): number
  cuts(): number
} {
  let opened = 0
  let closed = 0
  let cuts = 0
  let sink: FeedSink | undefined
  const stream = toIterator(
    (given) => {
      opened += 1
      sink = given
      return () => void (closed += 1)
    },
    { maxBuffered: options.maxBuffered ?? 10, signal: options.signal, onCut: () => void (cuts += 1) },
  )
  const late: FeedSink = {
    push: (item) => sink?.push(item),
    whenReady: () => sink?.whenReady(),
    end: () => sink?.end(),
    fail: (error) => sink?.fail(error),
  }
  return { stream, sink: late, opened: () => opened, closed: () => closed, cuts: () => cuts }
}

test('the stream is open from the call on, so what happens before the first read belongs to it', async () => {
  const { stream, sink, opened } = bench()
  expect(opened()).toBe(1)
  sink.push(itemOf(1))
  expect(await stream.next()).toEqual({ done: false, value: itemOf(1) })
})

test('a reader that waits is woken by an item, the end, a failure, the signal or return', async () => {
  const abort = new AbortController()
  const benches = [bench(), bench(), bench(), bench({ signal: abort.signal }), bench()]
  const reads = benches.map(({ stream }) => watch(stream.next()))
  await Promise.resolve()
  expect(reads.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'pending'))
  benches[0]?.sink.push(itemOf(1))
  benches[1]?.sink.end()
  benches[2]?.sink.fail(new Error('broken'))
  abort.abort()
  await benches[4]?.stream.return?.()
  await new Promise((resolve) => setImmediate(resolve))
  expect(reads.map(({ state, value, error }) => [state, value?.done, (error as Error | undefined)?.message])).toEqual([
    ['resolved', false, undefined],
    ['resolved', true, undefined],
    ['rejected', undefined, 'broken'],
    ['resolved', true, undefined],
    ['resolved', true, undefined],
  ])
  expect(benches.map(({ closed }) => closed())).toEqual([0, 1, 1, 1, 1])
})

test('what is buffered is handed out before the end or the failure is told', async () => {
  const { stream, sink } = bench()
  sink.push(itemOf(1))
  sink.fail(new Error('broken'))
  sink.push(itemOf(2))
  expect((await stream.next()).value).toEqual(itemOf(1))
  await expect(stream.next()).rejects.toThrow('broken')
  expect((await stream.next()).done).toBe(true)
})

test('one item too many cuts the reader with the cursor of the last item that it will get', async () => {
  const { stream, sink, cuts, closed } = bench({ maxBuffered: 2 })
  for (const seq of [1, 2, 3, 4]) sink.push(itemOf(seq))
  expect([cuts(), closed()]).toEqual([1, 1])
  await stream.next()
  await stream.next()
  await expect(stream.next()).rejects.toMatchObject({ code: 'stream_lagged', cursor: 'c2' })
})

test('a cut over items without a cursor names the last cursor that was read', async () => {
  const { stream, sink } = bench({ maxBuffered: 2 })
  sink.push(itemOf(1))
  await stream.next()
  for (let n = 0; n < 3; n += 1) sink.push({ type: 'stream.paused' })
  await stream.next()
  await stream.next()
  await expect(stream.next()).rejects.toMatchObject({ cursor: 'c1' })
})

test('a replay has to wait while the buffer is full, and goes on when it was read or the reader left', async () => {
  const { stream, sink } = bench({ maxBuffered: 2 })
  expect(sink.whenReady()).toBeUndefined()
  sink.push(itemOf(1))
  sink.push(itemOf(2))
  const full = sink.whenReady()
  expect(full).toBeInstanceOf(Promise)
  await stream.next()
  await full
  sink.push(itemOf(3))
  const again = sink.whenReady()
  await stream.return?.()
  await again
  expect(sink.whenReady()).toBeUndefined()
})

test('leaving frees the stream once and for all, and hands out nothing more', async () => {
  const { stream, sink, closed } = bench()
  sink.push(itemOf(1))
  sink.push(itemOf(2))
  for await (const item of stream) {
    expect(item).toEqual(itemOf(1))
    break
  }
  await stream.return?.()
  sink.push(itemOf(3))
  expect(closed()).toBe(1)
  expect(await stream.next()).toEqual({ done: true, value: undefined })
})

test('an aborted signal drops what is buffered, and leaves no listener on the signal', async () => {
  const abort = new AbortController()
  const { signal } = abort
  const listeners = (): number => getEventListeners(signal, 'abort').length
  const aborted = bench({ signal })
  const ended = bench({ signal })
  const left = bench({ signal })
  expect(listeners()).toBe(1)
  ended.sink.end()
  await left.stream.return?.()
  aborted.sink.push(itemOf(1))
  abort.abort()
  expect(listeners()).toBe(0)
  expect(await aborted.stream.next()).toEqual({ done: true, value: undefined })
  const late = bench({ signal })
  expect(late.opened()).toBe(0)
  expect((await late.stream.next()).done).toBe(true)
})
