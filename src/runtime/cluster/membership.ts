/**
 * This process's part in the store: alone with it, or as one node of several.
 *
 * alone: whatever has not ended when the store opens was left by a process that is gone, and is recovered once.
 * one of several: the node joins before the store is used, and from then on holds its lease, takes over what dead nodes
 * ran, and does what others order.
 */
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { Logger } from '../../ports/logger.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import type { LiveTask } from '../live-task.ts'
import type { LetGo } from './let-go.ts'
import { createClusterNode } from './node.ts'
import { createOrders, type Orders } from './orders.ts'
import { findOrphans, recoverAll } from './orphans.ts'
import type { Overdue } from './overdue.ts'
import type { Recover } from './recovery.ts'
import { createSweeper } from './sweeper.ts'
import type { TaskOrder } from './task-order.ts'

export interface Membership {
  /** The name of this node; absent where one process has the store. */
  nodeId(): string | undefined
  /** Has to be done before the store is used. */
  join(): Promise<void>
  /** The store is open and may be used. */
  begin(): void
  /** Absent where there is nobody to give orders to. */
  readonly orders: Orders | undefined
  /** Whether others take over what this process leaves. */
  readonly canHandBack: boolean
  /** Whether the node holds its lease, or needs none. */
  isMember(): boolean
  /** The store has something of this node that the node itself has let go of. */
  noteLetGo(): void
  /** Takes part no more. */
  stop(): void
  /** Gives the lease back. */
  leave(): Promise<void>
}

export interface MembershipParts {
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly createId: IdSource
  readonly logger: Logger
  readonly counters: Counters
  readonly leaseMs: number
  readonly live: ReadonlyMap<string, LiveTask>
  readonly recover: Recover
  readonly overdue: Overdue
  readonly letGo: () => LetGo
  readonly carryOut: (task: LiveTask, order: TaskOrder) => Promise<unknown>
}

export function createMembership(parts: MembershipParts): Membership {
  const { cluster } = parts.store
  return cluster === undefined ? createSoleMembership(parts) : createNodeMembership(parts, cluster)
}

function createSoleMembership({ store, clock, logger, live, recover, overdue }: MembershipParts): Membership {
  return {
    nodeId: () => undefined,
    join: async () => undefined,
    begin() {
      // Whoever it was, and had he a name: this process is alone with the store.
      const isGone = (): boolean => true
      const takeUp = async (): Promise<void> => {
        // First what is owed: what is recovered owes anew, and sees to that itself.
        await overdue.takeUpAll(isGone, () => true)
        const orphans = await findOrphans(store, undefined, (taskId) => live.has(taskId))
        // Nobody else will come who knows their tools.
        await recoverAll(
          orphans,
          (orphan) => recover(orphan, -Infinity),
          () => true,
        )
      }
      takeUp().catch((error: unknown) => {
        logger.error({ error, at: clock.now() }, 'what an earlier process left could not be recovered')
      })
    },
    orders: undefined,
    canHandBack: store.durability !== 'memory',
    isMember: () => true,
    noteLetGo: () => undefined,
    stop: () => undefined,
    leave: async () => undefined,
  }
}

function createNodeMembership(parts: MembershipParts, cluster: ClusterStore): Membership {
  const { store, clock, deadlines, createId, logger, counters, leaseMs, live, recover, overdue, carryOut } = parts
  const node = createClusterNode({
    cluster,
    clock,
    deadlines,
    createId,
    logger,
    counters,
    leaseMs,
    onFence: () => {
      if (parts.letGo().fence()) sweeper.noteLetGo()
    },
    onLost: () => parts.letGo().lose(),
  })
  const sweeper = createSweeper({
    store,
    cluster,
    node,
    clock,
    deadlines,
    logger,
    counters,
    leaseMs,
    live,
    recover,
    overdue,
  })
  const orders = createOrders({
    store,
    cluster,
    clock,
    deadlines,
    createId,
    logger,
    counters,
    nodeId: node.id,
    findLive: (taskId) => live.get(taskId),
    carryOut,
  })
  return {
    nodeId: node.id,
    join: node.join,
    begin() {
      sweeper.start()
      orders.start()
    },
    orders,
    canHandBack: true,
    isMember: () => node.steadySinceMs() !== Infinity,
    noteLetGo: sweeper.noteLetGo,
    stop: sweeper.stop,
    async leave() {
      sweeper.stop()
      orders.stop()
      await node.leave()
    },
  }
}
