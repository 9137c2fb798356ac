/** What the cases of the store contract are made of. */
import assert from 'node:assert/strict'
import type { TaskEventType } from '../ports/task-event.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Commit, CommitReply, TaskStore } from '../ports/task-store.ts'

export interface StoreContractCase {
  readonly title: string
  run(createStore: () => Awaitable<TaskStore>): Promise<void>
}

export const BASE_AT = 1_000_000
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
