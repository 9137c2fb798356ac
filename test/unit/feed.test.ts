import {
  isTaskEvent,
  memoryStore,
  TaskError,
  type FeedEntry,
  type StreamItem,
  type TaskEventType,
  type TaskStore,
} from 'outlive'
import { createManualClock, passTurns, type ManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { openFeed, type FeedSink, type FeedSource, type FeedStart, type SourcePage } from '../../src/events/feed.ts'
import type { Hub } from '../../src/events/hub.ts'
import { NO_NEWS } from '../../src/events/news.ts'
import { createStreams } from '../../src/events/streams.ts'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import { createTestHub, entryOf } from '../support/published.ts'
import { collect } from '../support/setup.ts'

interface Bench {
  readonly hub: Hub
  readonly clock: ManualClock
  /** What the store has. */
  readonly log: FeedEntry[]
  readonly told: string[]
  /** Puts an event into the store and, unless it is lost, publishes it. */
  commit(
    place: number,
    options?: {
      readonly isLost?: boolean
      readonly type?: TaskEventType
      readonly taskId?: string
      readonly seq?: number
    },
  ): FeedEntry
  publish(entry: FeedEntry): void
  close(): void
}

function bench(
  options: Partial<FeedStart> & {
    readonly taskId?: string
    readonly source?: Partial<FeedSource>
    readonly sink?: Partial<FeedSink>
    readonly log?: FeedEntry[]
  } = {},
): Bench {
  const { hub } = createTestHub()
  const clock = createManualClock()
  const { taskId, log = [] } = options
  const told: string[] = []
  const placeOf = (entry: FeedEntry): number => (taskId === undefined ? entry.ownerPosition : entry.event.seq)
  const source: FeedSource = {
    taskId,
    read(after, limit): SourcePage {
      const kept = log.filter((entry) => placeOf(entry) > after).sort((a, b) => placeOf(a) - placeOf(b))
      const entries = kept.slice(0, limit)
      const isLast = kept.length <= limit
      return { entries, upTo: entries.length === 0 ? Math.min(after, 0) : placeOf(entries.at(-1) as FeedEntry), isLast }
    },
    placeOf,
    toEvent: ({ event, record }) =>
      ({ ...event.data, type: event.type, taskId: record.taskId, seq: event.seq }) as never,
    listen: (listener) => (taskId === undefined ? hub.onOwner('ann', listener) : hub.onTask(taskId, listener)),
    onPause: (listener) => hub.onPause(listener),
    onNews: () => () => undefined,
    whenOpen: () => undefined,
    incarnation: () => 'this log',
    ...options.source,
  }
  const sink: FeedSink = {
    push: (item) =>
      void told.push(
        isTaskEvent(item)
          ? `${item.taskId}${item.seq}`
          : item.type === 'stream.gap'
            ? `gap ${item.from}-${item.to}`
            : item.type,
      ),
    whenReady: () => undefined,
    end: () => void told.push('end'),
    fail: (error) => void told.push(`fail ${(error as Error).message}`),
    ...options.sink,
  }
  const deadlines = createDeadlines(clock, (error) => {
    throw error
  })
  const close = openFeed(
    source,
    sink,
    { after: 0, incarnation: undefined, maxHeld: 10, filter: undefined, ...options },
    { deadlines, onGap: () => undefined },
  )
  return {
    hub,
    clock,
    log,
    told,
    commit(place, { isLost = false, type = 'task.custom', taskId: id = 'a', seq = place } = {}) {
      const entry = entryOf({ taskId: id, seq, ownerPosition: place, type })
      log.push(entry)
      if (!isLost) hub.publish([entry])
      return entry
    },
    publish: (entry) => hub.publish([entry]),
    close,
  }
}

test('publications that come in any order are handed on in the order of their places', async () => {
  const { commit, publish, told } = bench()
  await passTurns(1)
  const held = [1, 2, 3, 4, 5].map((place) => commit(place, { isLost: true }))
  for (const index of [4, 1, 0, 3, 2]) publish(held[index] as FeedEntry)
  expect(told).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
})

test('a publication that is lost is fetched from the store two seconds after its successor, and holds no process alive', async () => {
  const { commit, told, clock } = bench()
  await passTurns(1)
  commit(1)
  commit(2, { isLost: true })
  commit(3)
  expect(clock.heldTimerCount()).toBe(0)
  await clock.advance(1_999)
  expect(told).toEqual(['a1'])
  await clock.advance(1)
  expect(told).toEqual(['a1', 'a2', 'a3'])
  commit(4, { isLost: true })
  commit(5)
  await clock.advance(2_000)
  expect(told).toEqual(['a1', 'a2', 'a3', 'a4', 'a5'])
})

test('a hole that shows only after a replay is fetched too', async () => {
  let isFirst = true
  const log: FeedEntry[] = []
  const slow: Partial<FeedSource> = {
    async read(after, limit) {
      const entries = log.filter((entry) => entry.ownerPosition > after).slice(0, limit)
      // The page is as it was when it was asked for.
      if (isFirst) await passTurns(3)
      isFirst = false
      return { entries, upTo: entries.at(-1)?.ownerPosition ?? after, isLast: true }
    },
  }
  const { commit, told, clock } = bench({ source: slow, log })
  await passTurns(1)
  commit(1, { isLost: true })
  commit(2)
  await passTurns(5)
  expect(told).toEqual([])
  await clock.advance(2_000)
  expect(told).toEqual(['a1', 'a2'])
})

test('a hole in the stream of one task is looked up at once, because it will not fill', async () => {
  const { commit, log, told } = bench({ taskId: 'a' })
  await passTurns(1)
  commit(1)
  commit(5)
  await passTurns(2)
  expect(told).toEqual(['a1', 'gap 2-4', 'a5'])
  expect(log).toHaveLength(2)
})

test('more publications than may be held cost a replay and nothing else', async () => {
  const { commit, told, clock } = bench({ maxHeld: 3 })
  await passTurns(1)
  commit(1, { isLost: true })
  for (let place = 2; place <= 20; place += 1) commit(place)
  await passTurns(3)
  expect(told).toEqual(Array.from({ length: 20 }, (_, index) => `a${index + 1}`))
  expect(clock.timerCount()).toBeLessThanOrEqual(1)
})

test('what is published while a page is on its way comes once, after it', async () => {
  const log = [entryOf({ seq: 1 }), entryOf({ seq: 2 })]
  const { commit, told } = bench({ log })
  commit(3)
  commit(4)
  expect(told.length).toBeLessThan(4)
  await passTurns(2)
  expect(told).toEqual(['a1', 'a2', 'a3', 'a4'])
})

test('an ephemeral call that is promoted while a consumer catches up is told once', async () => {
  const { hub, commit, told } = bench()
  hub.publishEphemeral(entryOf({ taskId: 'e', seq: 3, ownerPosition: 0 }))
  hub.publishEphemeral(entryOf({ taskId: 'f', seq: 3, ownerPosition: 0 }))
  for (const seq of [1, 2, 3, 4]) commit(seq, { taskId: 'e', seq })
  await passTurns(2)
  expect(told.toSorted()).toEqual(['e1', 'e2', 'e3', 'e4', 'f3'])
})

test('events of a promoted call that a consumer had not seen live are told, the seen ones are not told again', async () => {
  const { hub, commit, told } = bench()
  await passTurns(1)
  hub.publishEphemeral(entryOf({ taskId: 'e', seq: 3, ownerPosition: 0 }))
  hub.publishEphemeral(entryOf({ taskId: 'e', seq: 4, ownerPosition: 0 }))
  for (const seq of [1, 2, 3, 4, 5]) commit(seq, { taskId: 'e', seq })
  expect(told).toEqual(['e3', 'e4', 'e1', 'e2', 'e5'])
})

test('the stream of one task ends after its terminal event, and nothing follows', async () => {
  const { commit, told, hub } = bench({ taskId: 'a' })
  await passTurns(1)
  commit(1)
  commit(2, { type: 'task.completed' })
  commit(3)
  expect(told).toEqual(['a1', 'a2', 'end'])
  expect(hub.listenerCount()).toBe(0)
})

test('a pause is said once, and again only after something was said', async () => {
  const { hub, commit, told } = bench()
  await passTurns(1)
  hub.pause()
  hub.pause()
  commit(1)
  hub.pause()
  expect(told).toEqual(['stream.paused', 'a1', 'stream.paused'])
})

test('whichever way a stream is over, it listens to nothing any more and no timer stays', async () => {
  const ways: Record<string, () => Bench | Promise<Bench>> = {
    'closed at once': () => {
      const it = bench()
      it.close()
      return it
    },
    'closed while live, with something held': async () => {
      const it = bench()
      await passTurns(1)
      it.commit(2)
      it.close()
      return it
    },
    'closed while it reads': async () => {
      const it = bench({
        source: { read: () => passTurns(3).then(() => ({ entries: [entryOf()], upTo: 1, isLast: true })) },
      })
      await passTurns(1)
      it.close()
      return it
    },
    'closed while the consumer is not ready': async () => {
      let ready: (() => void) | undefined
      const it = bench({ log: [entryOf()], sink: { whenReady: () => new Promise((resolve) => (ready = resolve)) } })
      await passTurns(1)
      it.close()
      ready?.()
      return it
    },
    'closed from within a push': async () => {
      const it: Bench = bench({ log: [entryOf({ seq: 1 }), entryOf({ seq: 2 })], sink: { push: () => it.close() } })
      await passTurns(1)
      return it
    },
    refused: () => bench({ source: { authorise: () => Promise.reject(new Error('not yours')) } }),
    'refused at once': () =>
      bench({
        source: {
          authorise() {
            throw new Error('not yours')
          },
        },
      }),
    'failed to read': () => bench({ source: { read: () => Promise.reject(new Error('down')) } }),
    'failed to read where now is': () =>
      bench({ after: 'now', source: { read: () => Promise.reject(new Error('down')) } }),
    ended: async () => {
      const it = bench({ taskId: 'a' })
      await passTurns(1)
      it.commit(1, { type: 'task.failed' })
      return it
    },
  }
  for (const [way, over] of Object.entries(ways)) {
    const it = await over()
    await passTurns(6)
    const before = it.told.length
    it.commit(7)
    await it.clock.advance(5_000)
    expect(it.told.length, way).toBe(before)
    expect(it.hub.listenerCount(), way).toBe(0)
    it.close()
  }
})

test('a store that fails later pauses the stream once, and it goes on from where it stood', async () => {
  let isDown = false
  let news = (_place: number | undefined): void => undefined
  const it: Bench = bench({
    source: {
      onNews: (listener) => {
        news = listener
        return () => undefined
      },
      read: (after, limit) => {
        if (isDown) return Promise.reject(new Error('down'))
        const entries = it.log.filter(({ ownerPosition }) => ownerPosition > after).slice(0, limit)
        return { entries, upTo: entries.at(-1)?.ownerPosition ?? after, isLast: true }
      },
    },
  })
  await passTurns(2)
  it.commit(1)
  for (const outage of [1, 2]) {
    const before = it.told.length
    isDown = true
    it.commit(1 + outage, { isLost: true })
    news(1 + outage)
    await it.clock.advance(10_000)
    expect(it.told.slice(before)).toEqual(['stream.paused'])
    isDown = false
    await it.clock.advance(2_000)
    expect(it.told.slice(before)).toHaveLength(2)
  }
  expect(it.told.filter((told) => told.startsWith('fail'))).toEqual([])
  it.close()
  expect(it.hub.listenerCount()).toBe(0)
})

test('a stream whose store says that trying again is of no use ends with that', async () => {
  const errors: Error[] = []
  let news = (_place: number | undefined): void => undefined
  const { told, hub, clock } = bench({
    source: {
      onNews: (listener) => {
        news = listener
        return () => undefined
      },
      read: async (after) => {
        for (const error of errors) throw error
        return { entries: [], upTo: after, isLast: true }
      },
    },
  })
  await passTurns(2)
  errors.push(new TaskError('store_unusable', 'a wrong password'))
  news(1)
  await clock.advance(5_000)
  expect(told).toEqual(['fail a wrong password'])
  expect(hub.listenerCount()).toBe(0)
})

test('a stream that is refused says so and never listens', async () => {
  const heard: string[] = []
  const { told, hub } = bench({
    source: {
      authorise: () => Promise.reject(new Error('not yours')),
      listen: () => {
        heard.push('listen')
        return () => undefined
      },
    },
  })
  await passTurns(2)
  expect(told).toEqual(['fail not yours'])
  expect([heard, hub.listenerCount()]).toEqual([[], 0])
})

function streamsBench(options: { readonly store?: TaskStore; readonly live?: ReadonlySet<string> } = {}): {
  readonly hub: Hub
  readonly streams: ReturnType<typeof createStreams>
  cuts(): number
} {
  const { hub } = createTestHub(options.live === undefined ? {} : { live: options.live })
  const clock = createManualClock()
  let cuts = 0
  const streams = createStreams({
    store: options.store ?? memoryStore(),
    hub,
    news: NO_NEWS,
    whenOpen: () => undefined,
    clock,
    deadlines: createDeadlines(clock, () => undefined),
    maxBufferedEvents: 3,
    onCut: () => void (cuts += 1),
    onGap: () => undefined,
    reportError: () => undefined,
  })
  return { hub, streams, cuts: () => cuts }
}

test('iterators and observables leave no listener behind: left, cut, aborted, unsubscribed or completed', async () => {
  const { hub, streams, cuts } = streamsBench()
  const scope = { kind: 'owner', owner: 'ann' } as const
  const none = { after: undefined, signal: undefined, heartbeatMs: undefined }
  const abort = new AbortController()
  const left = streams.iterate(scope, none)
  const cut = streams.iterate(scope, none)
  const aborted = collect(streams.iterate(scope, { after: 'now', signal: abort.signal, heartbeatMs: undefined }))
  const pushed: StreamItem[] = []
  const subscription = streams.observe({ kind: 'all' }, none).subscribe((item) => void pushed.push(item))
  const untilAbort = streams
    .observe(scope, { after: undefined, signal: abort.signal, heartbeatMs: undefined })
    .subscribe((item) => void pushed.push(item))
  const live = streams.observeLive('ann', () => []).subscribe()
  await passTurns(2)
  expect(hub.listenerCount()).toBe(11)
  await left.return?.()
  expect(hub.listenerCount()).toBe(9)
  for (let seq = 1; seq <= 4; seq += 1) {
    hub.publish([entryOf({ seq })])
    await passTurns(1)
  }
  expect(aborted.items).toHaveLength(4)
  expect(cuts()).toBe(1)
  expect(hub.listenerCount()).toBe(7)
  await cut.return?.()
  abort.abort()
  await aborted.ended
  expect(untilAbort.closed).toBe(true)
  expect(hub.listenerCount()).toBe(3)
  live.unsubscribe()
  subscription.unsubscribe()
  subscription.unsubscribe()
  expect(hub.listenerCount()).toBe(0)
  expect(pushed).toHaveLength(8)
})
