/** Where a task is: it runs here, it runs in another process, or it has ended. */
import { isFinalStatus } from '../machines/vocabulary.ts'
import type { StoredRecord } from './ports/task-record.ts'
import type { Orders } from './runtime/cluster/orders.ts'
import type { TaskOrder } from './runtime/cluster/task-order.ts'
import type { LiveTask } from './runtime/live-task.ts'

/** What is done to a task, wherever it is. */
export interface ForTask<Result> {
  here(live: LiveTask): Result | Promise<Result>
  /** What the process that runs it is asked to do. It gives the same as `here`, as JSON. */
  elsewhere(record: StoredRecord): TaskOrder
  ended(record: StoredRecord): Result | Promise<Result>
}

export type OnTask = <Result>(taskId: unknown, act: ForTask<Result>) => Promise<Result>

export function createOnTask(parts: {
  /** A live task about which something can still be decided. */
  readonly findOpen: (taskId: unknown) => LiveTask | undefined
  /** What the store has of a task that is not open here. @throws `task_not_found` */
  readonly requireStored: (taskId: unknown) => Promise<StoredRecord>
  /** Absent where no other process can run it. */
  readonly orders: Orders | undefined
}): OnTask {
  const { findOpen, requireStored, orders } = parts
  return async (taskId, act) => {
    const live = findOpen(taskId)
    if (live !== undefined) return act.here(live)
    const stored = await requireStored(taskId)
    if (orders === undefined || isFinalStatus(stored.status)) return act.ended(stored)
    const outcome = await orders.send(stored, act.elsewhere(stored))
    return outcome.kind === 'ended'
      ? act.ended(outcome.record)
      : (outcome.value as Awaited<ReturnType<typeof act.here>>)
  }
}
