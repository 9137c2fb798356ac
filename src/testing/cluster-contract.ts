/**
 * What a store has to keep to that several processes have, beside the contract of every store. Each case gets a fresh,
 * empty store with a `cluster`.
 */
import assert from 'node:assert/strict'
import type { ClusterStore, Order, StoreHint } from '../ports/cluster-store.ts'
import { ORDER_KEPT_MS } from '../ports/cluster-store.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { BASE_AT, commit, commitOf, contract, recordOf, type StoreContractCase } from './contract-case.ts'

const LONG_MS = 60_000
/** A lease that is over before the next look. */
const SHORT_MS = 1
const LOOKS = 100
const LOOK_MS = 20

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const clusterCase = (
  title: string,
  check: (store: TaskStore, cluster: ClusterStore) => Promise<void>,
): StoreContractCase =>
  contract(title, async (store) => {
    assert.ok(store.cluster, 'the store has a cluster')
    await check(store, store.cluster)
  })

async function join(cluster: ClusterStore, node: string, leaseMs = LONG_MS): Promise<void> {
  await cluster.join({ node, leaseMs, now: Date.now() })
}

/** Joins a node and lets its lease run out. Nobody has looked yet. */
async function joinAndDie(cluster: ClusterStore, node: string): Promise<void> {
  await join(cluster, node, SHORT_MS)
  await pause(SHORT_MS + LOOK_MS)
}

const renew = (cluster: ClusterStore, node: string) => cluster.renew({ node, leaseMs: LONG_MS, now: Date.now() })

async function deadNodes(cluster: ClusterStore): Promise<string[]> {
  return (await cluster.sweep({ now: Date.now() })).map(({ node }) => node)
}

function orderOf(id: string, fields: Partial<Order> = {}): Order {
  return { id, node: 'n1', from: 'n2', owner: 'ann', taskId: 'a', json: '{}', sentAt: Date.now(), ...fields }
}

const orderIds = async (cluster: ClusterStore, node: string, limit = 10): Promise<string[]> =>
  (await cluster.readOrders({ node, limit })).map(({ id }) => id)

