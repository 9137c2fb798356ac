/**
 * Deliveries that a dead process had begun, or had yet to begin.
 *
 * 1. Whoever goes on with one has made it his own before, in one step of the store. Of several who try one does.
 * 2. They are sent with the ids they had. What was on its way when its process died may be sent twice.
 * 3. A process that was taken for dead goes on with what it had under its old name. As long as it does, the old name is not
 *    done with: it may die before it is through.
 * 4. What was shown while a task ran goes away once that task has ended. As long as it lives, it is for the process which
 *    runs it.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { TaskStore } from '../../ports/task-store.ts'

const PAGE = 500

/**
 * Takes up what a node has left; without a node, what any process has that had the store for itself. Says whether nothing
 * is left that names the node.
 */
export type DeliverOverdue = (node: string | undefined) => Promise<boolean>

export function createDeliverOverdue(parts: {
  readonly store: TaskStore
  /** Makes a delivery this process's, and sends it. */
  readonly goOnWith: (entry: OutboxEntry) => Promise<void>
}): DeliverOverdue {
  const { store } = parts

  const takeUp = async (entry: OutboxEntry): Promise<void> => {
    const record = await store.read(entry.taskId)
    if (record !== undefined && isFinalStatus(record.status)) await parts.goOnWith(entry)
  }

  const find = async (node: string | undefined): Promise<OutboxEntry[]> => {
    const found: OutboxEntry[] = []
    for (let after: string | undefined; ;) {
      const page: readonly OutboxEntry[] = await store.listDeliveries({
        state: 'pending',
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      })
      for (const entry of page) if (entry.node === node) found.push(entry)
      if (page.length < PAGE) break
      after = page.at(-1)?.deliveryId
    }
    return found
  }

  return async (node) => {
    const overdue = await find(node)
    for (const entry of overdue.toSorted(inOrder)) await takeUp(entry)
    return overdue.length === 0 || (await find(node)).length === 0
  }
}

/** As they were asked for, as far as the clocks of their processes agree; what tells of others as well before them. */
function inOrder(a: OutboxEntry, b: OutboxEntry): number {
  return a.requestedAt - b.requestedAt || Number(a.digestOf === undefined) - Number(b.digestOf === undefined)
}
