/** What a group of commits writes, as rows. */
import { isFreshEventType } from '../../ports/task-event.ts'
import type { BulkInsert, Row } from './bulk-insert.ts'
import {
  evictableAt,
  isTrimmedAtOnce,
  type DeliveryWrites,
  type GroupState,
  type GroupWrites,
} from './commit-decision.ts'
import { toKept, toKeptJson } from './kept-text.ts'

export const TASKS: BulkInsert = {
  table: 'tasks',
  columns: {
    place: 'whole',
    task_id: 'text',
    owner: 'text',
    status: 'text',
    parent_id: 'text',
    root_id: 'text',
    tool: 'text',
    name: 'text',
    conversation: 'text',
    run_id: 'text',
    node: 'text',
    version: 'whole',
    epoch: 'whole',
    commit_id: 'text',
    owner_position: 'whole',
    position: 'whole',
    trimmed_to: 'whole',
    has_claims: 'whole',
    owed: 'whole',
    ended_at: 'whole',
    evictable_at: 'whole',
    result_bytes: 'whole',
    record: 'text',
  },
  onConflict: {
    key: ['task_id'],
    update: [
      'status',
      'name',
      'conversation',
      'node',
      'version',
      'epoch',
      'commit_id',
      'owner_position',
      'position',
      'trimmed_to',
      'has_claims',
      'owed',
      'ended_at',
      'evictable_at',
      'result_bytes',
      'record',
    ],
  },
}

export const EVENTS: BulkInsert = {
  table: 'events',
  columns: {
    position: 'whole',
    owner: 'text',
    owner_position: 'whole',
    task_id: 'text',
    delivery_id: 'text',
    seq: 'whole',
    epoch: 'whole',
    type: 'text',
    at: 'whole',
    is_fresh: 'whole',
    json: 'text',
  },
}

export const CLAIMS: BulkInsert = {
  table: 'claims',
  columns: { digest: 'text', kind: 'text', task_id: 'text' },
  onConflict: { key: ['digest'], update: ['task_id'] },
}

export const OUTBOX: BulkInsert = {
  table: 'outbox',
  columns: {
    task_id: 'text',
    delivery_id: 'text',
    owner: 'text',
    version: 'whole',
    node: 'text',
    open_state: 'text',
    lines: 'whole',
    began: 'whole',
    owner_position: 'whole',
    position: 'whole',
    json: 'text',
  },
  onConflict: {
    key: ['task_id', 'delivery_id'],
    update: ['version', 'node', 'open_state', 'lines', 'owner_position', 'position', 'json'],
  },
}

export const ATTACHMENTS: BulkInsert = {
  table: 'attachments',
  columns: { task_id: 'text', kind: 'text', json: 'text' },
  onConflict: { key: ['task_id', 'kind'], update: ['json'] },
}

const keptOrNull = (text: string | undefined): string | null => (text === undefined ? null : toKept(text))

export function toTaskRows({ tasks }: GroupState, { records }: GroupWrites): readonly Row[] {
  return [...records].flatMap(([taskId, record]) => {
    const task = tasks.get(taskId)
    if (task === undefined) return []
    const row: Row = {
      place: task.place,
      task_id: toKept(taskId),
      owner: toKept(record.owner),
      status: record.status,
      parent_id: keptOrNull(record.parentId),
      root_id: toKept(record.rootId),
      tool: toKept(record.tool),
      name: keptOrNull(record.name),
      conversation: keptOrNull(record.conversation),
      run_id: keptOrNull(record.correlation?.runId),
      node: keptOrNull(record.node),
      version: task.version,
      epoch: task.epoch,
      commit_id: toKept(task.commitId),
      owner_position: task.ownerPosition,
      position: task.position,
      trimmed_to: task.trimmedTo,
      has_claims: task.hasClaims ? 1 : 0,
      owed: task.owed,
      ended_at: task.endedAt ?? null,
      evictable_at: evictableAt(task) ?? null,
      result_bytes: task.resultBytes,
      record: JSON.stringify(record),
    }
    return [row]
  })
}

export function toEventRows({ tasks }: GroupState, { events }: GroupWrites): readonly Row[] {
  return events
    .filter((placed) => !isTrimmedAtOnce(placed, tasks))
    .map(({ event, taskId, owner, ownerPosition, position }) => ({
      position,
      owner: toKept(owner),
      owner_position: ownerPosition,
      task_id: toKept(taskId),
      delivery_id: '',
      seq: event.seq,
      epoch: event.epoch,
      type: event.type,
      at: event.at,
      is_fresh: isFreshEventType(event.type) ? 1 : 0,
      json: JSON.stringify(event.data),
    }))
}

export function toClaimRows({ claims }: GroupWrites): readonly Row[] {
  return [...claims].map(([digest, { kind, taskId }]) => ({ digest, kind, task_id: toKept(taskId) }))
}

export function toLineRows({ lines }: DeliveryWrites): readonly Row[] {
  return lines.map(
    ({ line: { seq, type, at, data }, entry: { taskId, deliveryId, target, kind }, owner, ...places }) => ({
      position: places.position,
      owner: toKept(owner),
      owner_position: places.ownerPosition,
      task_id: toKept(taskId),
      delivery_id: toKept(deliveryId),
      seq,
      epoch: 0,
      type,
      at,
      is_fresh: 0,
      json: JSON.stringify({ target, kind, data }),
    }),
  )
}

export function toOutboxRows({ outbox }: DeliveryWrites): readonly Row[] {
  return outbox.map(({ entry, began, ownerPosition, position }) => ({
    task_id: toKept(entry.taskId),
    delivery_id: toKept(entry.deliveryId),
    owner: toKept(entry.owner),
    version: entry.version,
    node: keptOrNull(entry.node),
    open_state: entry.state === 'pending' || entry.state === 'deadLettered' ? entry.state : null,
    lines: entry.log.length,
    began,
    owner_position: ownerPosition,
    position,
    json: JSON.stringify(entry),
  }))
}

export function toAttachmentRows({ attachments }: GroupWrites): readonly Row[] {
  return attachments.map(({ taskId, attachment: { kind, json } }) => ({
    task_id: toKept(taskId),
    kind,
    json: toKeptJson(json),
  }))
}
