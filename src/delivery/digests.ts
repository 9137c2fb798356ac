/**
 * Several results of one conversation in one message: that of the first, which names the others before anything is sent.
 *
 * 1. Who is in a message is kept, so what is sent again after a crash is the same message.
 * 2. The others are settled before the first one. A crash in between sends the message again and settles the rest.
 */
import type { OutboxEntry } from '../ports/delivery.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { requireEnded, type Delivery, type SaveEntry } from './delivery.ts'
import { delivered } from './entries.ts'

/** Ends that one message tells of at most. */
const MAX_ENDS = 20

export interface Digests {
  /** When a result may go out at the earliest, in epoch milliseconds. */
  dueAt(entry: OutboxEntry): number
  /** Those of what waits behind it that its message can tell of, too. */
  choose(entry: OutboxEntry, behind: Iterable<Delivery>): readonly OutboxEntry[]
  /** The records of the others. */
  readOthers(entry: OutboxEntry): Promise<readonly StoredRecord[]>
  /** What came of the message came of the others as well. */
  settleOthers(head: OutboxEntry): Promise<void>
}

export function createDigests(parts: {
  readonly store: Pick<TaskStore, 'read' | 'readOutbox'>
  /** How long results are collected; 0: each has a message of its own. */
  readonly digestMs: number
  readonly now: () => number
  readonly isAllowed: (entry: OutboxEntry) => boolean
  readonly find: (deliveryId: string) => Delivery | undefined
  readonly save: SaveEntry
}): Digests {
  const { store, digestMs } = parts

  const settleOther = async (
    { taskId, deliveryId }: { readonly taskId: string; readonly deliveryId: string },
    head: OutboxEntry,
  ): Promise<void> => {
    const here = parts.find(deliveryId)
    if (here !== undefined) return here.settleWith(head)
    // After a crash the others may not be taken over yet.
    const [record, outbox] = [await store.read(taskId), await store.readOutbox(taskId)]
    const other = outbox.find((entry) => entry.deliveryId === deliveryId)
    if (record === undefined || other?.state !== 'pending') return
    await parts.save(other, delivered(other, head.messageIds, parts.now()), record)
  }

  return {
    dueAt: ({ kind, conversation, requestedAt }) =>
      kind === 'end' && digestMs > 0 && conversation !== undefined ? requestedAt + digestMs : 0,

    choose(entry, behind) {
      const { conversation, owner } = entry
      if (digestMs === 0 || !isFresh(entry) || conversation === undefined) return []
      const others: OutboxEntry[] = []
      for (const job of behind) {
        if (job.isOver()) continue
        const other = job.entry()
        const isOfBoth = isFresh(other) && other.owner === owner && other.conversation === conversation
        if (others.length === MAX_ENDS - 1 || !isOfBoth || !parts.isAllowed(other)) break
        others.push(other)
      }
      return others
    },

    async readOthers({ digestOf = [] }) {
      const found = await Promise.all(digestOf.map(async ({ taskId }) => store.read(taskId)))
      const records = found.filter((record) => record !== undefined)
      for (const record of records) requireEnded(record)
      return records
    },

    async settleOthers(head) {
      for (const other of head.digestOf ?? []) await settleOther(other, head)
    },
  }
}

/** Whether nothing of it is on its way. */
function isFresh({ kind, attempts, sent, digestOf }: OutboxEntry): boolean {
  return kind === 'end' && attempts === 0 && sent === 0 && digestOf === undefined
}
