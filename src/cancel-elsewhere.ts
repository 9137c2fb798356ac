/** Cancels what other processes run: the topmost tasks of an owner, each by an order to the node that runs it. */
import { LIVE_STATUSES, type StopCause } from '../machines/vocabulary.ts'
import type { CancelReport } from './ports/task-handle.ts'
import type { StoredRecord } from './ports/task-record.ts'
import type { ListQuery, TaskStore } from './ports/task-store.ts'
import type { Orders } from './runtime/cluster/orders.ts'

const PAGE = 500

export async function cancelElsewhere(
  { store, orders }: { readonly store: TaskStore; readonly orders: Orders },
  query: Pick<ListQuery, 'owner' | 'runId'>,
  cause: StopCause,
): Promise<Promise<CancelReport>[]> {
  const elsewhere = new Map<string, StoredRecord>()
  for (let after: number | undefined = 0; after !== undefined;) {
    const page = await store.list({ ...query, status: LIVE_STATUSES, limit: PAGE, after })
    for (const record of page.records) if (orders.isElsewhere(record)) elsewhere.set(record.taskId, record)
    after = page.next
  }
  const isTop = ({ parentId }: StoredRecord): boolean => parentId === undefined || !elsewhere.has(parentId)
  return [...elsewhere.values()].filter(isTop).map(async (record): Promise<CancelReport> => {
    const outcome = await orders.send(record, { verb: 'cancel', cause })
    return outcome.kind === 'ended' ? NOTHING : (outcome.value as CancelReport)
  })
}

const NOTHING: CancelReport = Object.freeze({ count: 0, tasks: [] })

/** What was cancelled in all places together. One that does not answer fails the whole, once the others are known. */
export async function mergeReports(reports: readonly Promise<CancelReport>[]): Promise<CancelReport> {
  const settled = await Promise.allSettled(reports)
  const tasks = settled.flatMap((report) => {
    if (report.status === 'rejected') throw report.reason as Error
    return report.value.tasks
  })
  return {
    count: settled.reduce((sum, report) => sum + (report.status === 'fulfilled' ? report.value.count : 0), 0),
    tasks,
  }
}
