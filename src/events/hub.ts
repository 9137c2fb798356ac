/**
 * Where facts become public: what the store has committed, and what ephemeral calls do while somebody looks.
 *
 * 1. Listeners are found by task and by owner, so a fact costs what its own listeners cost.
 * 2. Every listener sees facts in the order of their publication, even when one of them causes the next.
 * 3. A listener that throws is reported once; the others and the publisher do not notice.
 * 4. Listeners run outside any task: what they spawn is no child of the task that caused the fact.
 * 5. To come and to go costs a listener the same, however many listen to the same.
 */
import { EventEmitter } from 'eventemitter3'
import type { DeliveryEvent, TaskEvent } from '../ports/task-event.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { FeedEntry } from '../ports/task-store.ts'
import { isStoredDeliveryEvent, toEventView } from './task-event-view.ts'
import { toCursor, type CursorReach } from './cursor.ts'

/** A fact on its way to one listener. */
export interface Publication {
  readonly event: TaskEvent | DeliveryEvent
  readonly entry: FeedEntry
}

export type PublicationListener = (publication: Publication) => void
/** The end of a task, with whether the store has it yet; or that the task is not here any more, and may go on elsewhere. */
export type Departure =
  | { readonly kind: 'ended'; readonly record: StoredRecord; readonly isSaved: boolean }
  | { readonly kind: 'left'; readonly taskId: string; readonly owner: string }

export type DepartureListener = (departure: Departure) => void

export interface Hub {
  publish(entries: readonly FeedEntry[]): void
  /** Facts of a call that may leave no trace. */
  publishEphemeral(entry: FeedEntry): void
  /** Whether a task lives in this process. */
  isLive(taskId: string): boolean
  /** Whether anybody would see a fact about this task. */
  isWatched(taskId: string, owner: string): boolean
  /** Lets those who wait for a task go on, although the store does not answer. */
  releaseEnd(record: StoredRecord): void
  /** A task is gone from this process. Who still waits for it has not heard of an end. */
  leave(taskId: string, owner: string): void
  /** Tells every stream that facts are held back. */
  pause(): void
  onTask(taskId: string, listener: PublicationListener): () => void
  onOwner(owner: string, listener: PublicationListener): () => void
  onAll(listener: PublicationListener): () => void
  onDeparture(taskId: string, listener: DepartureListener): () => void
  onPause(listener: () => void): () => void
  listenerCount(): number
  /** Whether anybody listens to anything: while nobody does, a fact need not be told. */
  hasListeners(): boolean
}

const EVERYBODY = 'all'

