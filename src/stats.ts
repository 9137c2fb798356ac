/** How many tasks there are. */
import { isFinalStatus, type TaskStatus } from '../machines/vocabulary.ts'
import type { TaskStats } from './ports/session.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { Counters } from './runtime/counters.ts'
import type { TreeNode } from './runtime/live-task.ts'
import { statusOf } from './runtime/task-status.ts'
import { descendantsOf, type TreeIndex } from './runtime/tree-index.ts'

/** The numbers over all owners, with everything that happened without anybody being told. */
export interface SupervisorStats extends TaskStats {
  readonly counters: Readonly<Counters>
}

/** The numbers of an owner, or of all. */
export async function readStats(store: TaskStore, tree: TreeIndex, owner: string | undefined): Promise<TaskStats> {
  const byStatus: Partial<Record<TaskStatus, number>> = {}
  for (const [status, count] of Object.entries(await store.count(owner))) {
    if (count > 0) byStatus[status as TaskStatus] = count
  }
  const nodes: (TreeNode | undefined)[] = owner === undefined ? [...tree.owners()] : [tree.findOwner(owner)]
  for (const node of nodes) {
    if (node === undefined) continue
    for (const task of descendantsOf(node)) {
      if (task.log?.committed !== undefined || task.spec.shadowOf !== undefined) continue
      const status = statusOf(task)
      byStatus[status] = (byStatus[status] ?? 0) + 1
    }
  }
  const live = Object.entries(byStatus).reduce(
    (sum, [status, count]) => (isFinalStatus(status as TaskStatus) ? sum : sum + count),
    0,
  )
  return { byStatus, live }
}
