/**
 * One consumer's stream: what is kept, then what happens, without a hole between the two.
 *
 * The consumer listens before it reads, so nothing falls between. `place` is the last place of the stream that it has
 * seen; everything it gets has the place after it, or is preceded by a mark that says what is missing.
 *
 * replaying: pages are read from the store; what is published meanwhile is held.
 * live: what is published is handed on at once if its place is the next one, else held until the missing one arrives or
 * `RECONCILE_MS` has passed, after which the store is read again.
 * ended: the terminal event of the one task was seen, or the consumer left or was cut.
 *
 * 1. Places never go back and never repeat.
 * 2. A hole is always announced: by a gap where events were trimmed, by a reset where the log is another one.
 * 3. At most `maxHeld` publications are held; beyond that the stream replays, which loses nothing.
 * 4. A store that fails once something was read pauses the stream: it says so once, and reads again every `RECONCILE_MS`.
 * 5. Events of ephemeral calls have no place. They are handed on as they come, and not again when the call is promoted.
 */
import { mayPass } from '../errors.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { DeliveryEvent, StreamGap, StreamItem, TaskEvent } from '../ports/task-event.ts'
import { isFinalEventType } from '../ports/task-event.ts'
import type { TaskRecord } from '../ports/task-record.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { FeedEntry, FeedPage } from '../ports/task-store.ts'
import type { Publication, PublicationListener } from './hub.ts'

const PAGE_SIZE = 256
const RECONCILE_MS = 2_000

/** A page of a source. `isComplete`: nothing will ever follow it. */
export interface SourcePage extends FeedPage {
  readonly isComplete?: boolean
}

/** Where a stream comes from: the log of a task, of an owner, or of all. */
export interface FeedSource {
  /** Absent in the streams over many tasks. */
  readonly taskId: string | undefined
  /** Throws or rejects when the consumer may not see this. Called first. */
  authorise?(): void | Promise<void>
  read(after: number, limit: number): Awaitable<SourcePage>
  placeOf(entry: FeedEntry): number
  toEvent(entry: FeedEntry): TaskEvent | DeliveryEvent
  listen(listener: PublicationListener): () => void
  onPause(listener: () => void): () => void
  /** Calls back when other processes may have added to the log: beyond the place, where one is told. */
  onNews(listener: (place: number | undefined) => void): () => void
  /** Resolves when the log can be told from another one; nothing where it can already. */
  whenOpen(): Promise<void> | undefined
  /** Names the log; another one has another name. */
  incarnation(): string
  /** What is known of the one task now; gaps carry it. */
  record?(): Awaitable<TaskRecord | undefined>
}

/** Where a stream goes to. */
export interface FeedSink {
  push(item: StreamItem): void
  /** Resolves when a replay may go on. */
  whenReady(): Promise<void> | undefined
  end(): void
  fail(error: unknown): void
}

export interface FeedStart {
  /** The last place the consumer knows, or `now` for live only. */
  readonly after: number | 'now'
  /** The log that `after` is a place in; absent where it is a place in any. */
  readonly incarnation: string | undefined
  readonly maxHeld: number
  /** Decides which events the consumer wants; places count all of them. */
  readonly filter: ((event: TaskEvent | DeliveryEvent) => boolean) | undefined
}

