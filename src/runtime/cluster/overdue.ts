/**
 * Results of ended tasks that a dead process had not delivered.
 *
 * 1. Whoever delivers them has taken the task over before, in one commit that names this node. Of several who try one does.
 * 2. They are sent with the ids they had. What was on its way when its process died may be sent twice.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { OutboxEntry, TaskStore } from '../../ports/task-store.ts'

const PAGE = 500
const NONE: readonly never[] = Object.freeze([])

/** Takes up what a node has left undelivered; without a node, what any process has that had the store for itself. */
export type DeliverOverdue = (node: string | undefined) => Promise<void>

export function createDeliverOverdue(parts: {
  readonly store: TaskStore
  readonly nodeId: () => string | undefined
  readonly deliver: (record: StoredRecord, entries: readonly OutboxEntry[]) => void
}): DeliverOverdue {
  const { store } = parts

  /** The record, once it is this node's; nothing when another one was faster. */
  const takeOver = async (record: StoredRecord): Promise<StoredRecord | undefined> => {
    const { node: _node, ...rest } = record
    const node = parts.nodeId()
    if (node === undefined) return record
    const next: StoredRecord = Object.freeze({ ...rest, version: record.version + 1, node })
    const reply = await store.commit({
      id: `${record.taskId}:overdue:${next.version}:${node}`,
      expect: { version: record.version, epoch: record.epoch },
      record: next,
      events: NONE,
      trimTo: 0,
      outbox: NONE,
      claims: NONE,
      attachments: NONE,
    })
    return reply.kind === 'committed' ? next : undefined
  }

  const deliverOf = async (
    taskId: string,
    entries: readonly OutboxEntry[],
    node: string | undefined,
  ): Promise<void> => {
    const record = await store.read(taskId)
    if (record === undefined || !isFinalStatus(record.status) || record.node !== node) return
    const taken = await takeOver(record)
    if (taken !== undefined) parts.deliver(taken, entries)
  }

  /** Whole tasks: their deliveries may lie far apart. */
  const readAll = async (): Promise<ReadonlyMap<string, readonly OutboxEntry[]>> => {
    const byTask = new Map<string, OutboxEntry[]>()
    for (let after: string | undefined; ;) {
      const page: readonly OutboxEntry[] = await store.readPending({
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      })
      for (const entry of page) {
        const known = byTask.get(entry.taskId)
        if (known === undefined) byTask.set(entry.taskId, [entry])
        else known.push(entry)
      }
      if (page.length < PAGE) return byTask
      after = page.at(-1)?.deliveryId
    }
  }

  return async (node) => {
    for (const [taskId, entries] of await readAll()) await deliverOf(taskId, entries, node)
  }
}
