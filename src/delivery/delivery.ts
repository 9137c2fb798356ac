/** One delivery, as those see it who have to do with several. */
import { isFinalStatus, type DeliveryPhase } from '../../machines/vocabulary.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { LaneJob } from './lanes.ts'

export interface Delivery extends LaneJob<Delivery> {
  entry(): OutboxEntry
  phase(): DeliveryPhase
  /** What came of the message that named it, too. */
  settleWith(head: OutboxEntry): Promise<void>
  /** The task has ended: what is not sent need not be, and what is shown goes away. */
  withdraw(): void
}

/** Keeps an entry, however long that takes. `lost`: another process has it. `stopped`: the supervisor has. */
export type SaveEntry = (
  before: OutboxEntry,
  next: OutboxEntry,
  record: StoredRecord,
) => Promise<'kept' | 'lost' | 'stopped'>

/** What is told of an end is the same each time, so it is never made from what was known before it. */
export function requireEnded({ taskId, status }: StoredRecord): void {
  if (!isFinalStatus(status)) throw new Error(`the store gave an old record of task ${taskId}`)
}