export const CLUSTER_CONTRACT: readonly StoreContractCase[] = [
  clusterCase('a node lives while it is renewed', async (_store, cluster) => {
    await join(cluster, 'n1')
    assert.equal(await renew(cluster, 'n1'), true)
    assert.deepEqual(await deadNodes(cluster), [])
    assert.equal(await renew(cluster, 'stranger'), false)
  }),

  clusterCase('a node without a lease is dead for good once that was found out', async (_store, cluster) => {
    await join(cluster, 'n2')
    const before = Date.now()
    await joinAndDie(cluster, 'n1')
    const [dead, ...others] = await cluster.sweep({ now: Date.now() })
    assert.equal(dead?.node, 'n1')
    assert.ok(Math.abs((dead?.diedAt ?? 0) - before) < LONG_MS)
    assert.deepEqual(others, [])
    assert.equal(await renew(cluster, 'n1'), false)
    assert.equal(await renew(cluster, 'n2'), true)
    assert.deepEqual(await deadNodes(cluster), ['n1'])
  }),

  clusterCase('a node that is late, but was not found dead, lives on', async (_store, cluster) => {
    await joinAndDie(cluster, 'n1')
    assert.equal(await renew(cluster, 'n1'), true)
    assert.deepEqual(await deadNodes(cluster), [])
  }),

  clusterCase('a node that has left is dead at once', async (_store, cluster) => {
    await join(cluster, 'n1')
    await cluster.leave({ node: 'n1', now: Date.now() })
    assert.equal(await renew(cluster, 'n1'), false)
    assert.deepEqual(await deadNodes(cluster), ['n1'])
  }),

  clusterCase('a node that is dead or unknown commits nothing', async (store, cluster) => {
    await join(cluster, 'n1')
    await commit(store, commitOf(recordOf('a', { node: 'n1' })))
    await cluster.leave({ node: 'n1', now: Date.now() })
    const end = recordOf('a', { node: 'n1', version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT })
    assert.deepEqual(await store.commit(commitOf(end, { types: ['task.completed'] })), { kind: 'stale' })
    assert.deepEqual(await store.commit(commitOf(recordOf('b', { node: 'n1' }))), { kind: 'stale' })
    assert.deepEqual(await store.commit(commitOf(recordOf('c', { node: 'stranger' }))), { kind: 'stale' })
    assert.equal((await store.read('a'))?.version, 1)
    assert.equal(await store.read('b'), undefined)
  }),

  clusterCase('another node takes a task over once, with a higher epoch', async (store, cluster) => {
    for (const node of ['n1', 'n2', 'n3']) await join(cluster, node)
    await commit(store, commitOf(recordOf('a', { node: 'n1' })))
    await cluster.leave({ node: 'n1', now: Date.now() })
    const taken = (node: string) =>
      commitOf(recordOf('a', { node, version: 2, lastSeq: 2, epoch: 2 }), { id: `a:${node}`, types: ['task.retrying'] })
    await commit(store, taken('n2'))
    assert.deepEqual(await store.commit(taken('n3')), { kind: 'stale' })
    assert.equal((await store.read('a'))?.node, 'n2')
  }),

  clusterCase('what has ended can be written to, though its node is gone', async (store, cluster) => {
    await join(cluster, 'n1')
    const end = recordOf('a', { node: 'n1', status: 'completed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.completed'] }))
    await cluster.leave({ node: 'n1', now: Date.now() })
    assert.equal(await cluster.forget('n1'), true)
    await commit(store, commitOf({ ...end, version: 2, targets: ['log:1'] }, { types: [] }))
  }),

  clusterCase('the tasks of a node are listed', async (store, cluster) => {
    await join(cluster, 'n1')
    await join(cluster, 'n2')
    await commit(store, commitOf(recordOf('a', { node: 'n1' })))
    await commit(store, commitOf(recordOf('b', { node: 'n2' })))
    await commit(store, commitOf(recordOf('c', { node: 'n1', owner: 'bob' })))
    const { records } = await store.list({ node: 'n1', status: ['running'], limit: 10 })
    assert.deepEqual(
      records.map(({ taskId }) => taskId),
      ['a', 'c'],
    )
  }),

  clusterCase('a dead node is forgotten when no live task names it', async (store, cluster) => {
    await join(cluster, 'n1')
    await join(cluster, 'n2')
    await commit(store, commitOf(recordOf('a', { node: 'n1' })))
    assert.equal(await cluster.forget('n1'), false)
    assert.equal(await cluster.forget('never there'), true)
    await cluster.leave({ node: 'n1', now: Date.now() })
    assert.equal(await cluster.forget('n1'), false)
    assert.deepEqual(await deadNodes(cluster), ['n1'])
    const end = recordOf('a', { node: 'n2', version: 2, lastSeq: 2, epoch: 2, status: 'failed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.failed'] }))
    assert.equal(await cluster.forget('n1'), true)
    assert.equal(await cluster.forget('n1'), true)
    assert.deepEqual(await deadNodes(cluster), [])
    assert.equal(await renew(cluster, 'n1'), false)
  }),

  clusterCase('orders are read in the order they were sent, by the node they are for', async (_store, cluster) => {
    for (const id of ['z', 'a', 'm']) await cluster.sendOrder(orderOf(id))
    await cluster.sendOrder(orderOf('other', { node: 'n3' }))
    assert.deepEqual(await orderIds(cluster, 'n1'), ['z', 'a', 'm'])
    assert.deepEqual(await orderIds(cluster, 'n1', 2), ['z', 'a'])
    const order = orderOf('full', { node: 'n3', json: '{"text":"é 🙂"}', taskId: 't', owner: 'bob' })
    await cluster.sendOrder(order)
    assert.deepEqual((await cluster.readOrders({ node: 'n3', limit: 10 }))[1], order)
  }),

  clusterCase('an order that has a reply is not read any more, and its first reply stays', async (_store, cluster) => {
    await cluster.sendOrder(orderOf('o1'))
    assert.equal(await cluster.readReply('o1'), undefined)
    await cluster.replyTo({ orderId: 'o1', json: '{"n":1}' })
    await cluster.replyTo({ orderId: 'o1', json: '{"n":2}' })
    await cluster.replyTo({ orderId: 'unknown', json: '{}' })
    assert.equal(await cluster.readReply('o1'), '{"n":1}')
    assert.equal(await cluster.readReply('unknown'), undefined)
    assert.deepEqual(await orderIds(cluster, 'n1'), [])
  }),

  clusterCase('an order that is sent again is there once, for the node named last', async (_store, cluster) => {
    await cluster.sendOrder(orderOf('o1'))
    await cluster.sendOrder(orderOf('o1'))
    assert.deepEqual(await orderIds(cluster, 'n1'), ['o1'])
    await cluster.sendOrder(orderOf('o1', { node: 'n3' }))
    assert.deepEqual(await orderIds(cluster, 'n1'), [])
    assert.deepEqual(await orderIds(cluster, 'n3'), ['o1'])
    await cluster.replyTo({ orderId: 'o1', json: '{}' })
    await cluster.sendOrder(orderOf('o1', { node: 'n3' }))
    assert.deepEqual(await orderIds(cluster, 'n3'), [])
    assert.equal(await cluster.readReply('o1'), '{}')
  }),

  clusterCase('orders and replies are dropped when they are old, or with their node', async (_store, cluster) => {
    await cluster.sendOrder(orderOf('old', { sentAt: Date.now() - ORDER_KEPT_MS - LONG_MS }))
    await cluster.sendOrder(orderOf('new'))
    await deadNodes(cluster)
    assert.deepEqual(await orderIds(cluster, 'n1'), ['new'])
    await join(cluster, 'n1')
    await cluster.leave({ node: 'n1', now: Date.now() })
    assert.equal(await cluster.forget('n1'), true)
    assert.deepEqual(await orderIds(cluster, 'n1'), [])
  }),

  clusterCase('whoever watches is woken by commits, orders and replies', async (store, cluster) => {
    const hints: StoreHint[] = []
    const stop = cluster.watch((hint) => void hints.push(hint))
    const wakes = async (key: keyof StoreHint, value: string): Promise<void> => {
      for (let look = 0; look < LOOKS; look += 1) {
        if (hints.some((hint) => hint[key] === value || Object.keys(hint).length === 0)) return
        await pause(LOOK_MS)
      }
      assert.fail(`no hint for ${key} ${value}`)
    }
    // A server may need a moment to know its watchers.
    await pause(10 * LOOK_MS)
    await commit(store, commitOf(recordOf('a')))
    await wakes('owner', 'ann')
    hints.length = 0
    await cluster.sendOrder(orderOf('o1'))
    await wakes('node', 'n1')
    hints.length = 0
    await cluster.replyTo({ orderId: 'o1', json: '{}' })
    await wakes('node', 'n2')
    stop()
    stop()
  }),
]
