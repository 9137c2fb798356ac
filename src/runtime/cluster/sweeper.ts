/**
 * Finds tasks that no living process runs, and has each of them recovered.
 *
 * 1. Children come before their parents: no task is recovered before all that was below it.
 * 2. A node that has just joined, or could not renew its lease for a while, waits for one whole lease: after an outage the
 *    others get the time to say that they live.
 * 3. A node does not sweep itself as long as it goes by that name: it learns of its own death from its lease, and first
 *    takes another name, so that nothing it has taken over is forgotten with the old one.
 * 4. What cannot be recovered just now is tried again at the next sweep, as is what this node has let go of and has not
 *    ended here yet. A dead node is forgotten when nothing names it.
 * 5. A process that does not know yet that it was forgotten may still ask for a delivery under that name. Such deliveries are
 *    looked for in the first sweep, and in one of `SWEEPS_PER_LOOK` from then on.
 */
import { LIVE_STATUSES } from '../../../machines/vocabulary.ts'
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import type { LiveTask } from '../live-task.ts'
import type { ClusterNode } from './node.ts'
import type { DeliverOverdue } from './overdue.ts'
import type { Recover } from './recovery.ts'

const PAGE = 500
/** So many at a time: enough for a store to group their commits. */
const AT_ONCE = 100
/** To look reads all deliveries that are under way anywhere. */
const SWEEPS_PER_LOOK = 30

export interface Sweeper {
  start(): void
  /** This node has let go of tasks that still name it. */
  noteLetGo(): void
  stop(): void
}

export function createSweeper(parts: {
  readonly store: TaskStore
  readonly cluster: ClusterStore
  readonly node: ClusterNode
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly counters: Counters
  readonly leaseMs: number
  readonly live: ReadonlyMap<string, LiveTask>
  readonly recover: Recover
  readonly deliverOverdue: DeliverOverdue
}): Sweeper {
  const { cluster, node, clock, deadlines, logger, counters, leaseMs, live } = parts
  let next: Moment | undefined
  let isStopped = false
  /** How often this node has let go of tasks, and how many of these times nothing is left of. */
  let timesLetGo = 0
  let timesTakenUp = 0
  let sweepsUntilLook = 0
  let isFailing = false

  const sweepNode = async (dead: string, diedAt: number): Promise<boolean> => {
    const orphans = await findOrphans(parts.store, dead, (taskId) => live.has(taskId))
    return recoverAll(orphans, diedAt, parts.recover, () => isStopped)
  }

  /** The store says of a name that it does not know that it is forgotten. */
  const deliverForgotten = async (dead: ReadonlySet<string>): Promise<void> => {
    await parts.deliverOverdue(
      (name) => name !== undefined && name !== node.id() && !dead.has(name) && cluster.forget(name),
    )
  }

  /** Whether something that was let go has not ended here: it is no orphan yet, and will be one. */
  const isLettingGo = (): boolean => [...live.values()].some(({ log }) => log?.refusal !== undefined)

  const sweep = async (): Promise<void> => {
    if (clock.monotonicMs() - node.steadySinceMs() < leaseMs) return
    const deadNodes = await cluster.sweep({ now: clock.now() })
    for (const { node: dead, diedAt } of deadNodes) {
      if (isStopped) return
      if (dead === node.id()) continue
      const isSwept = await sweepNode(dead, diedAt)
      const isDelivered = await parts.deliverOverdue((name) => name === dead)
      if (isSwept && isDelivered) await cluster.forget(dead)
    }
    sweepsUntilLook -= 1
    if (sweepsUntilLook < 0 && !isStopped) {
      await deliverForgotten(new Set(deadNodes.map(({ node: dead }) => dead)))
      sweepsUntilLook = SWEEPS_PER_LOOK - 1
    }
    if (timesTakenUp === timesLetGo || isStopped) return
    const times = timesLetGo
    const isLast = !isLettingGo()
    const isSwept = await sweepNode(node.id(), clock.now())
    if (isLast && isSwept) timesTakenUp = times
  }

  const round = async (): Promise<void> => {
    try {
      await sweep()
      isFailing = false
    } catch (error) {
      counters.storeErrors += 1
      if (!isFailing) logger.error({ error }, 'tasks of dead processes could not be recovered; trying again')
      isFailing = true
    }
    plan()
  }

  const plan = (): void => {
    if (!isStopped) next = deadlines.idleAfter(leaseMs / 3, () => void round(), undefined)
  }

  return {
    start: plan,
    noteLetGo: () => void (timesLetGo += 1),
    stop() {
      isStopped = true
      next?.disarm()
    },
  }
}

/** Recovers what a process left behind that had the store for itself. */
export async function recoverAbandoned(
  store: TaskStore,
  isLive: (taskId: string) => boolean,
  recover: Recover,
): Promise<void> {
  // Nobody else will come who knows their tools.
  await recoverAll(await findOrphans(store, undefined, isLive), -Infinity, recover, () => false)
}

async function findOrphans(
  store: TaskStore,
  node: string | undefined,
  isLive: (taskId: string) => boolean,
): Promise<StoredRecord[]> {
  const orphans: StoredRecord[] = []
  const query = { status: LIVE_STATUSES, limit: PAGE, ...(node === undefined ? {} : { node }) }
  for (let after: number | undefined = 0; after !== undefined;) {
    const page = await store.list({ ...query, after })
    for (const record of page.records) if (!isLive(record.taskId)) orphans.push(record)
    after = page.next
  }
  return orphans
}

/** The deepest first, a level at a time. Says whether none was left to others. */
async function recoverAll(
  orphans: readonly StoredRecord[],
  diedAt: number,
  recover: Recover,
  isStopped: () => boolean,
): Promise<boolean> {
  const levels = new Map<number, StoredRecord[]>()
  for (const orphan of orphans) {
    const level = levels.get(orphan.depth)
    if (level === undefined) levels.set(orphan.depth, [orphan])
    else level.push(orphan)
  }
  let isDone = true
  for (const depth of [...levels.keys()].toSorted((a, b) => b - a)) {
    const level = levels.get(depth) ?? []
    for (let from = 0; from < level.length; from += AT_ONCE) {
      if (isStopped()) return false
      const answers = await Promise.all(level.slice(from, from + AT_ONCE).map((orphan) => recover(orphan, diedAt)))
      if (answers.includes('left')) isDone = false
    }
  }
  return isDone
}
