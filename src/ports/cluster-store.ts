/**
 * What a store does for several processes: it knows which of them live, carries orders between them and wakes them.
 *
 * 1. A node lives until `leaseMs` after it has joined or was renewed last. What time it is says the clock of the store; a
 *    store without one of its own takes the `now` it is given.
 * 2. A node that has left, or was found without a lease by `sweep`, is dead for good: `renew` says so.
 * 3. Until a task has ended, a commit whose record names a node that is dead, or was never there, is `stale` and changes
 *    nothing.
 * 4. Orders to one node are read in the order in which they were sent. One that is sent again with its id is there once,
 *    and goes to the node that was named last.
 * 5. Hints may be lost, come late or twice. Whoever needs to know looks by itself from time to time.
 */
import type { Awaitable } from './awaitable.ts'

export interface DeadNode {
  readonly node: string
  /** When its lease was over, in epoch milliseconds by the clock of the store. */
  readonly diedAt: number
}

/** Something that a node shall do to a task that it runs, on behalf of another one. */
export interface Order {
  readonly id: string
  /** Who shall do it. */
  readonly node: string
  /** Who waits for the reply. */
  readonly from: string
  readonly owner: string
  readonly taskId: string
  /** What to do, as JSON. */
  readonly json: string
  readonly sentAt: number
}

/** Something may have changed: for a node that has orders or replies, or in the feed of an owner. Empty: anywhere. */
export interface StoreHint {
  readonly node?: string
  readonly owner?: string
}

export interface ClusterStore {
  join(lease: { readonly node: string; readonly leaseMs: number; readonly now: number }): Awaitable<void>
  /** `false`: the node is dead. */
  renew(lease: { readonly node: string; readonly leaseMs: number; readonly now: number }): Awaitable<boolean>
  leave(leaver: { readonly node: string; readonly now: number }): Awaitable<void>
  /**
   * Declares nodes dead whose lease is over, and gives all dead ones that `forget` has not dropped, those that died first
   * before the others. Drops orders and replies that were sent more than `ORDER_KEPT_MS` ago.
   */
  sweep(at: { readonly now: number }): Awaitable<readonly DeadNode[]>
  /**
   * Drops a dead node, with its orders, unless a task that has not ended names it. Says whether it is gone, also of one that
   * was never there.
   */
  forget(node: string): Awaitable<boolean>
  sendOrder(order: Order): Awaitable<void>
  /** Orders to this node that have no reply yet. */
  readOrders(read: { readonly node: string; readonly limit: number }): Awaitable<readonly Order[]>
  /** The first reply to an order stays. A reply to one that is not there is dropped. */
  replyTo(reply: { readonly orderId: string; readonly json: string }): Awaitable<void>
  readReply(orderId: string): Awaitable<string | undefined>
  /** Calls back with hints until the undo is called. What other processes do is hinted at, too. */
  watch(onHint: (hint: StoreHint) => void): () => void
}

export const ORDER_KEPT_MS = 600_000
