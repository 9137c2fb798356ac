import { createTaskSupervisor, memoryStore, type Channel, type OutboxEntry, type TaskStore } from 'outlive'
import { controllableTool, createManualClock, faultyStore, sequentialIds } from 'outlive/testing'
import { expect, onTestFinished, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'

/** A channel that tells which process has sent what, and answers when it may. */
function setupChannel() {
  const sent: string[] = []
  const held = new Map<string, () => void>()
  const of = (name: string, answers: boolean): Channel => ({
    send: ({ message }) => {
      sent.push(`${name} ${message.id}`)
      return answers ? Promise.resolve() : new Promise((resolve) => void held.set(name, resolve))
    },
  })
  return { sent, held, of }
}

test('what a process had not delivered when it was lost is delivered by another one, with the same id, once', async () => {
  const { start, advance, settle, store } = setupNodes()
  const { sent, of } = setupChannel()
  const work = controllableTool('work')
  const a = await start({ channels: { log: of('a', false) } })
  const [b, c] = [await start({ channels: { log: of('b', true) } }), await start({ channels: { log: of('c', true) } })]
  const { taskId } = await a.ann.spawn(work.tool, undefined, { deliverTo: ['log:1', 'log:2'] })
  await settle()
  work.call(0).resolve('done')
  await settle()
  expect(sent).toHaveLength(2)
  a.kill()
  await advance(3 * LEASE_MS)
  const ids = (await store.readOutbox(taskId)).map(({ deliveryId }) => deliveryId)
  expect(sent.slice(0, 2).toSorted()).toEqual(ids.map((id) => `a ${id}`).toSorted())
  expect(
    sent
      .slice(2)
      .map((line) => line.slice(2))
      .toSorted(),
  ).toEqual(ids.toSorted())
  expect((await b.ann.deliveries(taskId)).map(({ state }) => state)).toEqual(['delivered', 'delivered'])
  expect(await store.listDeliveries({ state: 'pending', limit: 10 })).toEqual([])
  expect(await c.ann.get(taskId)).toMatchObject({ status: 'completed' })
})

test('one who takes over and is lost as well leaves it to the next', async () => {
  const { start, advance, settle } = setupNodes()
  const { sent, of } = setupChannel()
  const a = await start({ channels: { log: of('a', false) } })
  const b = await start({ channels: { log: of('b', false) } })
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'log' })
  await settle()
  a.kill()
  await advance(3 * LEASE_MS)
  const c = await start({ channels: { log: of('c', true) } })
  b.kill()
  await advance(3 * LEASE_MS)
  expect(sent.map((line) => line[0])).toEqual(['a', 'b', 'c'])
  expect(new Set(sent.map((line) => line.slice(2))).size).toBe(1)
  expect((await c.ann.deliveries(taskId))[0]?.state).toBe('delivered')
})

test('one who still waits for its channel takes it up again when whoever took it over is lost, however late', async () => {
  const { start, advance, settle, store } = setupNodes()
  const { sent, of } = setupChannel()
  const [hanging, answering] = [of('a', false), of('a', true)]
  const a = await start({ channels: { log: { send: (send) => (sent.length === 0 ? hanging : answering).send(send) } } })
  const b = await start({ channels: { log: of('b', false) } })
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'log' })
  await settle()
  a.cut()
  await advance(3 * LEASE_MS)
  expect(sent.map((line) => line[0])).toEqual(['a', 'b'])
  b.kill()
  a.mend()
  // It finds the other one dead long before its own channel is given up.
  await advance(3 * LEASE_MS)
  expect(sent).toHaveLength(2)
  await advance(40_000)
  expect(sent.map((line) => line[0])).toEqual(['a', 'b', 'a'])
  expect(new Set(sent.map((line) => line.slice(2))).size).toBe(1)
  expect((await a.ann.deliveries(taskId))[0]?.state).toBe('delivered')
  expect(await store.listDeliveries({ state: 'pending', limit: 10 })).toEqual([])
})

