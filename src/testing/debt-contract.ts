/** What every store has to keep to about tasks that owe a delivery: they are not dropped, and hold up nothing. */
import assert from 'node:assert/strict'
import type { OutboxEntry } from '../ports/delivery.ts'
import {
  BASE_AT,
  commit,
  commitOf,
  contract,
  endOf,
  entryOf,
  listed,
  nextOf,
  POLICY,
  put,
  readAll,
  recordOf,
  TOO_OLD,
  type StoreContractCase,
} from './contract-case.ts'

export const DEBT_CASES: readonly StoreContractCase[] = [
  contract('a finished task that owes a delivery is not dropped, and holds up nothing', async (store) => {
    const entries = ['a', 'b'].map((taskId) => entryOf(`of-${taskId}`, { taskId }))
    for (const [index, entry] of entries.entries()) {
      const end = endOf(entry.taskId, { endedAt: BASE_AT + index, resultJson: '"…"', resultBytes: 900 })
      await commit(store, commitOf(end, { outbox: [entry] }))
    }
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 0 })
    for (const index of [2, 3, 4, 5]) await commit(store, commitOf(endOf(`t${index}`, { endedAt: BASE_AT + index })))
    const first = await store.prune({ ...POLICY, now: BASE_AT + 6 })
    assert.deepEqual(first, { evicted: 1, nextAt: BASE_AT + 3 + 1_000 })
    assert.deepEqual(await store.prune({ ...TOO_OLD, maxEvicted: 3 }), { evicted: 3 })
    for (const entry of entries) {
      assert.equal((await store.read(entry.taskId))?.resultBytes, 900)
      await put(store, nextOf(entry, entry.taskId === 'a' ? 'delivered' : 'deadLettered'))
    }
    assert.deepEqual(await store.prune({ ...POLICY, now: BASE_AT + 6 }), { evicted: 1, nextAt: BASE_AT + 1 + 1_000 })
    assert.equal(await store.read('a'), undefined)
    assert.notEqual(await store.read('b'), undefined)
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 1 })
    assert.equal((await store.count('ann')).completed ?? 0, 0)
  }),

  contract('what a task owes from before its end counts, until the last of it is settled', async (store) => {
    const [start, end] = [entryOf('d1', { kind: 'start' }), entryOf('d2')]
    await commit(store, commitOf(recordOf('a'), { outbox: [start] }))
    await commit(store, commitOf(endOf('a', { version: 2, lastSeq: 2 }), { types: ['task.completed'] }))
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 0 })
    await put(store, end)
    await put(store, nextOf(start, 'withdrawn'))
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 0 })
    await put(store, nextOf(end, 'pending'))
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 0 })
    await put(store, nextOf(nextOf(end, 'pending'), 'delivered'))
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 1 })
  }),

  contract('a finished task that gets a new delivery is not dropped before that is settled', async (store) => {
    for (const taskId of ['a', 'b', 'c']) await commit(store, commitOf(endOf(taskId, { resultBytes: 10 })))
    const entries = ['a', 'b'].map((taskId) => entryOf(`of-${taskId}`, { taskId })) as [OutboxEntry, OutboxEntry]
    const redirected = endOf('a', { version: 2, lastSeq: 2, resultBytes: 10 })
    await commit(store, commitOf(redirected, { types: ['task.redirected'], outbox: [entries[0]] }))
    await put(store, entries[1])
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 1 })
    for (const entry of entries) await put(store, nextOf(entry, 'delivered'))
    const kept = { ...POLICY, now: BASE_AT, maxFinishedBytes: 20 }
    assert.deepEqual(await store.prune(kept), { evicted: 0, nextAt: BASE_AT + 1_000 })
    assert.equal((await store.prune({ ...kept, maxFinishedBytes: 19 })).evicted, 1)
  }),

  contract('a task that has paid late is dropped in the order of its end', async (store) => {
    const entry = entryOf('d1', { taskId: 't1' })
    for (const index of [0, 1, 2, 3]) {
      const outbox = index === 1 ? [entry] : []
      await commit(store, commitOf(endOf(`t${index}`, { endedAt: BASE_AT + index }), { outbox }))
    }
    await put(store, nextOf(entry, 'delivered'))
    assert.deepEqual(await store.prune({ ...POLICY, maxFinished: 2, now: BASE_AT + 4 }), {
      evicted: 2,
      nextAt: BASE_AT + 2 + 1_000,
    })
    const { records } = await store.list({ owner: 'ann', limit: 10 })
    assert.deepEqual(
      records.map(({ taskId }) => taskId),
      ['t2', 't3'],
    )
  }),

  contract('with a task go its deliveries, its dead letters and their lines in the feeds', async (store) => {
    const [d1, d2, d3] = [entryOf('d1'), entryOf('d2'), entryOf('d3', { taskId: 'b' })]
    await commit(store, commitOf(endOf('a'), { outbox: [d1, d2] }))
    await commit(store, commitOf(recordOf('b'), { outbox: [d3] }))
    await put(store, nextOf(d1, 'delivered'))
    await put(store, nextOf(d2, 'deadLettered'))
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 1 })
    assert.deepEqual(await store.readOutbox('a'), [])
    assert.deepEqual(await listed(store, { state: 'deadLettered' }), [])
    assert.deepEqual(await listed(store, { state: 'deadLettered', owner: 'ann' }), [])
    assert.deepEqual(await listed(store, {}), ['d3'])
    const left = [
      [4, '1:task.queued'],
      [5, 'd3:1:delivery.requested'],
    ]
    assert.deepEqual([await readAll(store, 10, 'ann'), await readAll(store, 10)], [left, left])
    assert.equal(await store.lastPosition('ann'), 7)
    assert.deepEqual(await store.putDelivery(nextOf(nextOf(d2, 'deadLettered'), 'pending')), { kind: 'stale' })
    assert.deepEqual(await store.putDelivery(entryOf('d4')), { kind: 'stale' })
  }),
]
