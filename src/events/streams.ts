/** The streams a session or an operator may open: of one task, of an owner, of all. */
import type { Observable } from 'rxjs'
import { onAbort } from '../abort-listeners.ts'
import { badOption } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { DeliveryEvent, StreamItem, TaskEvent } from '../ports/task-event.ts'
import type { TaskRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { fromCursor, invalidCursor, tagOf, toCursor, type CursorPlaces, type CursorReach } from './cursor.ts'
import { openFeed, type FeedSink, type FeedSource, type FeedStart } from './feed.ts'
import { withHeartbeat } from './heartbeat.ts'
import type { Hub } from './hub.ts'
import { RECONCILE_MS, type News } from './news.ts'
import { toIterator } from './iterator-face.ts'
import { toObservable } from './observable-face.ts'
import { toEventView, toTaskRecord } from './task-event-view.ts'

/** Which stream, and which of its events. */
export type StreamScope =
  | {
      readonly kind: 'task'
      readonly taskId: string
      /** Throws or rejects when the consumer may not see the task. Called before anything is read. */
      readonly authorise: () => void | Promise<void>
    }
  | {
      readonly kind: 'owner'
      readonly owner: string
      readonly filter?: ((event: TaskEvent | DeliveryEvent) => boolean) | undefined
    }
  | { readonly kind: 'all'; readonly filter?: ((event: TaskEvent | DeliveryEvent) => boolean) | undefined }

/** How a stream begins and what ends it. `after` is as its consumer gave it. */
export interface StreamOpening {
  readonly after: unknown
  readonly signal: AbortSignal | undefined
  readonly heartbeatMs: number | undefined
}

export interface Streams {
  iterate(scope: StreamScope, opening: StreamOpening): AsyncIterableIterator<StreamItem>
  observe(scope: StreamScope, opening: StreamOpening): Observable<StreamItem>
  /** The set of live tasks, whole: at once on subscription and after each change, at most once a turn. */
  observeLive(owner: string | undefined, read: () => readonly TaskRecord[]): Observable<readonly TaskRecord[]>
}

export function createStreams(parts: {
  readonly store: TaskStore
  readonly hub: Hub
  readonly news: News
  /** Resolves when the store is open; nothing when it is. */
  readonly whenOpen: () => Promise<void> | undefined
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly maxBufferedEvents: number
  readonly onCut: () => void
  readonly onGap: () => void
  readonly reportError: (error: unknown) => void
}): Streams {
  const { store, hub, news, clock, deadlines, maxBufferedEvents, reportError } = parts
  const ofStore = { whenOpen: parts.whenOpen, incarnation: () => store.incarnation }
  const toEventFor =
    (reach: CursorReach): FeedSource['toEvent'] =>
    (entry) =>
      toEventView(entry, toCursor(store.incarnation, entry, reach))
  const toEvent = toEventFor('owner')

  /** What lives here is heard of without the store. */
  const onNewsOf = (taskId: string, listener: (place: number | undefined) => void): (() => void) => {
    if (!news.isNeeded) return () => undefined
    let stop: (() => void) | undefined
    let isOver = false
    const watch = async (): Promise<void> => {
      try {
        const record = await store.read(taskId)
        if (record === undefined || isOver) return
        stop = news.watch(record.owner, () => void (!hub.isLive(taskId) && listener(undefined)))
      } catch {
        // Who reads the stream learns what is wrong with the store.
        if (isOver) return
        const again = deadlines.idleAfter(RECONCILE_MS, () => void watch(), undefined)
        stop = () => again.disarm()
      }
    }
    void watch()
    return () => {
      isOver = true
      stop?.()
    }
  }

  const taskSource = (taskId: string, authorise: () => void | Promise<void>): FeedSource => ({
    taskId,
    authorise,
    async read(after, limit) {
      // The record first: what it says to be there, the events read after it have or have lost.
      const record = await store.read(taskId)
      const entries = await store.readEvents({ taskId, afterSeq: after, limit })
      const isLast = entries.length < limit
      // An ephemeral call has no record; what is known of it comes live.
      const isComplete = isLast && (record === undefined ? !hub.isLive(taskId) : record.endedAt !== undefined)
      return { entries, upTo: isLast ? (record?.lastSeq ?? 0) : after, isLast, isComplete }
    },
    placeOf: seqOf,
    toEvent,
    listen: (listener) => hub.onTask(taskId, listener),
    onPause: (listener) => hub.onPause(listener),
    onNews: (listener) => onNewsOf(taskId, listener),
    ...ofStore,
    async record() {
      const stored = await store.read(taskId)
      return stored && toTaskRecord(stored, store.durability)
    },
  })

  const ownerSource = (owner: string): FeedSource => ({
    taskId: undefined,
    read: (after, limit) => store.readFeed({ owner, after, limit }),
    placeOf: ownerPositionOf,
    toEvent,
    listen: (listener) => hub.onOwner(owner, listener),
    onPause: (listener) => hub.onPause(listener),
    onNews: (listener) => news.watch(owner, listener),
    ...ofStore,
  })

  const allSource: FeedSource = {
    taskId: undefined,
    read: (after, limit) => store.readFeed({ after, limit }),
    placeOf: (entry) => entry.position,
    toEvent: toEventFor('all'),
    listen: (listener) => hub.onAll(listener),
    onPause: (listener) => hub.onPause(listener),
    onNews: (listener) => news.watch(undefined, listener),
    ...ofStore,
  }

  const sourceOf = (scope: StreamScope): FeedSource => {
    switch (scope.kind) {
      case 'task':
        return taskSource(scope.taskId, scope.authorise)
      case 'owner':
        return ownerSource(scope.owner)
      case 'all':
        return allSource
    }
  }

  const toStart = (scope: StreamScope, after: unknown): FeedStart => {
    const filter = scope.kind === 'task' ? undefined : scope.filter
    const from = (place: number | 'now', incarnation?: string): FeedStart => ({
      after: place,
      incarnation,
      maxHeld: maxBufferedEvents,
      filter,
    })
    if (after === undefined) return from(0)
    if (after === 'now') return from('now')
    if (typeof after === 'number' && scope.kind === 'task') {
      if (Number.isSafeInteger(after) && after >= 0) return from(after)
    }
    if (typeof after !== 'string')
      throw badOption('after', "a cursor, 'now' or, for one task, a sequence number", after)
    const places = fromCursor(after)
    return from(placeIn(scope, places), places.incarnation)
  }

  const open = (
    source: FeedSource,
    sink: FeedSink,
    start: FeedStart,
    heartbeatMs: number | undefined,
  ): (() => void) => {
    if (heartbeatMs === undefined) return openFeed(source, sink, start, parts)
    const alive = withHeartbeat(sink, heartbeatMs, deadlines)
    const close = openFeed(source, alive.sink, start, parts)
    return () => {
      alive.stop()
      close()
    }
  }

  return {
    iterate(scope, { after, signal, heartbeatMs }) {
      const start = toStart(scope, after)
      const source = sourceOf(scope)
      return toIterator((sink) => open(source, sink, start, heartbeatMs), {
        maxBuffered: maxBufferedEvents,
        signal,
        onCut: parts.onCut,
      })
    },

    observe(scope, { after, signal, heartbeatMs }) {
      const start = toStart(scope, after)
      const source = sourceOf(scope)
      return toObservable<StreamItem>((push) => {
        const sink: FeedSink = { push: push.next, whenReady: () => undefined, end: push.end, fail: push.fail }
        if (signal?.aborted === true) {
          push.end()
          return () => undefined
        }
        const close = open(source, sink, start, heartbeatMs)
        const stopListening = onAbort(signal, () => {
          close()
          push.end()
        })
        return () => {
          stopListening()
          close()
        }
      }, reportError)
    },

    observeLive(owner, read) {
      return toObservable<readonly TaskRecord[]>((push) => {
        let isPlanned = false
        let isOpen = true
        const tell = (): void => {
          isPlanned = false
          if (isOpen) push.next(read())
        }
        const plan = (): void => {
          if (isPlanned) return
          isPlanned = true
          clock.soon(tell)
        }
        const off = owner === undefined ? hub.onAll(plan) : hub.onOwner(owner, plan)
        tell()
        return () => {
          isOpen = false
          off()
        }
      }, reportError)
    },
  }
}

// One function for all streams of a kind: each that hears an event calls it.
const seqOf: FeedSource['placeOf'] = ({ event }) => event.seq
const ownerPositionOf: FeedSource['placeOf'] = ({ ownerPosition }) => ownerPosition

/** The place a cursor stands for in a stream. @throws `invalid_cursor` */
function placeIn(scope: StreamScope, places: CursorPlaces): number {
  switch (scope.kind) {
    case 'task':
      if (places.taskTag !== tagOf(scope.taskId)) throw invalidCursor()
      return places.seq
    case 'owner':
      if (places.ownerTag !== tagOf(scope.owner)) throw invalidCursor()
      return places.ownerPosition
    case 'all':
      if (places.position === undefined) throw invalidCursor()
      return places.position
  }
}
