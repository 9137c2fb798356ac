/**
 * Cancels what other processes run for an owner: one order to each node, which stops all of it in one step, so that nothing
 * that is queued there starts in the place of what was stopped.
 */
import { LIVE_STATUSES, type StopCause } from '../../machines/vocabulary.ts'
import type { CancelReport } from '../ports/task-handle.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { Orders } from '../runtime/cluster/orders.ts'

const PAGE = 500

/** Resolves when all that is live elsewhere by now is final. @throws `task_unreachable`, what the store throws */
export async function cancelElsewhere(
  { store, orders }: { readonly store: TaskStore; readonly orders: Orders },
  { owner, runId }: { readonly owner: string; readonly runId: string | undefined },
  cause: StopCause,
): Promise<CancelReport> {
  const ofRun = runId === undefined ? {} : { runId }

  const findLive = async (): Promise<StoredRecord[]> => {
    const found: StoredRecord[] = []
    for (let after: number | undefined = 0; after !== undefined;) {
      const page = await store.list({ owner, ...ofRun, status: LIVE_STATUSES, limit: PAGE, after })
      found.push(...page.records.filter(orders.isElsewhere))
      after = page.next
    }
    return found
  }

  const cancelOn = async (carrier: StoredRecord): Promise<CancelReport> => {
    const outcome = await orders.send(carrier, { verb: 'cancelAll', cause, ...ofRun })
    return outcome.kind === 'ended' ? NOTHING : (outcome.value as CancelReport)
  }

  const reports: CancelReport[] = []
  let left = await findLive()
  const meant = new Set(left.map(({ taskId }) => taskId))
  while (left.length > 0) {
    // The order is for a task: for the youngest, which is the last to end by itself.
    const carriers = new Map(left.map((record) => [record.node, record]))
    for (const report of await whenAllKnown([...carriers.values()].map(cancelOn))) {
      reports.push(report)
      for (const { taskId } of report.tasks) meant.delete(taskId)
    }
    // Usually nothing: where a carrier had ended, or a node has died, what it left is asked for again.
    left = meant.size === 0 ? [] : (await findLive()).filter(({ taskId }) => meant.has(taskId))
  }
  return mergeReports(reports)
}

/**
 * Cancels what an earlier process has left to this one, as soon as that is taken up: what runs again is stopped, what is closed
 * by then is not reported. @throws `task_unreachable`, what the store throws
 */
export async function cancelLeft(
  left: Promise<readonly StoredRecord[]>,
  cancel: (taskId: string) => Promise<CancelReport>,
): Promise<CancelReport> {
  const reports = await whenAllKnown((await left).map(({ taskId }) => cancel(taskId)))
  return mergeReports(reports.filter(({ count }) => count > 0))
}

const NOTHING: CancelReport = Object.freeze({ count: 0, tasks: [] })

/** Fails with the first that failed, once the others are known. */
export async function whenAllKnown(reports: readonly Promise<CancelReport>[]): Promise<CancelReport[]> {
  await Promise.allSettled(reports)
  return Promise.all(reports)
}

/** What was cancelled in all places together. */
export function mergeReports(reports: readonly CancelReport[]): CancelReport {
  const [only, ...others] = reports.filter(({ tasks }) => tasks.length > 0)
  // It may be long.
  if (only !== undefined && others.length === 0) return only
  return {
    count: reports.reduce((sum, { count }) => sum + count, 0),
    tasks: reports.flatMap(({ tasks }) => tasks),
  }
}
