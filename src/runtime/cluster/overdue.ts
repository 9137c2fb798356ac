/**
 * Deliveries that a dead process had begun, or had yet to begin.
 *
 * 1. Whoever goes on with one has made it his own before, in one step of the store. Of several who try one does. One that is
 *    still under way here, from before another process took it over, is not taken up until that is over.
 * 2. They are sent with the ids they had. What was on its way when its process died may be sent twice.
 * 3. What was shown while a task ran goes away once that task has ended. As long as it lives, it is for the process which
 *    runs it.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { Awaitable } from '../../ports/awaitable.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { TaskStore } from '../../ports/task-store.ts'

const PAGE = 500

/**
 * Takes up what nodes have left that are gone; one without a name is any process that had the store for itself. Each name is
 * asked for once. Says whether nothing is left that could not be taken up just now.
 */
export type DeliverOverdue = (isGone: (node: string | undefined) => Awaitable<boolean>) => Promise<boolean>

export function createDeliverOverdue(parts: {
  readonly store: TaskStore
  /** Makes a delivery this process's, and sends it. Says whether it is. */
  readonly goOnWith: (entry: OutboxEntry) => Promise<boolean>
}): DeliverOverdue {
  const { store } = parts

  const takeUp = async (entry: OutboxEntry): Promise<boolean> => {
    const record = await store.read(entry.taskId)
    if (record === undefined || !isFinalStatus(record.status)) return true
    return parts.goOnWith(entry)
  }

  return async (isGone) => {
    const known = new Map<string | undefined, boolean>()
    const overdue: OutboxEntry[] = []
    for (let after: string | undefined; ;) {
      const page: readonly OutboxEntry[] = await store.listDeliveries({
        state: 'pending',
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      })
      for (const entry of page) {
        const isLeft = known.get(entry.node) ?? (await isGone(entry.node))
        known.set(entry.node, isLeft)
        if (isLeft) overdue.push(entry)
      }
      if (page.length < PAGE) break
      after = page.at(-1)?.deliveryId
    }
    let isDone = true
    for (const entry of overdue.toSorted(inOrder)) if (!(await takeUp(entry))) isDone = false
    return isDone
  }
}

/** As they were asked for, as far as the clocks of their processes agree; what tells of others as well before them. */
function inOrder(a: OutboxEntry, b: OutboxEntry): number {
  return a.requestedAt - b.requestedAt || Number(a.digestOf === undefined) - Number(b.digestOf === undefined)
}