export function createHub(parts: {
  readonly incarnation: () => string
  readonly isLive: (taskId: string) => boolean
  readonly runOutside: (work: () => void) => void
  readonly reportError: (error: unknown) => void
}): Hub {
  const byTask = new EventEmitter()
  const byOwner = new EventEmitter()
  const ofAll = new EventEmitter()
  const departures = new EventEmitter()
  const pauses = new EventEmitter()
  const queue: (() => void)[] = []
  let isDispatching = false
  /** Listeners of any kind: while there are none, a fact costs one comparison. */
  let listening = 0

  const tell = (member: Member, args: unknown[]): void => {
    if (!member.isListening) return
    try {
      member.listener(...(args as never[]))
    } catch (error) {
      parts.reportError(error)
    }
  }

  /** What the emitter has for the key. */
  const audienceOf = (emitter: EventEmitter, key: string): Audience => {
    const [known] = emitter.listeners(key) as Audience[]
    if (known !== undefined) return known
    const audience: Audience = (...args) => {
      const { members } = audience
      if (members instanceof Member) return tell(members, args)
      // A copy: who comes while a fact is told hears of the next one.
      for (const member of Array.from(members)) tell(member, args)
    }
    audience.members = NOBODY
    emitter.on(key, audience)
    return audience
  }

  /** Adds a listener and gives its undo, which may be called at any time and more than once. */
  const add = (emitter: EventEmitter, key: string, listener: (...args: never[]) => void): (() => void) => {
    const audience = audienceOf(emitter, key)
    const member = new Member(listener)
    const { members } = audience
    if (members === NOBODY) audience.members = member
    else if (members instanceof Member) audience.members = new Set([members, member])
    else (members as Set<Member>).add(member)
    listening += 1
    return () => {
      if (!member.isListening) return
      member.isListening = false
      listening -= 1
      const { members: left } = audience
      if (left !== member) (left as Set<Member>).delete(member)
      if (left === member || (left as Set<Member>).size === 0) emitter.off(key, audience)
    }
  }

  const dispatchAll = (): void => {
    for (let index = 0; index < queue.length; index += 1) queue[index]?.()
    queue.length = 0
  }

  /** One dispatch after the other: what a listener causes comes after what it was told. */
  const dispatch = (work: () => void): void => {
    queue.push(work)
    if (isDispatching) return
    isDispatching = true
    try {
      parts.runOutside(dispatchAll)
    } finally {
      isDispatching = false
    }
  }

  const isWatched = (taskId: string, owner: string): boolean =>
    listening > 0 &&
    (ofAll.listenerCount(EVERYBODY) > 0 || byOwner.listenerCount(owner) > 0 || byTask.listenerCount(taskId) > 0)

  const emit = (entry: FeedEntry, isEphemeral: boolean): void => {
    const { taskId, owner } = entry.record
    const viewFor = (reach: CursorReach): Publication => ({
      event: toEventView(entry, isEphemeral ? undefined : toCursor(parts.incarnation(), entry, reach)),
      entry,
    })
    if (byTask.listenerCount(taskId) > 0 || byOwner.listenerCount(owner) > 0) {
      const publication = viewFor('owner')
      if (!isStoredDeliveryEvent(entry.event)) byTask.emit(taskId, publication)
      byOwner.emit(owner, publication)
    }
    if (ofAll.listenerCount(EVERYBODY) > 0) ofAll.emit(EVERYBODY, viewFor('all'))
  }

  /** Asked before a departure is put into words: mostly nobody waits. */
  const isAwaited = (taskId: string): boolean => listening > 0 && departures.listenerCount(taskId) > 0

  const depart = (taskId: string, departure: Departure): void => {
    dispatch(() => void departures.emit(taskId, departure))
  }

  return {
    publish(entries) {
      const first = entries[0]
      if (first === undefined) return
      const { record } = first
      if (isWatched(record.taskId, record.owner)) {
        dispatch(() => {
          for (const entry of entries) emit(entry, false)
        })
      }
      if (record.endedAt !== undefined && !isStoredDeliveryEvent(first.event) && isAwaited(record.taskId)) {
        depart(record.taskId, { kind: 'ended', record, isSaved: true })
      }
    },
    publishEphemeral: (entry) => dispatch(() => emit(entry, true)),
    isLive: parts.isLive,
    isWatched,
    releaseEnd(record) {
      if (isAwaited(record.taskId)) depart(record.taskId, { kind: 'ended', record, isSaved: false })
    },
    leave(taskId, owner) {
      if (isAwaited(taskId)) depart(taskId, { kind: 'left', taskId, owner })
    },
    pause: () => dispatch(() => void pauses.emit(EVERYBODY)),
    onTask: (taskId, listener) => add(byTask, taskId, listener),
    onOwner: (owner, listener) => add(byOwner, owner, listener),
    onAll: (listener) => add(ofAll, EVERYBODY, listener),
    onDeparture: (taskId, listener) => add(departures, taskId, listener),
    onPause: (listener) => add(pauses, EVERYBODY, listener),
    listenerCount: () => listening,
    hasListeners: () => listening > 0,
  }
}

/** A class, because each wait has one. */
class Member {
  readonly listener: (...args: never[]) => void
  isListening = true

  constructor(listener: (...args: never[]) => void) {
    this.listener = listener
  }
}

const NOBODY: ReadonlySet<Member> = new Set()

/** What an emitter has for a key: one listener that tells many. To take one of many away itself, it copies all others. */
interface Audience {
  (...args: unknown[]): void
  /** Mostly one: a set is made for the second. */
  members: Member | ReadonlySet<Member>
}
