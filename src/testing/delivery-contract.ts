/** What every store has to keep to about deliveries: their versions, their lines in the feeds, and their lists. */
import assert from 'node:assert/strict'
import { toDeliveryEvent, type OutboxEntry } from '../ports/delivery.ts'
import {
  BASE_AT,
  commit,
  commitOf,
  contract,
  endOf,
  entryOf,
  listed,
  nextOf,
  put,
  readAll,
  recordOf,
  seqsOf,
  TOO_OLD,
  type StoreContractCase,
} from './contract-case.ts'

export const DELIVERY_CASES: readonly StoreContractCase[] = [
  contract('the deliveries of a task are kept with their commits, in the order in which they began', async (store) => {
    const [first, second, third] = [entryOf('d2'), entryOf('d1'), entryOf('d0')]
    await commit(store, commitOf(recordOf('a'), { outbox: [first, second] }))
    await put(store, nextOf(first, 'delivered', { settledAt: BASE_AT + 1, messageIds: ['m1'], attempts: 1, sent: 1 }))
    await commit(store, commitOf(recordOf('a', { version: 2, lastSeq: 2 }), { outbox: [third] }))
    const outbox = await store.readOutbox('a')
    const delivered = nextOf(first, 'delivered', { settledAt: BASE_AT + 1, messageIds: ['m1'], attempts: 1, sent: 1 })
    assert.deepEqual(outbox, [delivered, second, third])
    assert.deepEqual(await store.readOutbox('b'), [])
  }),

  contract('a delivery may begin without a commit, once, while its task is there', async (store) => {
    const entry = entryOf('d1', { node: 'n1' })
    assert.deepEqual(await store.putDelivery(entry), { kind: 'stale' })
    await commit(store, commitOf(recordOf('a')))
    assert.deepEqual(await put(store, entry), { kind: 'put', ownerPosition: 2, position: 2 })
    assert.deepEqual(await store.putDelivery({ ...entry, node: 'n2' }), { kind: 'stale' })
    assert.deepEqual(await store.readOutbox('a'), [entry])
    await put(store, nextOf(entry, 'delivered'))
    assert.deepEqual(await store.putDelivery(entry), { kind: 'stale' })
  }),

  contract('a delivery is kept in its next version only, and what is stale changes nothing', async (store) => {
    const first = entryOf('d1')
    const second = nextOf(first, 'pending')
    const third = nextOf(second, 'delivered')
    await commit(store, commitOf(recordOf('a'), { outbox: [first] }))
    assert.deepEqual(await store.putDelivery(third), { kind: 'stale' })
    assert.deepEqual(await store.putDelivery(nextOf(entryOf('d9'), 'delivered')), { kind: 'stale' })
    assert.deepEqual(await store.putDelivery({ ...second, taskId: 'b' }), { kind: 'stale' })
    assert.deepEqual(await store.readOutbox('a'), [first])
    assert.equal(await store.lastPosition('ann'), 2)
    await put(store, second)
    await put(store, third)
    assert.deepEqual(await store.putDelivery(second), { kind: 'stale' })
    assert.deepEqual(await store.readOutbox('a'), [third])
    assert.equal(await store.lastPosition('ann'), 4)
  }),

  contract('of two nodes that change a delivery at once, one does', async (store) => {
    const first = entryOf('d1', { node: 'n1' })
    await commit(store, commitOf(recordOf('a'), { outbox: [first] }))
    const twins = ['n1', 'n2', 'n3'].map((node) => nextOf(first, 'pending', { node }))
    const replies = await Promise.all(twins.map(async (twin) => store.putDelivery(twin)))
    const won = twins.filter((_twin, index) => replies[index]?.kind === 'put')
    assert.deepEqual([won.length, replies.filter(({ kind }) => kind === 'stale').length], [1, 2])
    assert.deepEqual(await store.readOutbox('a'), won)
    assert.equal(await store.lastPosition('ann'), 3)
  }),

  contract('a delivery that is put again gets its first answer, and changes nothing', async (store) => {
    const first = entryOf('d2', { node: 'n1' })
    await commit(store, commitOf(recordOf('a'), { outbox: [entryOf('d1'), first] }))
    const begun = { kind: 'put', ownerPosition: 3, position: 3 }
    assert.deepEqual(await store.putDelivery(first), begun)
    const second = nextOf(first, 'pending')
    const reply = await put(store, second)
    await commit(store, commitOf(recordOf('b')))
    assert.deepEqual(await store.putDelivery(second), reply)
    assert.deepEqual(await store.putDelivery({ ...second, node: 'n2' }), { kind: 'stale' })
    assert.deepEqual(await store.readOutbox('a'), [entryOf('d1'), second])
    assert.equal(await store.lastPosition('ann'), 5)
  }),

  contract('a commit that is repeated begins its deliveries once', async (store) => {
    const entry = entryOf('d1')
    const change = commitOf(recordOf('a'), { outbox: [entry] })
    const first = await commit(store, change)
    assert.deepEqual(await store.commit(change), first)
    await put(store, nextOf(entry, 'delivered'))
    assert.deepEqual(await store.commit(change), first)
    assert.deepEqual(await store.readOutbox('a'), [nextOf(entry, 'delivered')])
    assert.equal(await store.lastPosition('ann'), 3)
  }),

  contract('lines of deliveries are events of the feeds, after those of their commit', async (store) => {
    const [d1, d2] = [entryOf('d1'), entryOf('d2', { kind: 'start' })]
    const types = ['task.queued', 'task.started'] as const
    await commit(store, commitOf(recordOf('x', { owner: 'bob' })))
    const began = await commit(store, commitOf(recordOf('a', { lastSeq: 2 }), { types, outbox: [d2, d1] }))
    assert.deepEqual([began.ownerPosition, began.position], [1, 2])
    const two = nextOf(nextOf(d1, 'pending'), 'delivered', { version: 2 })
    assert.deepEqual(await put(store, two), { kind: 'put', ownerPosition: 5, position: 6 })
    const end = await commit(store, commitOf(recordOf('a', { version: 2, lastSeq: 3 }), { types: ['task.resumed'] }))
    assert.deepEqual([end.ownerPosition, end.position], [7, 8])
    const ofAnn = [
      [1, '1:task.queued'],
      [2, '2:task.started'],
      [3, 'd2:1:delivery.requested'],
      [4, 'd1:1:delivery.requested'],
      [5, 'd1:2:delivery.retried'],
      [6, 'd1:3:delivery.delivered'],
      [7, '3:task.resumed'],
    ] as const
    for (const limit of [1, 2, 3, 10]) {
      assert.deepEqual(await readAll(store, limit, 'ann'), ofAnn)
      const ofAll = [[1, '1:task.queued'], ...ofAnn.map(([place, what]) => [place + 1, what])]
      assert.deepEqual(await readAll(store, limit), ofAll)
    }
  }),

  contract('an event of a delivery says whose it is, and stands beside the record as it is now', async (store) => {
    const entry = entryOf('d1', { target: 'log:é "\u0000" \ud800', kind: 'start' })
    await commit(store, commitOf(recordOf('a'), { outbox: [entry] }))
    const next = nextOf(entry, 'deadLettered')
    await put(store, next)
    const record = recordOf('a', { version: 2, lastSeq: 2, tool: 'other' })
    await commit(store, commitOf(record))
    for (const owner of [{}, { owner: 'ann' }]) {
      const { entries } = await store.readFeed({ ...owner, after: 1, limit: 2 })
      const events = next.log.map((line) => toDeliveryEvent(next, line))
      assert.deepEqual(
        entries,
        events.map((event, index) => ({ event, record, ownerPosition: index + 2, position: index + 2 })),
      )
    }
    assert.deepEqual(await store.readOutbox('a'), [next])
    assert.deepEqual(await store.listDeliveries({ state: 'deadLettered', limit: 1 }), [next])
  }),

  contract('a commit without events begins at the first line of its deliveries', async (store) => {
    await commit(store, commitOf(recordOf('a')))
    const change = commitOf(recordOf('a', { version: 2 }), { types: [], outbox: [entryOf('d1')] })
    const reply = await commit(store, change)
    assert.deepEqual([reply.ownerPosition, reply.position], [2, 2])
    assert.deepEqual(await store.commit(change), reply)
    assert.deepEqual(await readAll(store, 10, 'ann'), [
      [1, '1:task.queued'],
      [2, 'd1:1:delivery.requested'],
    ])
  }),

  contract('a change of a delivery that says nothing new takes no place in the feeds', async (store) => {
    const first = entryOf('d1')
    await commit(store, commitOf(recordOf('a'), { outbox: [first] }))
    const taken = { ...first, version: 2, node: 'n2' }
    const reply = await put(store, taken)
    assert.equal(await store.lastPosition('ann'), 2)
    assert.deepEqual(await store.readOutbox('a'), [taken])
    const done = await put(store, nextOf(taken, 'delivered'))
    assert.deepEqual([done.ownerPosition, done.position], [3, 3])
    assert.equal(reply.kind, 'put')
  }),

  contract('the events of a task are its own, and trimming them leaves its deliveries alone', async (store) => {
    const entry = entryOf('d1')
    const types = ['task.queued', 'task.output', 'task.output'] as const
    await commit(store, commitOf(recordOf('a', { lastSeq: 3 }), { types, outbox: [entry] }))
    await put(store, nextOf(nextOf(entry, 'pending'), 'pending', { version: 2 }))
    await commit(store, commitOf(recordOf('a', { version: 2, lastSeq: 4 }), { types: ['task.resumed'], trimTo: 3 }))
    assert.deepEqual(await seqsOf(store, 'a'), [1, 4])
    assert.deepEqual(
      (await readAll(store, 2, 'ann')).map(([place]) => place),
      [1, 4, 5, 6, 7],
    )
  }),

  contract('deliveries are listed by state and owner, by their ids, page by page', async (store) => {
    const of = (taskId: string, deliveryId: string): OutboxEntry =>
      entryOf(deliveryId, { taskId, owner: taskId === 'x' ? 'bob' : 'ann' })
    await commit(store, commitOf(endOf('a'), { outbox: [of('a', 'd4'), of('a', 'd1')] }))
    await commit(store, commitOf(endOf('x', { owner: 'bob' }), { outbox: [of('x', 'd3'), of('x', 'd5')] }))
    await commit(store, commitOf(recordOf('b'), { outbox: [of('b', 'd2')] }))
    assert.deepEqual(await listed(store, {}), ['d1', 'd2', 'd3', 'd4', 'd5'])
    assert.deepEqual(await listed(store, { limit: 2 }), ['d1', 'd2'])
    assert.deepEqual(await listed(store, { limit: 2, after: 'd2' }), ['d3', 'd4'])
    assert.deepEqual(await listed(store, { after: 'd5' }), [])
    assert.deepEqual(await listed(store, { owner: 'ann', limit: 2, after: 'd1' }), ['d2', 'd4'])
    assert.deepEqual(await listed(store, { owner: 'bob' }), ['d3', 'd5'])
    assert.deepEqual(await listed(store, { owner: 'nobody' }), [])
    assert.deepEqual(await listed(store, { state: 'deadLettered' }), [])
    await put(store, nextOf(of('a', 'd1'), 'delivered'))
    await put(store, nextOf(of('b', 'd2'), 'withdrawn'))
    for (const [taskId, deliveryId] of [
      ['x', 'd3'],
      ['a', 'd4'],
    ] as const) {
      await put(store, nextOf(of(taskId, deliveryId), 'deadLettered'))
    }
    assert.deepEqual(await listed(store, {}), ['d5'])
    assert.deepEqual(await listed(store, { state: 'deadLettered' }), ['d3', 'd4'])
    assert.deepEqual(await listed(store, { state: 'deadLettered', owner: 'ann' }), ['d4'])
    assert.deepEqual(await listed(store, { state: 'deadLettered', after: 'd3', limit: 1 }), ['d4'])
  }),

  contract('a dead letter that is sent again is pending, and no dead letter any more', async (store) => {
    const first = entryOf('d1')
    const dead = nextOf(first, 'deadLettered', { settledAt: BASE_AT })
    const again = nextOf(dead, 'pending')
    await commit(store, commitOf(endOf('a'), { outbox: [first] }))
    await put(store, dead)
    await put(store, again)
    assert.deepEqual(await store.listDeliveries({ state: 'pending', limit: 10 }), [again])
    assert.deepEqual(await listed(store, { state: 'deadLettered' }), [])
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 0 })
    await put(store, nextOf(again, 'deadLettered'))
    assert.deepEqual(await listed(store, { state: 'deadLettered', owner: 'ann' }), ['d1'])
    assert.equal((await readAll(store, 10, 'ann')).length, 5)
    assert.deepEqual(await store.prune(TOO_OLD), { evicted: 1 })
  }),
]
