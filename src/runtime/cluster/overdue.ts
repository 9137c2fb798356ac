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
import type { Deadlines } from '../../ports/deadlines.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import { within } from '../../within.ts'

const PAGE = 500
/** So long it is waited for that one is this process's. Then others have their turn, and it is sent once it is. */
const PATIENCE_MS = 5_000

/** Whether the node of that name is gone; without a name it is any process that had the store for itself. */
export type IsGone = (node: string | undefined) => Awaitable<boolean>

export interface Overdue {
  /** Takes up what was found. Gives what could not be taken up just now. */
  takeUp(overdue: readonly OutboxEntry[], mayGoOn: () => boolean): Promise<readonly OutboxEntry[]>
  /** The same for all that nodes have left which are gone. */
  takeUpAll(isGone: IsGone, mayGoOn: () => boolean): Promise<readonly OutboxEntry[]>
  /** The same for one page of what is under way, after a delivery of this id. Gives the last id of it, unless it was the last page. */
  takeUpPage(after: string | undefined, isGone: IsGone, mayGoOn: () => boolean): Promise<string | undefined>
}

export function createOverdue(parts: {
  readonly store: TaskStore
  readonly deadlines: Deadlines
  /** Makes a delivery this process's, and sends it. Says whether it is. */
  readonly goOnWith: (entry: OutboxEntry) => Promise<boolean>
}): Overdue {
  const { store, deadlines } = parts

  const takeUp = async (entry: OutboxEntry): Promise<boolean> => {
    const record = await store.read(entry.taskId)
    if (record === undefined || !isFinalStatus(record.status)) return true
    return within({ deadlines, limitMs: PATIENCE_MS }, parts.goOnWith(entry), () => false)
  }

  const takeUpEach = async (
    overdue: readonly OutboxEntry[],
    mayGoOn: () => boolean,
  ): Promise<readonly OutboxEntry[]> => {
    const left: OutboxEntry[] = []
    for (const entry of overdue.toSorted(inOrder)) if (!mayGoOn() || !(await takeUp(entry))) left.push(entry)
    return left
  }

  return {
    takeUp: takeUpEach,

    takeUpAll: async (isGone, mayGoOn) => takeUpEach(await findOverdue(store, isGone), mayGoOn),

    async takeUpPage(after, isGone, mayGoOn) {
      const { overdue, last } = await readPage(store, after, isGone)
      await takeUpEach(overdue, mayGoOn)
      return last
    },
  }
}

/** All that nodes have left which are gone. */
export async function findOverdue(store: TaskStore, isGone: IsGone): Promise<readonly OutboxEntry[]> {
  const all: OutboxEntry[] = []
  for (let after: string | undefined; ;) {
    const { overdue, last } = await readPage(store, after, isGone)
    all.push(...overdue)
    if (last === undefined) return all
    after = last
  }
}

/** What is overdue of a page, and the last id of the page unless it was the last one. */
async function readPage(
  store: TaskStore,
  after: string | undefined,
  isGone: IsGone,
): Promise<{ readonly overdue: readonly OutboxEntry[]; readonly last: string | undefined }> {
  const query = { state: 'pending', limit: PAGE, ...(after === undefined ? {} : { after }) } as const
  const page = await store.listDeliveries(query)
  const overdue: OutboxEntry[] = []
  for (const entry of page) if (await isGone(entry.node)) overdue.push(entry)
  return { overdue, last: page.length < PAGE ? undefined : page.at(-1)?.deliveryId }
}

/** As they were asked for, as far as the clocks of their processes agree; what tells of others as well before them. */
function inOrder(a: OutboxEntry, b: OutboxEntry): number {
  return a.requestedAt - b.requestedAt || Number(a.digestOf === undefined) - Number(b.digestOf === undefined)
}
