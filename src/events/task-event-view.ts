/** What subscribers and readers see of stored facts. */
import type { StoredDeliveryEvent } from '../ports/delivery.ts'
import type { DeliveryEvent, StoredEvent, TaskEvent } from '../ports/task-event.ts'
import type { Durability, StoredRecord, TaskRecord } from '../ports/task-record.ts'
import type { FeedEntry } from '../ports/task-store.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** An event of either kind, as subscribers see it. */
export function toEventView(entry: FeedEntry, cursor: string | undefined): TaskEvent | DeliveryEvent {
  const { event } = entry
  return isStoredDeliveryEvent(event)
    ? toDeliveryView(event, entry.record, cursor)
    : toTaskEvent(event, entry.record, cursor)
}

export function isStoredDeliveryEvent(event: StoredEvent | StoredDeliveryEvent): event is StoredDeliveryEvent {
  return 'deliveryId' in event
}

function toDeliveryView(
  { data, deliveryId, seq, type, at, target, kind }: StoredDeliveryEvent,
  record: StoredRecord,
  cursor: string | undefined,
): DeliveryEvent {
  const { taskId, owner, tool, rootId, depth } = record
  const view = { type, deliveryId, seq, at, target, kind, taskId, owner, tool, rootId, depth, ...data }
  return withPlace(view as Mutable<DeliveryEvent>, record, cursor)
}

/**
 * An event with its place in the tree. Without a cursor it is an ephemeral one.
 *
 * What all events have comes first: an object that begins with its data, of which each type has its own, takes ten times
 * as long to make.
 */
function toTaskEvent(event: StoredEvent, record: StoredRecord, cursor: string | undefined): TaskEvent {
  const view = {
    type: event.type,
    taskId: record.taskId,
    seq: event.seq,
    epoch: event.epoch,
    at: event.at,
    owner: record.owner,
    tool: record.tool,
    rootId: record.rootId,
    depth: record.depth,
    ...event.data,
  } as Mutable<TaskEvent>
  if (cursor === undefined) view.ephemeral = true
  return withPlace(view, record, cursor)
}

function withPlace<View extends Mutable<TaskEvent> | Mutable<DeliveryEvent>>(
  view: View,
  record: StoredRecord,
  cursor: string | undefined,
): View {
  // A custom event has a name of its own.
  if (record.name !== undefined && view.type !== 'task.custom') view.name = record.name
  if (record.conversation !== undefined) view.conversation = record.conversation
  if (record.correlation !== undefined) view.correlation = record.correlation
  if (record.parentId !== undefined) view.parentId = record.parentId
  if (cursor !== undefined) view.cursor = cursor
  return Object.freeze(view)
}

/** What of a record is the library's own business. */
const HIDDEN: ReadonlySet<string> = new Set([
  'version',
  'lastSeq',
  'node',
  'recovery',
  'isSpilled',
  'inputDigest',
  'policy',
  'resultJson',
] satisfies (keyof StoredRecord)[])

/** A record as its owner sees it. */
export function toTaskRecord(stored: StoredRecord, durability: Durability): TaskRecord {
  // Property by property: to leave some out of a copy by their names takes four times as long.
  const view: Record<string, unknown> = {}
  for (const key in stored) if (!HIDDEN.has(key)) view[key] = stored[key as keyof StoredRecord]
  view['persisted'] = durability !== 'memory'
  if (stored.status !== 'completed' && stored.resultJson !== undefined) view['partial'] = JSON.parse(stored.resultJson)
  return Object.freeze(view) as unknown as TaskRecord
}
