/** What the store of one process keeps of a task, and how that is read. */
import { isFinalStatus, type TaskStatus } from '../../../machines/vocabulary.ts'
import { toDeliveryEvent, type DeliveryLine, type OutboxEntry } from '../../ports/delivery.ts'
import type { StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { Claim, FeedEntry, FeedPage, ListQuery } from '../../ports/task-store.ts'
import { createOrderedLog, type OrderedLog } from './ordered-log.ts'

/** What is kept of a task, in either form. */
export interface Kept {
  readonly record: StoredRecord
  readonly deliveries: readonly KeptDelivery[]
  readonly place: number
  readonly ownerPlace: number
  /** The place among the tasks that have ended; 0 while it lives. */
  readonly endPlace: number
  /** What the row holds. */
  readonly claims: readonly Claim[]
}

/** Rows are linked to their events: a host may hold a hundred thousand, and a link costs less than an array. */
export interface Row extends Kept {
  record: StoredRecord
  firstEvent: KeptEvent | undefined
  lastEvent: KeptEvent | undefined
  deliveries: readonly KeptDelivery[]
  /** Where the first event of the last commit was put. */
  ownerPosition: number
  position: number
  endPlace: number
  claims: readonly Claim[]
}

/** A row that has ended long ago, in less room. It stands at all places of its row and of its events. */
export interface Packed extends Kept, Facts {
  /** Those of its events. */
  places(): readonly Places[]
  /** The row as it was, at none of its places. */
  unpack(): Row
}

export type KeptTask = Row | Packed

export function factsOf(task: KeptTask): Facts {
  return isPacked(task) ? task : task.record
}

export function placesOf(task: KeptTask): Iterable<Places> {
  return isPacked(task) ? task.places() : eventsOf(task)
}

export function isPacked(kept: object): kept is Packed {
  return 'unpack' in kept
}

/** What is told of a packed row without making its record. */
type Facts = Pick<StoredRecord, 'taskId' | 'owner' | 'status' | 'endedAt' | 'resultBytes'>

/** Where an event stands in the feed of its owner, and in the one over all. */
export interface Places {
  readonly ownerPosition: number
  readonly position: number
}

interface Placed extends Places {
  readonly row: Row
}

/** An event at its places, in one object. The record is read through the row, so that old versions of it are not kept. */
export interface KeptEvent extends StoredEvent, Placed {
  /** The next kept event of the task. */
  next: KeptEvent | undefined
}

/** A line of the log of a delivery at its places. */
export interface KeptLine extends Placed {
  readonly delivery: KeptDelivery
  readonly line: DeliveryLine
}

export interface KeptDelivery {
  entry: OutboxEntry
  /** Where the first new line of the last version was put. */
  ownerPosition: number
  position: number
  readonly lines: KeptLine[]
}

type KeptInFeed = KeptEvent | KeptLine | Packed

export interface Owner {
  readonly rows: OrderedLog<KeptTask>
  readonly feed: OrderedLog<KeptInFeed>
  readonly counts: Partial<Record<TaskStatus, number>>
}

export function createOwner(): Owner {
  return { rows: createOrderedLog(), feed: createOrderedLog(), counts: {} }
}

/** Whether the task has ended and owes nobody a notice. */
export function mayBeDropped({ record, deliveries }: Row): boolean {
  return isFinalStatus(record.status) && !deliveries.some(({ entry }) => entry.state === 'pending')
}

/** What is kept of a task, oldest first. */
export function* eventsOf(task: KeptTask): Generator<KeptEvent> {
  const row = isPacked(task) ? task.unpack() : task
  for (let kept = row.firstEvent; kept !== undefined; kept = kept.next) yield kept
}

export function toEventEntry({
  row,
  ownerPosition,
  position,
  seq,
  type,
  at,
  epoch,
  data,
}: KeptEvent): FeedEntry<StoredEvent> {
  return { event: { seq, type, at, epoch, data }, record: row.record, ownerPosition, position }
}

function toEntry(kept: Exclude<KeptInFeed, Packed>): FeedEntry {
  if (!('line' in kept)) return toEventEntry(kept)
  const { row, ownerPosition, position, delivery, line } = kept
  return { event: toDeliveryEvent(delivery.entry, line), record: row.record, ownerPosition, position }
}

/** `by`: which of its places an event has in this feed. */
export function readPage(
  feed: Owner['feed'] | undefined,
  { after, limit, by }: { readonly after: number; readonly limit: number; readonly by: 'ownerPosition' | 'position' },
): FeedPage {
  const entries: FeedEntry[] = []
  let upTo = after
  for (const { place, item } of feed?.after(after) ?? []) {
    if (entries.length === limit) return { entries, upTo, isLast: false }
    if (!isPacked(item)) entries.push(toEntry(item))
    else for (const kept of eventsOf(item)) if (kept[by] === place) entries.push(toEventEntry(kept))
    upTo = place
  }
  return { entries, upTo: feed?.lastPlace() ?? 0, isLast: true }
}

export function matches(query: ListQuery, record: StoredRecord): boolean {
  return (
    (query.status === undefined || query.status.includes(record.status)) &&
    (query.parentId === undefined || record.parentId === query.parentId) &&
    (query.rootId === undefined || record.rootId === query.rootId) &&
    (query.tool === undefined || record.tool === query.tool) &&
    (query.name === undefined || record.name === query.name) &&
    (query.conversation === undefined || record.conversation === query.conversation) &&
    (query.node === undefined || record.node === query.node) &&
    (query.runId === undefined || record.correlation?.runId === query.runId)
  )
}
