/** What the store of one process does for several supervisors in it. */
import { ORDER_KEPT_MS, type ClusterStore, type Order, type StoreHint } from '../../ports/cluster-store.ts'

interface Node {
  expiresAt: number
  isDead: boolean
}

interface KeptOrder {
  order: Order
  reply: string | undefined
}

export interface MemoryCluster extends ClusterStore {
  isAlive(node: string): boolean
  hint(hint: StoreHint): void
}

export function createMemoryCluster(hasLiveTasks: (node: string) => boolean): MemoryCluster {
  const nodes = new Map<string, Node>()
  const orders = new Map<string, KeptOrder>()
  const listeners = new Set<(hint: StoreHint) => void>()

  const dropOrders = (mustGo: (order: Order) => boolean): void => {
    for (const [id, { order }] of orders) if (mustGo(order)) orders.delete(id)
  }

  const tellAll = (told: StoreHint): void => {
    for (const listener of listeners) listener(told)
  }

  /** Not on the stack of whoever causes it, as from a server. */
  const hint = (told: StoreHint): void => {
    if (listeners.size > 0) void Promise.resolve(told).then(tellAll)
  }

  return {
    isAlive: (node) => nodes.get(node)?.isDead === false,
    hint,
    join: ({ node, leaseMs, now }) => void nodes.set(node, { expiresAt: now + leaseMs, isDead: false }),
    renew({ node, leaseMs, now }) {
      const known = nodes.get(node)
      if (known === undefined || known.isDead) return false
      known.expiresAt = now + leaseMs
      return true
    },
    leave({ node, now }) {
      const known = nodes.get(node)
      if (known === undefined || known.isDead) return
      known.isDead = true
      known.expiresAt = now
    },
    sweep({ now }) {
      dropOrders(({ sentAt }) => sentAt < now - ORDER_KEPT_MS)
      for (const known of nodes.values()) if (known.expiresAt <= now) known.isDead = true
      return [...nodes]
        .filter(([, { isDead }]) => isDead)
        .map(([node, { expiresAt }]) => ({ node, diedAt: expiresAt }))
        .toSorted((a, b) => a.diedAt - b.diedAt)
    },
    forget(node) {
      const known = nodes.get(node)
      if (known === undefined) return true
      if (!known.isDead || hasLiveTasks(node)) return false
      nodes.delete(node)
      dropOrders((order) => order.node === node)
      return true
    },
    sendOrder(order) {
      const known = orders.get(order.id)
      if (known === undefined) orders.set(order.id, { order, reply: undefined })
      else known.order = order
      hint({ node: order.node })
    },
    readOrders: ({ node, limit }) =>
      [...orders.values()]
        .filter(({ order, reply }) => order.node === node && reply === undefined)
        .slice(0, limit)
        .map(({ order }) => order),
    replyTo({ orderId, json }) {
      const known = orders.get(orderId)
      if (known === undefined || known.reply !== undefined) return
      known.reply = json
      hint({ node: known.order.from })
    },
    readReply: (orderId) => orders.get(orderId)?.reply,
    watch(onHint) {
      listeners.add(onHint)
      return () => void listeners.delete(onHint)
    },
  }
}
