/** What a group of commits writes, as rows. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { isFreshEventType } from '../../ports/task-event.ts'
import type { OutboxEntry } from '../../ports/task-store.ts'
import type { BulkInsert, Row } from './bulk-insert.ts'
import { isTrimmedAtOnce, type GroupState, type GroupWrites } from './commit-decision.ts'
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
    ended_at: 'whole',
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
      'ended_at',
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
    version: 'whole',
    place: 'whole',
    json: 'text',
    pending_id: 'text',
  },
  onConflict: { key: ['task_id', 'delivery_id'], update: ['json', 'pending_id'] },
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
      ended_at: isFinalStatus(record.status) ? (record.endedAt ?? 0) : null,
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

export function toOutboxRows({ outbox }: GroupWrites): readonly Row[] {
  return outbox.map(({ entry, version, place }) => ({
    task_id: toKept(entry.taskId),
    delivery_id: toKept(entry.deliveryId),
    version,
    place,
    json: JSON.stringify(entry),
    pending_id: toPendingId(entry),
  }))
}

/** What the index of deliveries without an outcome has of one. */
export function toPendingId({ deliveryId, state }: OutboxEntry): string | null {
  return state === 'pending' ? toKept(deliveryId) : null
}

export function toAttachmentRows({ attachments }: GroupWrites): readonly Row[] {
  return attachments.map(({ taskId, attachment: { kind, json } }) => ({
    task_id: toKept(taskId),
    kind,
    json: toKeptJson(json),
  }))
}
