import { memoryStore, type DeliveryRecord, type OutboxEntry } from 'outlive'
import { controllableTool, faultyStore, type FaultPlan, type StoreFault } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { setup, watch } from '../../support/setup.ts'

/** How long a caller waits for the store. */
const COMMIT_WAIT_MS = 2_000

/** A supervisor whose store carries things out and loses the answers, when a test says so. */
function setupLosing() {
  const chat = scriptedChannel(() => 0, { presence: { kind: 'placeholder', clear: () => undefined } })
  let plan: FaultPlan = () => undefined
  const store = faultyStore(memoryStore(), (call) => plan(call))
  const harness = setup({ store, channels: { chat: chat.channel } })
  /** What becomes of the next calls of a method, one each. */
  const lose = (method: string, faults: readonly (StoreFault | undefined)[]): void => {
    const left = [...faults]
    plan = (call) => (call.method === method ? left.shift() : undefined)
  }
  return {
    ...harness,
    chat,
    lose,
    /** Whatever is asked of the store from now on goes wrong like this. */
    disturb: (fault: StoreFault | undefined, methods: readonly string[]) => {
      plan = ({ method }) => (methods.includes(method) ? fault : undefined)
    },
    plan: (given: FaultPlan) => void (plan = given),
    idsTo: (to: string) => chat.sent.filter((sent) => sent.to === to).map(({ message }) => message.id),
    async end(): Promise<string> {
      const task = await harness.ann.spawn(() => 'done', undefined, { deliverTo: [] })
      await task.wait()
      await harness.settle()
      return task.taskId
    },
    /** A result that its receiver has refused. */
    async bury(): Promise<DeliveryRecord> {
      chat.script('1', refused())
      const task = await harness.ann.spawn(() => 'done', undefined, { deliverTo: 'chat:1' })
      await task.wait()
      await harness.settle()
      const dead = (await harness.ann.deliveries(task.taskId)).find(({ state }) => state === 'deadLettered')
      if (dead === undefined) throw new Error('it is not dead')
      chat.sent.length = 0
      return dead
    },
  }
}

describe('a redirect of what has ended', () => {
  test('is delivered once when the answer to it is lost', async () => {
    const { ann, end, lose, advance, idsTo } = setupLosing()
    const taskId = await end()
    lose('commit', ['failAfter'])
    const redirected = watch(ann.redirect(taskId, 'chat:1'))
    await advance(1_000)
    expect(redirected.state).toBe('resolved')
    await ann.redirect(taskId, 'chat:1')
    await advance(60_000)
    expect(idsTo('1')).toHaveLength(1)
    expect(await ann.deliveries(taskId)).toMatchObject([{ state: 'delivered' }])
  })

  test('is refused when the store takes too long, is made once that answers, and is asked for again without harm', async () => {
    const { ann, end, disturb, advance, idsTo } = setupLosing()
    const taskId = await end()
    disturb('failAfter', ['commit'])
    const redirected = watch(ann.redirect(taskId, 'chat:1'))
    await advance(COMMIT_WAIT_MS + 100)
    expect(redirected.error).toMatchObject({ code: 'store_unavailable', retryable: true })
    expect(idsTo('1')).toEqual([])
    disturb(undefined, [])
    await ann.redirect(taskId, 'chat:1')
    await advance(60_000)
    expect(idsTo('1')).toHaveLength(1)
    expect(await ann.deliveries(taskId)).toMatchObject([{ state: 'delivered' }])
  })

  test('is delivered once when another one was made before its lost answer could come', async () => {
    const { ann, end, lose, advance, idsTo } = setupLosing()
    const taskId = await end()
    lose('commit', ['failAfter'])
    const both = watch(Promise.all([ann.redirect(taskId, 'chat:1'), ann.redirect(taskId, 'chat:2')]))
    await advance(60_000)
    expect(both.state).toBe('resolved')
    expect([idsTo('1').length, idsTo('2').length]).toEqual([1, 1])
    expect((await ann.deliveries(taskId)).map(({ state }) => state)).toEqual(['delivered', 'delivered'])
  })
})

