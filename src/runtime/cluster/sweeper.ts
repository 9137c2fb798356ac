/**
 * Finds tasks that no living process runs, and has each of them recovered.
 *
 * 1. Children come before their parents: no task is recovered before all that was below it.
 * 2. A node that has just joined, or could not renew its lease for a while, waits for one whole lease: after an outage the
 *    others get the time to say that they live. It stops in the middle of a sweep for that.
 * 3. A node does not sweep itself as long as it goes by that name: it learns of its own death from its lease, and first
 *    takes another name, so that nothing it has taken over is forgotten with the old one.
 * 4. What cannot be recovered just now is tried again at the next sweep, as is what this node has let go of and has not
 *    ended here yet. A dead node is forgotten when nothing names it.
 */
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { Logger } from '../../ports/logger.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import type { LiveTask } from '../live-task.ts'
import { createLookForForgotten } from './forgotten-deliveries.ts'
import type { ClusterNode } from './node.ts'
import { findOrphans, recoverAll } from './orphans.ts'
import type { Overdue } from './overdue.ts'
import type { Recover } from './recovery.ts'

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
  readonly overdue: Overdue
}): Sweeper {
  const { cluster, node, clock, deadlines, logger, counters, leaseMs, live, overdue } = parts
  let next: Moment | undefined
  let isStopped = false
  /** How often this node has let go of tasks, and how many of these times nothing is left of. */
  let timesLetGo = 0
  let timesTakenUp = 0
  let isFailing = false

  const maySweep = (): boolean => !isStopped && clock.monotonicMs() - node.steadySinceMs() >= leaseMs

  const lookForForgotten = createLookForForgotten({ overdue, isForgotten: cluster.forget })

  const sweepNode = async (dead: string, diedAt: number): Promise<boolean> => {
    const orphans = await findOrphans(parts.store, dead, (taskId) => live.has(taskId))
    return recoverAll(orphans, (orphan) => parts.recover(orphan, diedAt), maySweep)
  }

  /** Whether something that was let go has not ended here: it is no orphan yet, and will be one. */
  const isLettingGo = (): boolean => [...live.values()].some(({ log }) => log?.refusal !== undefined)

  const sweep = async (): Promise<void> => {
    if (!maySweep()) return
    const deadNodes = await cluster.sweep({ now: clock.now() })
    const others = deadNodes.filter(({ node: dead }) => dead !== node.id())
    const swept: string[] = []
    for (const { node: dead, diedAt } of others) {
      if (!maySweep()) return
      if (await sweepNode(dead, diedAt)) swept.push(dead)
    }
    const dead = new Set<string | undefined>(others.map(({ node: name }) => name))
    // What is owed is read once, however many have died.
    const owed = dead.size === 0 ? [] : await overdue.takeUpAll((name) => dead.has(name), maySweep)
    const owing = new Set(owed.map(({ node: name }) => name))
    for (const name of swept) if (!owing.has(name) && maySweep()) await cluster.forget(name)
    if (!maySweep()) return
    await lookForForgotten((name) => name === node.id() || dead.has(name), maySweep)
    if (timesTakenUp === timesLetGo || !maySweep()) return
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