/** Starts the stream and gives its end. */
export function openFeed(
  source: FeedSource,
  sink: FeedSink,
  start: FeedStart,
  parts: { readonly deadlines: Deadlines; readonly onGap: () => void },
): () => void {
  let place = start.after === 'now' ? 0 : start.after
  let phase: 'replaying' | 'live' | 'ended' = 'replaying'
  let held: Publication[] = []
  let hasOverflowed = false
  let isPauseTold = false
  let hasRead = false
  let reconcile: { disarm(): void } | undefined
  /** Of each ephemeral call that lives: which of its events were handed on, from the first seen to the last. Most streams see none. */
  let seenOfEphemeral: Map<string, { readonly from: number; to: number }> | undefined
  const undo: (() => void)[] = []

  const isEnded = (): boolean => phase === 'ended'

  const stop = (): void => {
    phase = 'ended'
    held = []
    reconcile?.disarm()
    for (const off of undo) off()
  }

  const handOn = (event: TaskEvent | DeliveryEvent): void => {
    const seen = seenOfEphemeral?.get(event.taskId)
    const isFinal = isFinalEventType(event.type)
    if (isFinal) seenOfEphemeral?.delete(event.taskId)
    if (seen === undefined || event.seq < seen.from || event.seq > seen.to) {
      if (start.filter === undefined || start.filter(event)) sink.push(event)
    }
    if (isFinal && source.taskId !== undefined) {
      stop()
      sink.end()
    }
  }

  const pushGap = (gap: StreamGap): void => {
    parts.onGap()
    sink.push(gap)
  }

  const markGap = async (from: number, to: number): Promise<void> => {
    const record = await source.record?.()
    await sink.whenReady()
    if (phase === 'ended') return
    pushGap({ type: 'stream.gap', from, to, ...(record === undefined ? {} : { record }) })
  }

  const takeEphemeral = ({ event }: Publication): void => {
    if (source.taskId !== undefined) {
      if (event.seq <= place) return
      if (event.seq > place + 1) pushGap({ type: 'stream.gap', from: place + 1, to: event.seq - 1 })
      place = event.seq
    } else if (!isFinalEventType(event.type)) {
      seenOfEphemeral ??= new Map()
      const seen = seenOfEphemeral.get(event.taskId)
      if (seen === undefined || event.seq > seen.to + 1)
        seenOfEphemeral.set(event.taskId, { from: event.seq, to: event.seq })
      else seen.to = event.seq
    } else {
      seenOfEphemeral?.delete(event.taskId)
    }
    if (start.filter === undefined || start.filter(event)) sink.push(event)
    if (isFinalEventType(event.type) && source.taskId !== undefined) {
      stop()
      sink.end()
    }
  }

  /** Drops held events of ephemeral calls that were promoted since: they have their places among what was replayed. */
  const dropPromoted = (): void => {
    const placed = new Set(held.filter(({ event }) => event.ephemeral !== true).map(({ event }) => event.taskId))
    held = held.filter(({ event }) => event.ephemeral !== true || !placed.has(event.taskId))
  }

  /** Hands on what is held, as far as it goes without a hole. */
  const drainHeld = (): void => {
    held.sort((a, b) => source.placeOf(a.entry) - source.placeOf(b.entry))
    const rest: Publication[] = []
    for (const publication of held) {
      if (phase !== 'live') return
      const at = source.placeOf(publication.entry)
      if (publication.event.ephemeral === true) takeEphemeral(publication)
      else if (at === place + 1) {
        place = at
        handOn(publication.event)
      } else if (at > place) rest.push(publication)
    }
    held = rest
  }

  const replayAgain = (): void => {
    if (phase !== 'live') return
    phase = 'replaying'
    void replay()
  }

  /** Something is held, so what comes before it is missing. */
  const seekMissing = (): void => {
    // One task's events are published in order, so a hole in its stream was trimmed and will not fill.
    if (source.taskId !== undefined) return replayAgain()
    reconcile?.disarm()
    reconcile = parts.deadlines.idleAfter(RECONCILE_MS, replayAgain, undefined)
  }

  const hear: PublicationListener = (publication) => {
    isPauseTold = false
    if (phase === 'ended') return
    if (phase === 'live') {
      if (publication.event.ephemeral === true) return takeEphemeral(publication)
      const at = source.placeOf(publication.entry)
      if (at <= place) return
      if (at === place + 1) {
        place = at
        handOn(publication.event)
        if (held.length > 0) drainHeld()
        if (held.length === 0) reconcile?.disarm()
        return
      }
    }
    held.push(publication)
    if (held.length > start.maxHeld) {
      held = []
      hasOverflowed = true
      replayAgain()
    } else if (phase === 'live' && held.length === 1) seekMissing()
  }

  const readPage = async (): Promise<SourcePage> => {
    const page = await source.read(place, PAGE_SIZE)
    for (const entry of page.entries) {
      const at = source.placeOf(entry)
      if (at > place + 1) await markGap(place + 1, at - 1)
      const ready = sink.whenReady()
      if (ready !== undefined) await ready
      if (isEnded()) return page
      place = at
      handOn(source.toEvent(entry))
    }
    if (!isEnded() && page.upTo > place) {
      await markGap(place + 1, page.upTo)
      place = page.upTo
    }
    return page
  }

  const tellPause = (): void => {
    if (isPauseTold || phase === 'ended') return
    isPauseTold = true
    sink.push({ type: 'stream.paused' })
  }

  const replay = async (): Promise<void> => {
    try {
      let page: SourcePage | undefined
      while (page === undefined || !page.isLast || hasOverflowed) {
        await sink.whenReady()
        if (isEnded()) return
        hasOverflowed = false
        page = await readPage()
        if (isEnded()) return
        hasRead = true
      }
      isPauseTold = false
      phase = 'live'
      dropPromoted()
      drainHeld()
      if (isEnded()) return
      if (page.isComplete === true) {
        stop()
        sink.end()
      } else if (held.length > 0) seekMissing()
    } catch (error) {
      if (isEnded()) return
      if (hasRead && mayPass(error)) {
        tellPause()
        reconcile?.disarm()
        reconcile = parts.deadlines.idleAfter(RECONCILE_MS, () => void replay(), undefined)
        return
      }
      stop()
      sink.fail(error)
    }
  }

  const hearNews = (at: number | undefined): void => {
    if (at !== undefined && at <= place) return
    // What is being read may have been read before that was written.
    if (phase === 'replaying') hasOverflowed = true
    else replayAgain()
  }

  const listen = (): void => {
    undo.push(source.listen(hear))
    undo.push(source.onNews(hearNews))
    undo.push(source.onPause(tellPause))
  }

  const begin = async (): Promise<void> => {
    try {
      const verdict = source.authorise?.()
      if (verdict !== undefined) await verdict
      const opening = source.whenOpen()
      if (opening !== undefined) await opening
      if (isEnded()) return
      listen()
      if (start.incarnation !== undefined && start.incarnation !== source.incarnation()) {
        place = 0
        sink.push({ type: 'stream.reset' })
      }
      if (start.after === 'now') place = (await source.read(Number.MAX_SAFE_INTEGER, 1)).upTo
    } catch (error) {
      if (isEnded()) return
      stop()
      sink.fail(error)
      return
    }
    await replay()
  }

  void begin()
  return stop
}
