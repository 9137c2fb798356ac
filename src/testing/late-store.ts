/**
 * A store that answers late and out of order: what a database over a network does, without the network. Every call takes
 * effect after some turns of the loop and is answered after some more, both drawn from the given randomness.
 */
import type { ClusterStore } from '../ports/cluster-store.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { wrapStore } from '../wrapped-store.ts'

const MAX_TURNS = 4

export interface LateStore extends TaskStore {
  /** Calls without an answer. */
  pendingCount(): number
}

export function lateStore(inner: TaskStore, random01: () => number): LateStore {
  let pending = 0

  const passSome = async (): Promise<void> => {
    const turns = Math.floor(random01() * MAX_TURNS)
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  const late = async <Answer>(call: () => Awaitable<Answer>): Promise<Answer> => {
    pending += 1
    try {
      await passSome()
      const answer = await call()
      await passSome()
      return answer
    } finally {
      pending -= 1
    }
  }

  const lateCluster = (cluster: ClusterStore): ClusterStore => ({
    join: (lease) => late(() => cluster.join(lease)),
    renew: (lease) => late(() => cluster.renew(lease)),
    leave: (leaver) => late(() => cluster.leave(leaver)),
    sweep: (at) => late(() => cluster.sweep(at)),
    forget: (node) => late(() => cluster.forget(node)),
    sendOrder: (order) => late(() => cluster.sendOrder(order)),
    readOrders: (read) => late(() => cluster.readOrders(read)),
    replyTo: (reply) => late(() => cluster.replyTo(reply)),
    readReply: (orderId) => late(() => cluster.readReply(orderId)),
    watch: (onHint) => cluster.watch((hint) => void late(() => onHint(hint))),
  })

  return wrapStore(inner, {
    commit: (commit) => late(() => inner.commit(commit)),
    read: (taskId) => late(() => inner.read(taskId)),
    list: (query) => late(() => inner.list(query)),
    count: (owner) => late(() => inner.count(owner)),
    readEvents: (read) => late(() => inner.readEvents(read)),
    readFeed: (read) => late(() => inner.readFeed(read)),
    lastPosition: (owner) => late(() => inner.lastPosition(owner)),
    claimedBy: (claim) => late(() => inner.claimedBy(claim)),
    readAttachment: (taskId, kind) => late(() => inner.readAttachment(taskId, kind)),
    readOutbox: (taskId) => late(() => inner.readOutbox(taskId)),
    listDeliveries: (query) => late(() => inner.listDeliveries(query)),
    putDelivery: (entry) => late(() => inner.putDelivery(entry)),
    prune: (limits) => late(() => inner.prune(limits)),
    close: () => late(() => inner.close()),
    pendingCount: () => pending,
    ...(inner.open === undefined ? {} : { open: () => inner.open?.() ?? [] }),
    ...(inner.cluster === undefined ? {} : { cluster: lateCluster(inner.cluster) }),
  })
}
