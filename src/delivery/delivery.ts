/** One delivery, as those see it who have to do with several. */
import type { DeliveryPhase } from '../../machines/vocabulary.ts'
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
