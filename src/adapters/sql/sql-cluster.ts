/**
 * What the database does for several processes. Deaths of nodes are found out under the lock of all that write, so a
 * commit that was judged while its node lived is kept before that node is dead for anybody.
 */
import { sql } from 'kysely'
import { ORDER_KEPT_MS, type DeadNode, type Order, type StoreHint } from '../../ports/cluster-store.ts'
import { fromKept, toKept, toKeptJson } from './kept-text.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'
import { withLedger } from './transaction.ts'

interface Lease {
  readonly node: string
  readonly leaseMs: number
  readonly now: number
}

/** `ClusterStore` without `watch`. */
export interface SqlCluster {
  join(lease: Lease): Promise<void>
  renew(lease: Lease): Promise<boolean>
  leave(leaver: { readonly node: string; readonly now: number }): Promise<void>
  sweep(at: { readonly now: number }): Promise<readonly DeadNode[]>
  forget(node: string): Promise<boolean>
  sendOrder(order: Order): Promise<void>
  readOrders(read: { readonly node: string; readonly limit: number }): Promise<readonly Order[]>
  replyTo(reply: { readonly orderId: string; readonly json: string }): Promise<void>
  readReply(orderId: string): Promise<string | undefined>
}

/** `tell` is for everybody who watches, here and in other processes. */
export function createSqlCluster(
  db: Database,
  dialect: SqlDialect,
  tell: (hints: readonly StoreHint[]) => Promise<void>,
): SqlCluster {
  return {
    async join({ node, leaseMs, now }) {
      const expires = sql<number>`${dialect.nowOf(now)} + ${leaseMs}`
      await db
        .insertInto('nodes')
        .values({ node: toKept(node), expires_at: expires, is_dead: 0 })
        .onConflict((conflict) => conflict.column('node').doUpdateSet({ expires_at: expires, is_dead: 0 }))
        .execute()
    },

    async renew({ node, leaseMs, now }) {
      const renewed = await db
        .updateTable('nodes')
        .set({ expires_at: sql<number>`${dialect.nowOf(now)} + ${leaseMs}` })
        .where('node', '=', toKept(node))
        .where('is_dead', '=', 0)
        .returning('node')
        .execute()
      return renewed.length > 0
    },

    leave: ({ node, now }) =>
      withLedger(db, dialect, async (trx) => {
        await trx
          .updateTable('nodes')
          .set({ expires_at: dialect.nowOf(now), is_dead: 1 })
          .where('node', '=', toKept(node))
          .where('is_dead', '=', 0)
          .execute()
      }),

    async sweep({ now }) {
      const isOver = sql<boolean>`is_dead = 0 and expires_at <= ${dialect.nowOf(now)}`
      const isOld = sql<boolean>`sent_at < ${dialect.nowOf(now)} - ${ORDER_KEPT_MS}`
      // Looked at without the lock first, for mostly there is nothing to do.
      const [dying] = await db.selectFrom('nodes').select('node').where(isOver).limit(1).execute()
      const [old] = await db.selectFrom('orders').select('id').where(isOld).limit(1).execute()
      if (dying !== undefined || old !== undefined) {
        await withLedger(db, dialect, async (trx) => {
          await trx.updateTable('nodes').set({ is_dead: 1 }).where(isOver).execute()
          await trx.deleteFrom('orders').where(isOld).execute()
        })
      }
      const dead = await db
        .selectFrom('nodes')
        .selectAll()
        .where('is_dead', '=', 1)
        .orderBy('expires_at')
        .orderBy('node')
        .execute()
      return dead.map(({ node, expires_at }) => ({ node: fromKept(node), diedAt: expires_at }))
    },

    forget: (node) =>
      withLedger(db, dialect, async (trx) => {
        const known = await trx
          .selectFrom('nodes')
          .select('is_dead')
          .where('node', '=', toKept(node))
          .executeTakeFirst()
        if (known === undefined) return true
        if (known.is_dead === 0) return false
        const live = await trx
          .selectFrom('tasks')
          .select('place')
          .where('node', '=', toKept(node))
          .where('ended_at', 'is', null)
          .limit(1)
          .execute()
        if (live.length > 0) return false
        await trx.deleteFrom('orders').where('node', '=', toKept(node)).execute()
        await trx.deleteFrom('nodes').where('node', '=', toKept(node)).execute()
        return true
      }),

    async sendOrder(order) {
      const values = {
        node: toKept(order.node),
        sender: toKept(order.from),
        owner: toKept(order.owner),
        task_id: toKept(order.taskId),
        json: toKeptJson(order.json),
        sent_at: order.sentAt,
      }
      await db
        .insertInto('orders')
        .values({ id: toKept(order.id), ...values, reply: null })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
        .execute()
      await tell([{ node: order.node }])
    },

    async readOrders({ node, limit }) {
      const rows = await db
        .selectFrom('orders')
        .selectAll()
        .where('node', '=', toKept(node))
        .where('reply', 'is', null)
        .orderBy('place')
        .limit(limit)
        .execute()
      return rows.map((row) => ({
        id: fromKept(row.id),
        node: fromKept(row.node),
        from: fromKept(row.sender),
        owner: fromKept(row.owner),
        taskId: fromKept(row.task_id),
        json: row.json,
        sentAt: row.sent_at,
      }))
    },

    async replyTo({ orderId, json }) {
      const replied = await db
        .updateTable('orders')
        .set({ reply: toKeptJson(json) })
        .where('id', '=', toKept(orderId))
        .where('reply', 'is', null)
        .returning('sender')
        .execute()
      if (replied.length > 0) await tell(replied.map(({ sender }) => ({ node: fromKept(sender) })))
    },

    async readReply(orderId) {
      const row = await db.selectFrom('orders').select('reply').where('id', '=', toKept(orderId)).executeTakeFirst()
      return row?.reply ?? undefined
    },
  }
}