test('what one asks for that does not know yet that it was forgotten is delivered when it is lost', async () => {
  const { start, advance, settle, store } = setupNodes()
  const { sent, of } = setupChannel()
  const a = await start({ channels: { log: of('a', false) } })
  const b = await start({ channels: { log: of('b', true) } })
  const { taskId } = await a.ann.spawn(() => 1)
  await settle()
  a.cut()
  await advance(3 * LEASE_MS)
  expect(await store.cluster?.sweep({ now: 0 })).toEqual([])
  a.mend()
  await a.ann.redirect(taskId, 'log')
  await settle()
  a.kill()
  await advance(11 * LEASE_MS)
  expect(sent.map((line) => line[0])).toEqual(['a', 'b'])
  expect(new Set(sent.map((line) => line.slice(2))).size).toBe(1)
  expect((await b.ann.deliveries(taskId))[0]?.state).toBe('delivered')
})

test('what was on its way at a shutdown is delivered by another process', async () => {
  const { start, advance, settle } = setupNodes()
  const { sent, of } = setupChannel()
  const a = await start({ channels: { log: of('a', false) } })
  const b = await start({ channels: { log: of('b', true) } })
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'log' })
  await settle()
  const closing = a.tasks.shutdown({ graceMs: 1 })
  await advance(20_000)
  expect((await closing).undelivered).toBe(1)
  expect(sent.map((line) => line[0])).toEqual(['a', 'b'])
  expect((await b.ann.deliveries(taskId))[0]?.state).toBe('delivered')
})

test('a delivery that is taken over by a call whose answer is lost is sent, and holds up no other', async () => {
  const { start, advance, settle, store } = setupNodes()
  const { sent, of } = setupChannel()
  const a = await start({ channels: { log: of('a', false) } })
  const lost = new Set<string>()
  const losing = (inner: TaskStore): TaskStore =>
    faultyStore(inner, ({ method, args }) => {
      if (method !== 'putDelivery') return undefined
      const { deliveryId, target } = args[0] as OutboxEntry
      // The first one is not even answered for a long time.
      if (target === 'log:1' && lost.size < 2) return 'hang'
      if (lost.has(deliveryId)) return undefined
      lost.add(deliveryId)
      return 'failAfter'
    })
  const b = await start({ channels: { log: of('b', true) }, wrap: losing })
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: ['log:1', 'log:2', 'log:3'] })
  await settle()
  a.kill()
  await advance(3 * LEASE_MS)
  await advance(30_000)
  const ids = (await store.readOutbox(taskId)).map(({ deliveryId }) => deliveryId)
  expect(sent.slice(3).toSorted()).toEqual(ids.map((id) => `b ${id}`).toSorted())
  expect(sent.at(-1)).toBe(`b ${ids[0] ?? ''}`)
  expect((await b.ann.deliveries(taskId)).map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered'])
})

test('with a store for one process, what is owed is delivered when it is opened again', async () => {
  const inner = memoryStore()
  const clock = createManualClock()
  const createId = sequentialIds()
  const { sent, of } = setupChannel()
  let isGone = false
  const store: TaskStore = { ...inner, durability: 'process', close: () => undefined }
  const options = { clock, createId, logger: { warn: () => undefined, error: () => undefined } }
  const before = createTaskSupervisor({
    ...options,
    store: faultyStore(store, () => (isGone ? 'hang' : undefined)),
    channels: { log: of('before', false) },
  })
  await before.session({ owner: 'ann' }).spawn(() => 1, undefined, { deliverTo: 'log' })
  await clock.advance(10)
  isGone = true
  const after = createTaskSupervisor({ ...options, store, channels: { log: of('after', true) } })
  onTestFinished(async () => {
    const closing = after.shutdown({ graceMs: 1 })
    await clock.advance(60_000)
    await closing
  })
  await after.start()
  await clock.advance(10)
  expect(sent.map((line) => line.split(' ')[0])).toEqual(['before', 'after'])
  expect(new Set(sent.map((line) => line.split(' ')[1])).size).toBe(1)
  expect(await inner.listDeliveries({ state: 'pending', limit: 10 })).toEqual([])
})
