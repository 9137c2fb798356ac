/**
 * This process's part in the store: alone with it, or as one node of several.
 *
 * alone: whatever has not ended before the store is used was left by a process that is gone, and is taken up.
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
import { createLeftovers, type Leftovers } from './leftovers.ts'
import type { Overdue } from './overdue.ts'
import type { Recover } from './recovery.ts'
import { createSweeper } from './sweeper.ts'
import type { TaskOrder } from './task-order.ts'

export interface Membership {
  /** The name of this node; absent where one process has the store. */
  nodeId(): string | undefined
  /** Has to be done before the store is used by others. */
  join(store: TaskStore): Promise<void>
  /** The store is open and may be used. */
  begin(): void
  /** Absent where there is nobody to give orders to. */
  readonly orders: Orders | undefined
  /** Tasks that an earlier process has left, and this one has not taken up yet: it is alone with the store. */
  readonly left: Pick<Leftovers, 'tasksOf' | 'whenTakenUp'>
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
  readonly random01: () => number
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

function createSoleMembership(parts: MembershipParts): Membership {
  const { store, deadlines, logger, counters, random01, recover, overdue } = parts
  const leftovers = createLeftovers({ store, deadlines, logger, counters, random01, recover, overdue })
  return {
    nodeId: () => undefined,
    join: leftovers.find,
    begin: leftovers.begin,
    orders: undefined,
    left: leftovers,
    canHandBack: store.durability !== 'memory',
    isMember: () => true,
    noteLetGo: () => undefined,
    stop: leftovers.stop,
    leave: async () => undefined,
  }
}

const NOTHING_LEFT: Membership['left'] = { tasksOf: async () => [], whenTakenUp: () => undefined }

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
    join: () => node.join(),
    begin() {
      sweeper.start()
      orders.start()
    },
    orders,
    left: NOTHING_LEFT,
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
