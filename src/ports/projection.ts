/** A ledger of the host's own, which mirrors its tasks. */
import type { TaskStatus } from '../../machines/vocabulary.ts'
import type { Awaitable } from './awaitable.ts'
import type { TaskRecord } from './task-record.ts'

/** A task that is about to be. */
export interface PreparedTask {
  readonly tool: string
  readonly owner: string
  readonly name?: string
  readonly description?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly conversation?: string
  readonly parentId?: string
}

/**
 * Mirrors tasks into a ledger of the host. The store stays what is true: a ledger that fails harms no task.
 *
 * 1. `sync` is called once a record is kept, for each change of its status or attempt, in their order for each task, and
 *    for one task never twice at a time. What fails is tried again, ever more slowly, with all that came after it.
 * 2. A process that ends takes with it what it has not synced: `operator.reconcile` finds and repairs that.
 */
export interface Projection {
  /**
   * Gives the id of a task of record before it exists: that of its row in the ledger. Nothing gives it an id of the library's.
   * What it throws refuses the task. It is not called for a call that is inline at first, which has its id already.
   */
  prepare?(task: PreparedTask): Awaitable<string | undefined>
  /** Brings the ledger to this record. It may be called twice with the same one. */
  sync(record: TaskRecord): Awaitable<void>
  /** What the ledger says of a task. Without it, `reconcile` syncs every record there is. */
  statusOf?(taskId: string): Awaitable<TaskStatus | undefined>
}

export interface ReconcileReport {
  /** Records of the store. */
  readonly checked: number
  /** Those that the ledger had otherwise, or may have had, and has now. */
  readonly repaired: number
  /** Those that it would not take. */
  readonly failed: number
}
