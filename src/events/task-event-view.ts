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

/** A record as its owner sees it. */
export function toTaskRecord(stored: StoredRecord, durability: Durability): TaskRecord {
  const {
    version: _version,
    lastSeq: _lastSeq,
    node: _node,
    recovery: _recovery,
    isSpilled: _isSpilled,
    inputDigest: _inputDigest,
    policy: _policy,
    resultJson,
    ...rest
  } = stored
  const view: Mutable<TaskRecord> = { ...rest, persisted: durability !== 'memory' }
  if (stored.status !== 'completed' && resultJson !== undefined) view.partial = JSON.parse(resultJson)
  return Object.freeze(view)
}
