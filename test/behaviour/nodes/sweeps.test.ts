import type { Channel, Commit, OutboxEntry, StoredRecord, TaskStore } from 'outlive'
import { controllableTool, faultyStore } from 'outlive/testing'
import { expect, test, vi } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { createStoreDoor } from '../../support/store-door.ts'

test('a node that loses its steady lease in the middle of a sweep takes nothing up, and does a whole lease later', async () => {
  const { start, advance, settle, store } = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const door = createStoreDoor()
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool], wrap: door.wrap })
  const { taskId } = await a.ann.spawn(again.tool, undefined)
  await settle()
  a.kill()
  door.hold({ list: () => true })
  await advance(2 * LEASE_MS)
  expect(door.heldCount()).toBe(1)
  door.mute(true)
  await advance(LEASE_MS)
  expect((await b.tasks.operator.stats()).counters).toMatchObject({ fencedTimes: 1 })
  door.release()
  await settle()
  expect(again.calls).toHaveLength(1)
  expect(await store.read(taskId)).toMatchObject({ version: 2, epoch: 1 })
  door.mute(false)
  await advance(3 * LEASE_MS)
  expect(again.calls).toHaveLength(2)
  again.call(1).resolve('in the end')
  await settle()
  expect(await b.ann.result(taskId)).toBe('in the end')
})

test('what a node has taken up when it is fenced runs once its lease is steady, and nothing more is taken up before', async () => {
  const { start, advance, settle, store } = setupNodes()
  const again = controllableTool<number, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const door = createStoreDoor()
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool], wrap: door.wrap })
  const count = 150
  for (let index = 0; index < count; index += 1) await a.ann.spawn(again.tool, index)
  await settle()
  a.kill()
  door.hold({ commit: () => true })
  await advance(1.5 * LEASE_MS)
  const taking = door.heldCount()
  expect(taking).toBeGreaterThan(0)
  expect(taking).toBeLessThan(count)
  door.mute(true)
  await advance(LEASE_MS)
  door.release()
  await settle()
  const { records } = await store.list({ limit: count })
  expect(records.filter(({ epoch }) => epoch === 2)).toHaveLength(taking)
  expect(again.calls).toHaveLength(count)
  door.mute(false)
  await advance(4 * LEASE_MS)
  expect(again.calls).toHaveLength(2 * count)
  expect((await b.tasks.operator.stats()).byStatus).toEqual({ running: count })
})

/** A task that has ended with these deliveries. */
function endedWith(taskId: string, outbox: readonly OutboxEntry[]): Commit {
  const record: StoredRecord = {
    taskId,
    tool: 'inline',
    owner: 'ann',
    rootId: taskId,
    depth: 0,
    status: 'completed',
    caller: 'detached',
    attempt: 1,
    epoch: 1,
    createdAt: 1,
    startedAt: 1,
    endedAt: 2,
    targets: outbox.map(({ target }) => target),
    version: 1,
    lastSeq: 2,
    policy: { timeoutMs: 1_000, onParentEnd: 'wait', onChildFailure: 'isolate' },
  }
  return {
    id: `${taskId}:1:1`,
    expect: { version: 0, epoch: 1 },
    record,
    events: [
      { seq: 1, type: 'task.queued', at: 1, epoch: 1, data: {} },
      { seq: 2, type: 'task.completed', at: 2, epoch: 1, data: { durationMs: 1 } },
    ],
    trimTo: 0,
    outbox,
    claims: [],
    attachments: [],
  }
}

function owedBy(node: string | undefined, deliveryId: string, taskId: string): OutboxEntry {
  return {
    deliveryId,
    taskId,
    owner: 'ann',
    target: 'mail:ann',
    kind: 'end',
    version: 1,
    ...(node === undefined ? {} : { node }),
    state: 'pending',
    requestedAt: 2,
    attempts: 0,
    sent: 0,
    messageIds: [],
    log: [{ seq: 1, type: 'delivery.requested', at: 2, data: {} }],
  }
}

