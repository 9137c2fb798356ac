/** What the cases of the store contract are made of. */
import assert from 'node:assert/strict'
import type { DeliveryLine, DeliveryState, OutboxEntry } from '../ports/delivery.ts'
import type { TaskEventType } from '../ports/task-event.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Commit, CommitReply, DeliveryQuery, DeliveryReply, TaskStore } from '../ports/task-store.ts'

export interface StoreContractCase {
  readonly title: string
  run(createStore: () => Awaitable<TaskStore>): Promise<void>
}

export const BASE_AT = 1_000_000

/** What pruning keeps, unless a case says otherwise. */
export const POLICY = { maxFinished: 3, maxFinishedBytes: 1_000, finishedMs: 1_000, maxEvicted: 100 }

export function recordOf(taskId: string, fields: Partial<StoredRecord> = {}): StoredRecord {
  return {
    taskId,
    tool: 'tool',
    owner: 'ann',
    rootId: taskId,
    depth: 0,
    status: 'running',
    caller: 'detached',
    attempt: 1,
    epoch: 1,
    createdAt: BASE_AT,
    targets: [],
    version: 1,
    lastSeq: 1,
    policy: { timeoutMs: 1_000, onParentEnd: 'wait', onChildFailure: 'isolate' },
    ...fields,
  }
}

/** The commit that brings a task to a record, with an event for each of its numbers after `fromSeq`. */
export function commitOf(
  record: StoredRecord,
  fields: Partial<Commit> & { readonly types?: readonly TaskEventType[] } = {},
): Commit {
  const { types = ['task.queued'], ...rest } = fields
  return {
    id: `${record.taskId}:${record.version}`,
    expect: { version: record.version - 1, epoch: record.epoch },
    record,
    events: types.map((type, index) => ({
      seq: record.lastSeq - types.length + 1 + index,
      type,
      at: BASE_AT,
      epoch: record.epoch,
      data: type === 'task.output' ? { chunk: 'x' } : {},
    })) as Commit['events'],
    trimTo: 0,
    outbox: [],
    claims: [],
    attachments: [],
    ...rest,
  }
}

/** A delivery of the task `a` that has just begun. */
export function entryOf(deliveryId: string, fields: Partial<OutboxEntry> = {}): OutboxEntry {
  return {
    deliveryId,
    taskId: 'a',
    owner: 'ann',
    target: `log:${deliveryId}`,
    kind: 'end',
    version: 1,
    state: 'pending',
    requestedAt: BASE_AT,
    attempts: 0,
    sent: 0,
    messageIds: [],
    log: [{ seq: 1, type: 'delivery.requested', at: BASE_AT, data: {} }],
    ...fields,
  }
}

/** The next version of a delivery, in this state, with a line for it in its log. */
export function nextOf(entry: OutboxEntry, state: DeliveryState, fields: Partial<OutboxEntry> = {}): OutboxEntry {
  const line = { seq: entry.log.length + 1, at: BASE_AT + entry.log.length, ...lineOf(entry, state) } as DeliveryLine
  return { ...entry, version: entry.version + 1, state, log: [...entry.log, line], ...fields }
}

function lineOf(before: OutboxEntry, state: DeliveryState): Pick<DeliveryLine, 'type' | 'data'> {
  const failure = { code: 'channel_error', message: 'nobody is there' } as const
  switch (state) {
    case 'delivered':
      return { type: 'delivery.delivered', data: { attempt: 1, messageIds: ['m1'] } }
    case 'deadLettered':
      return { type: 'delivery.deadLettered', data: { attempt: 1, failure } }
    case 'withdrawn':
      return { type: 'delivery.withdrawn', data: { reason: 'cleared', actor: 'ann' } }
    case 'pending':
      return before.state === 'pending'
        ? { type: 'delivery.retried', data: { attempt: 1, failure, dueAt: BASE_AT + 1_000 } }
        : { type: 'delivery.replayed', data: { actor: 'ann' } }
  }
}

/** As `POLICY`, at a time when all that has ended is too old. */
export const TOO_OLD = { ...POLICY, now: BASE_AT + 9_000 }

export function endOf(taskId: string, fields: Partial<StoredRecord> = {}): StoredRecord {
  return recordOf(taskId, { status: 'completed', endedAt: BASE_AT, ...fields })
}

export async function listed(store: TaskStore, query: Partial<DeliveryQuery>): Promise<string[]> {
  const entries = await store.listDeliveries({ state: 'pending', limit: 10, ...query })
  return entries.map(({ deliveryId }) => deliveryId)
}

/** The whole of a feed, as places and what stands there, read in pages of this size. */
export async function readAll(store: TaskStore, limit: number, owner?: string): Promise<[number, string][]> {
  const found: [number, string][] = []
  for (let after = 0, isLast = false, pages = 0; !isLast; pages += 1) {
    assert.ok(pages < 100, 'the feed ends')
    const page = await store.readFeed({ after, limit, ...(owner === undefined ? {} : { owner }) })
    for (const { event, position, ownerPosition } of page.entries) {
      const of = 'deliveryId' in event ? `${event.deliveryId}:` : ''
      found.push([owner === undefined ? position : ownerPosition, `${of}${event.seq}:${event.type}`])
    }
    ;({ upTo: after, isLast } = page)
  }
  return found
}

export async function put(store: TaskStore, entry: OutboxEntry): Promise<Extract<DeliveryReply, { kind: 'put' }>> {
  const reply = await store.putDelivery(entry)
  assert.equal(reply.kind, 'put')
  return reply as Extract<DeliveryReply, { kind: 'put' }>
}

export async function commit(store: TaskStore, change: Commit): Promise<Extract<CommitReply, { kind: 'committed' }>> {
  const reply = await store.commit(change)
  assert.equal(reply.kind, 'committed')
  return reply as Extract<CommitReply, { kind: 'committed' }>
}

export async function seqsOf(store: TaskStore, taskId: string): Promise<number[]> {
  return (await store.readEvents({ taskId, afterSeq: 0, limit: 1_000 })).map((entry) => entry.event.seq)
}

export const contract = (title: string, check: (store: TaskStore) => Promise<void>): StoreContractCase => ({
  title,
  async run(createStore) {
    const store = await createStore()
    try {
      await check(store)
    } finally {
      await store.close()
    }
  },
})
