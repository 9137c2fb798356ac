/** What the store does for several processes. Leases are by the clock of the server. */
import {
  ORDER_KEPT_MS,
  type ClusterStore,
  type DeadNode,
  type Order,
  type StoreHint,
} from '../../ports/cluster-store.ts'
import type { RedisCall } from './connection.ts'
import type { Hints } from './hints.ts'
import { fromKeyPart, toKeyPart, type KeySpace } from './keys.ts'
import type { Promised } from './promised.ts'
import {
  FORGET_SCRIPT,
  JOIN_SCRIPT,
  LEAVE_SCRIPT,
  READ_ORDERS_SCRIPT,
  RENEW_SCRIPT,
  REPLY_SCRIPT,
  SEND_ORDER_SCRIPT,
  SWEEP_SCRIPT,
} from './scripts/cluster-scripts.ts'
import { runScript, type Script } from './scripts/script.ts'

export function createRedisCluster(parts: {
  readonly keys: KeySpace
  readonly call: RedisCall
  readonly hints: Hints
}): Promised<ClusterStore> {
  const { keys, call, hints } = parts
  const run = (script: Script, ...args: (string | number)[]): Promise<unknown> => runScript(call, keys, script, args)

  return {
    async join({ node, leaseMs }) {
      await run(JOIN_SCRIPT, toKeyPart(node), Math.ceil(leaseMs))
    },
    renew: async ({ node, leaseMs }) => (await run(RENEW_SCRIPT, toKeyPart(node), Math.ceil(leaseMs))) === 1,
    async leave({ node }) {
      await run(LEAVE_SCRIPT, toKeyPart(node))
    },
    async sweep() {
      const found = (await run(SWEEP_SCRIPT, ORDER_KEPT_MS)) as readonly string[]
      const dead: DeadNode[] = []
      for (let index = 0; index < found.length; index += 2) {
        dead.push({ node: fromKeyPart(found[index] ?? ''), diedAt: Number(found[index + 1]) })
      }
      return dead
    },
    forget: async (node) => (await run(FORGET_SCRIPT, toKeyPart(node))) === 1,
    async sendOrder(order) {
      const hint: StoreHint = { node: order.node }
      const parties = [toKeyPart(order.node), toKeyPart(order.from), JSON.stringify(order), order.sentAt]
      await run(
        SEND_ORDER_SCRIPT,
        toKeyPart(order.id),
        ...parties,
        // A safety net: `sweep` drops it long before.
        ORDER_KEPT_MS * 2,
        keys.hints,
        JSON.stringify(hint),
      )
    },
    async readOrders({ node, limit }) {
      const orders = (await run(READ_ORDERS_SCRIPT, toKeyPart(node), limit)) as readonly string[]
      return orders.map((json) => JSON.parse(json) as Order)
    },
    async replyTo({ orderId, json }) {
      await run(REPLY_SCRIPT, toKeyPart(orderId), json, keys.hints)
    },
    async readReply(orderId) {
      const reply = await call('HGET', [`${keys.base}order:${toKeyPart(orderId)}`, 'reply'])
      return typeof reply === 'string' ? reply : undefined
    },
    watch: (onHint) => hints.watch(onHint),
  }
}