test('deliveries under forgotten names are looked for a page at a time, however many are under way', async () => {
  const { start, advance, store } = setupNodes()
  const sent: string[] = []
  const mail: Channel = { send: ({ message }) => void sent.push(message.id) }
  const living = await start({ channels: { mail } })
  const { node } = living.tasks.operator.health()
  const owed = Array.from({ length: 1_200 }, (_, index) =>
    owedBy(node?.id, `delivery-${String(index).padStart(4, '0')}`, 'busy'),
  )
  await store.commit(endedWith('busy', owed))
  await store.commit(endedWith('left', [owedBy('nobody knows it', 'delivery-9', 'left')]))
  await start({ channels: { mail } })
  const list = vi.spyOn(store, 'listDeliveries')
  const forget = vi.spyOn(store.cluster as NonNullable<TaskStore['cluster']>, 'forget')
  // A lease of patience, and then one page a sweep.
  await advance(LEASE_MS + 10)
  const before = list.mock.calls.length
  for (let sweeps = 1; sweeps <= 2; sweeps += 1) {
    expect(list.mock.calls.length).toBeLessThanOrEqual(before + 2 * sweeps)
    expect(sent).toEqual([])
    await advance(LEASE_MS / 3)
  }
  await advance(LEASE_MS)
  expect(sent).toEqual(['delivery-9'])
  const looks = list.mock.calls.length
  expect(forget.mock.calls.length).toBeLessThanOrEqual(3)
  // Then it rests.
  await advance(5 * LEASE_MS)
  expect(list.mock.calls.length).toBe(looks)
})

test('what a process owes that had the store for itself is delivered by one of several', async () => {
  const { start, advance, store } = setupNodes()
  const sent: string[] = []
  await store.commit(endedWith('left', [owedBy(undefined, 'delivery', 'left')]))
  await start({ channels: { mail: { send: ({ message }) => void sent.push(message.id) } } })
  await advance(2 * LEASE_MS)
  expect(sent).toEqual(['delivery'])
})

test('however many have died, what is owed is read once in a sweep, and each is forgotten that owes nothing', async () => {
  const { start, advance, settle, store } = setupNodes()
  const hanging: Channel = { send: () => new Promise(() => undefined) }
  const sent: string[] = []
  const log: Channel = { send: ({ target }) => void sent.push(target.id) }
  const others = []
  for (let index = 0; index < 4; index += 1) others.push(await start({ channels: { log: hanging } }))
  /** How often each sweep has read what is owed. */
  const reads: number[] = []
  // One of them owes what cannot be taken over for a while.
  let isStuck = true
  const counting = (inner: TaskStore): TaskStore =>
    faultyStore(inner, ({ method, args }) => {
      if (method === 'sweep') reads.push(0)
      if (method === 'listDeliveries') reads.push((reads.pop() ?? 0) + 1)
      if (method !== 'putDelivery' || !isStuck) return undefined
      return (args[0] as OutboxEntry).target === 'log:2' ? 'hang' : undefined
    })
  for (const [index, { ann }] of others.entries()) {
    await ann.spawn(() => 1, undefined, { deliverTo: `log:${index}` })
    await settle()
  }
  const left = (await store.listDeliveries({ state: 'pending', limit: 10 })).map(({ node, target }) => [target, node])
  await start({ channels: { log }, wrap: counting })
  for (const other of others) other.kill()
  await advance(5 * LEASE_MS)
  expect(sent.toSorted()).toEqual(['0', '1', '3'])
  const dead = await store.cluster?.sweep({ now: 0 })
  expect(dead?.map(({ node }) => node)).toEqual([left.find(([target]) => target === 'log:2')?.[1]])
  // The one besides is the look for what is forgotten.
  expect(Math.max(...reads)).toBe(2)
  isStuck = false
  await advance(60_000)
  expect(sent.toSorted()).toEqual(['0', '1', '2', '3'])
  expect(await store.cluster?.sweep({ now: 0 })).toEqual([])
})