describe('a dead letter that is sent again', () => {
  test.each([false, true])('goes out once when the answers of the store are lost, as new: %s', async (asNew) => {
    const { ann, bury, lose, advance, idsTo } = setupLosing()
    const dead = await bury()
    lose('putDelivery', ['failAfter', 'failAfter', 'failBefore'])
    const replayed = watch(ann.deadDeliveries.replay(dead, { asNew }))
    await advance(1_000)
    expect(replayed.state).toBe('resolved')
    await advance(60_000)
    expect(idsTo('1')).toHaveLength(1)
    expect(idsTo('1')[0] === dead.deliveryId).toBe(!asNew)
    const ends = (await ann.deliveries(dead.taskId)).filter(({ kind }) => kind === 'end')
    expect(ends.map(({ state }) => state)).toEqual(asNew ? ['withdrawn', 'delivered'] : ['delivered'])
    await expect(ann.deadDeliveries.replay(dead)).rejects.toMatchObject({ code: 'delivery_not_found' })
  })

  test('is sent once the store answers, when that takes too long for whoever asked', async () => {
    const { ann, bury, disturb, advance, idsTo } = setupLosing()
    const dead = await bury()
    disturb('failAfter', ['putDelivery'])
    const replayed = watch(ann.deadDeliveries.replay(dead))
    await advance(COMMIT_WAIT_MS + 100)
    expect(replayed.error).toMatchObject({ code: 'store_unavailable', retryable: true })
    await expect(ann.deadDeliveries.replay(dead)).rejects.toMatchObject({ code: 'delivery_not_found' })
    expect(idsTo('1')).toEqual([])
    disturb(undefined, [])
    await advance(60_000)
    expect(idsTo('1')).toEqual([dead.deliveryId])
    expect(await ann.deliveries(dead.taskId)).toContainEqual(expect.objectContaining({ state: 'delivered' }))
  })

  test('is not sent when its task could not be read, and may be sent again', async () => {
    const { ann, bury, lose, settle, idsTo } = setupLosing()
    const dead = await bury()
    // The first read is that of the gate.
    lose('read', [undefined, 'failBefore'])
    await expect(ann.deadDeliveries.replay(dead)).rejects.toThrow('read failed')
    await ann.deadDeliveries.replay(dead)
    await settle()
    expect(idsTo('1')).toEqual([dead.deliveryId])
  })

  test('is put away when the answer to that is lost', async () => {
    const { ann, bury, lose, advance } = setupLosing()
    const dead = await bury()
    lose('putDelivery', ['failAfter'])
    const cleared = watch(ann.deadDeliveries.clear(dead))
    await advance(1_000)
    expect(cleared.state).toBe('resolved')
    expect(await ann.deadDeliveries.list()).toEqual({ deliveries: [] })
  })
})

test('a start and a question are told once when the answers to their requests are lost, and are over with their task', async () => {
  const { ann, plan, advance, chat } = setupLosing()
  chat.always('1', { messageId: 'm-1' })
  const work = controllableTool('work')
  const lost = new Set<string>()
  plan(({ method, args }) => {
    if (method !== 'putDelivery') return undefined
    const { version, kind } = args[0] as OutboxEntry
    if (version !== 1 || lost.has(kind)) return undefined
    lost.add(kind)
    return 'failAfter'
  })
  const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
  await advance(10_000)
  watch(work.call(0).ctx.ask('may', 'May I?'))
  await advance(10_000)
  expect([...lost]).toEqual(['start', 'question'])
  work.call(0).resolve('done')
  await task.wait()
  await advance(10_000)
  expect(chat.sent.map(({ message }) => message.kind)).toEqual(['start', 'question', 'end'])
  const states = (await ann.deliveries(task.taskId)).map(({ kind, state }) => `${kind} ${state}`)
  expect(states.toSorted()).toEqual(['end delivered', 'question delivered', 'start withdrawn'])
})
