import { join } from 'node:path'
import Database from 'libsql'
import { sqliteStore, type SqliteDatabase } from 'outlive/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { BASE_AT, commitOf, entryOf, nextOf, recordOf } from '../../src/testing/contract-case.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

test('nothing that grows is read through by a commit, a read or a prune: each finds its rows by an index', async () => {
  const database = new Database(join(scratchFolder('plans'), 'tasks.db')) as unknown as SqliteDatabase
  onTestFinished(() => void database.close())
  const asked = new Set<string>()
  const store = sqliteStore({
    database: {
      prepare(sql) {
        asked.add(sql)
        return database.prepare(sql)
      },
      exec: (sql) => database.exec(sql),
      close: () => undefined,
    },
  })
  onTestFinished(() => store.close())
  await store.open()
  asked.clear()

  const claim = { owner: 'ann', kind: 'name', key: 'k' } as const
  const entry = entryOf('d')
  await store.cluster.join({ node: 'n1', leaseMs: 1e9, now: 0 })
  const made = commitOf(recordOf('a', { node: 'n1' }), {
    claims: [claim],
    outbox: [entry],
    attachments: [{ kind: 'input', json: '1' }],
  })
  await store.commit(made)
  const end = recordOf('a', { node: 'n1', version: 2, lastSeq: 3, status: 'completed', endedAt: BASE_AT })
  await store.commit(commitOf(end, { types: ['task.output', 'task.completed'], trimTo: 2 }))
  await store.read('a')
  await store.list({ owner: 'ann', limit: 5 })
  await store.list({ rootId: 'a', limit: 5 })
  await store.list({ parentId: 'a', limit: 5 })
  await store.list({ runId: 'r', limit: 5 })
  await store.list({ node: 'n1', status: ['running'], limit: 5 })
  await store.count('ann')
  await store.readEvents({ taskId: 'a', afterSeq: 0, limit: 5 })
  await store.readFeed({ after: 0, limit: 5 })
  await store.readFeed({ owner: 'ann', after: 0, limit: 5 })
  await store.lastPosition('ann')
  await store.claimedBy(claim)
  await store.readAttachment('a', 'input')
  await store.readOutbox('a')
  await store.listDeliveries({ state: 'pending', limit: 5 })
  await store.listDeliveries({ state: 'pending', after: 'c', limit: 5 })
  await store.listDeliveries({ state: 'deadLettered', owner: 'ann', limit: 5 })
  await store.listDeliveries({ state: 'deadLettered', owner: 'ann', after: 'c', limit: 5 })
  await store.putDelivery(nextOf(entry, 'delivered'))
  await store.cluster.forget('n1')
  await store.cluster.sendOrder({ id: 'o', node: 'n1', from: 'n2', owner: 'ann', taskId: 'a', json: '1', sentAt: 0 })
  await store.cluster.readOrders({ node: 'n1', limit: 5 })
  await store.cluster.replyTo({ orderId: 'o', json: '1' })
  await store.cluster.readReply('o')
  const limits = { maxFinished: 0, maxFinishedBytes: 0, finishedMs: 1, now: BASE_AT + 9 }
  expect(await store.prune({ ...limits, maxEvicted: 5 })).toEqual({ evicted: 1 })

  const plans = [...asked].flatMap((sql) => {
    const rows = database.prepare(`explain query plan ${sql}`).all([]) as { readonly detail: string }[]
    return rows.map(({ detail }) => ({ sql, detail }))
  })
  expect(plans.filter(({ detail }) => detail.startsWith('SEARCH')).length).toBeGreaterThan(20)
  // The ledger has one row; `value` and `r` are lists that came with the query.
  const scans = plans.filter(({ detail }) => /^SCAN (?!ledger\b|json_each\b|value\b|r\b)/.test(detail))
  // One that goes along an index in its order ends with its limit.
  expect(scans.filter(({ detail }) => !detail.includes('USING INDEX tasks_by_end'))).toEqual([])
  // Only the deliveries of one task are sorted.
  const sorted = plans.filter(({ detail }) => detail.includes('TEMP B-TREE')).map(({ sql }) => sql)
  expect(sorted.filter((sql) => !sql.includes('from "outbox" where "task_id" ='))).toEqual([])
})
