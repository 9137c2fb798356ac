import { isDeliveryEvent, type TaskSupervisorOptions } from 'outlive'
import { describe, expect, test } from 'vitest'
import { gone, later, refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { collect, setup } from '../../support/setup.ts'

const STEADY = { baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'none' } as const

function setupDelivery(options: Omit<TaskSupervisorOptions, 'clock' | 'channels'> = {}) {
  const chat = scriptedChannel(() => harness.clock.now())
  const harness = setup({ delivery: STEADY, ...options, channels: { chat: chat.channel } })
  const startedAt = harness.clock.now()
  return {
    ...harness,
    chat,
    /** The moments of the attempts at a place, from the start of the test. */
    attemptsAt: (to: string) => chat.sent.filter((sent) => sent.to === to).map(({ at }) => at - startedAt),
    async end(to: string, value: unknown = 'done'): Promise<string> {
      const task = await harness.ann.spawn(() => value, undefined, { deliverTo: `chat:${to}` })
      await task.wait()
      await harness.settle()
      return task.taskId
    },
  }
}

describe('a receiver that fails', () => {
  test('gets the same message with the same id after ever longer pauses, and then has it once', async () => {
    const { chat, end, advance, attemptsAt, ann } = setupDelivery()
    chat.script('1', later(), later(), later())
    const taskId = await end('1')
    await advance(60_000)
    expect(attemptsAt('1')).toEqual([0, 1_000, 3_000, 7_000])
    expect(new Set(chat.sent.map(({ message }) => JSON.stringify(message))).size).toBe(1)
    expect(chat.arrived).toHaveLength(1)
    expect(await ann.deliveries(taskId)).toMatchObject([
      { state: 'delivered', attempts: 4, log: { length: 5 }, messageIds: [] },
    ])
  })

  test('that says when to come back is left alone until then, and never longer than maxMs', async () => {
    const { chat, end, advance, attemptsAt } = setupDelivery()
    chat.script('1', later(30_000), later(3_600_000), later(0))
    await end('1')
    await advance(200_000)
    expect(attemptsAt('1')).toEqual([0, 30_000, 90_000, 94_000])
  })

  test('holds up what goes to the same target, in its order, and nothing else', async () => {
    const { chat, end, advance } = setupDelivery()
    chat.script('slow', later(5_000))
    const first = await end('slow')
    const second = await end('slow')
    const other = await end('fine')
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual([other])
    await advance(5_000)
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual([other, first, second])
  })

  test('that has failed five times in a row is asked ever more rarely, whichever results those were', async () => {
    const { chat, end, advance, attemptsAt } = setupDelivery({ delivery: { ...STEADY, maxAttempts: 2 } })
    chat.always('1', later())
    for (let count = 0; count < 5; count += 1) await end('1')
    await advance(20_000)
    // Two attempts each, a second apart; from the fifth failure on the target rests for 16, 32 … seconds.
    expect(attemptsAt('1')).toEqual([0, 1_000, 1_000, 2_000, 2_000, 18_000])
  })

  test('works again: what waited goes out at once, one after the other', async () => {
    const { chat, end, advance } = setupDelivery()
    chat.script('1', later(10_000))
    const taskIds = [await end('1'), await end('1'), await end('1')]
    await advance(10_000)
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual(taskIds)
  })

  test.each([
    ['refused', refused(), 'no such room'],
    ['target_gone', gone(), 'unsubscribed'],
  ] as const)('for good (%s) has a dead letter at once, with the reason', async (code, error, message) => {
    const { chat, end, advance, ann, logged } = setupDelivery()
    chat.script('1', error)
    const taskId = await end('1')
    await advance(600_000)
    expect(chat.sent).toHaveLength(1)
    expect(await ann.deliveries(taskId)).toMatchObject([
      { state: 'deadLettered', attempts: 1, failure: { code, message } },
    ])
    expect(logged).toMatchObject([{ level: 'error', fields: { taskId, target: 'chat:1', error: message } }])
  })

  test('that refuses one result gets the next one', async () => {
    const { chat, end } = setupDelivery()
    chat.script('1', refused())
    await end('1')
    const second = await end('1')
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual([second])
  })

  test('that is gone gets nothing any more, until somebody sends a dead letter again', async () => {
    const { chat, end, ann, settle } = setupDelivery()
    chat.script('1', gone())
    const first = await end('1')
    const second = await end('1')
    expect(chat.sent).toHaveLength(1)
    expect((await ann.deliveries(second))[0]).toMatchObject({
      state: 'deadLettered',
      attempts: 0,
      failure: { code: 'target_gone' },
    })
    const [dead] = (await ann.deadDeliveries.list()).deliveries
    if (dead === undefined) throw new Error('nothing is dead')
    await ann.deadDeliveries.replay(dead)
    await settle()
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual([first])
    const third = await end('1')
    expect(chat.arrived.map(({ message }) => message.taskId)).toEqual([first, third])
  })

  test('is given up after maxAttempts', async () => {
    const { chat, end, advance, ann, tasks } = setupDelivery({ delivery: { ...STEADY, maxAttempts: 3 } })
    chat.always('1', later())
    const taskId = await end('1')
    await advance(60_000)
    expect(chat.sent).toHaveLength(3)
    expect(await ann.deliveries(taskId)).toMatchObject([
      { state: 'deadLettered', attempts: 3, failure: { code: 'exhausted', message: 'after 3 attempts: busy' } },
    ])
    expect((await tasks.operator.stats()).counters).toMatchObject({ retriedDeliveries: 2, failedDeliveries: 1 })
  })

  test('is given up when the result is too old', async () => {
    const { chat, end, advance, ann } = setupDelivery({ delivery: { ...STEADY, maxAgeMs: 10_000 } })
    chat.always('1', later())
    const taskId = await end('1')
    await advance(60_000)
    expect(chat.sent).toHaveLength(4)
    expect(await ann.deliveries(taskId)).toMatchObject([{ state: 'deadLettered', failure: { code: 'exhausted' } }])
  })

  test('is not waited for at a shutdown: its result stays pending', async () => {
    const { chat, end, tasks, store, advance } = setupDelivery()
    chat.script('1', later(30_000))
    const taskId = await end('1')
    const closing = tasks.shutdown({ graceMs: 1 })
    await advance(0)
    expect(await closing).toMatchObject({ undelivered: 1 })
    expect(await store.readOutbox(taskId)).toMatchObject([{ state: 'pending', attempts: 1 }])
  })
})

describe('what became of a delivery', () => {
  test('is told in the stream of its owner, in order, after the end of its task', async () => {
    const { chat, ann, end, advance } = setupDelivery()
    const { items } = collect(ann.events())
    chat.script('1', later())
    const taskId = await end('1')
    await advance(1_000)
    const told = items.filter(isDeliveryEvent)
    expect(told).toMatchObject([
      { type: 'delivery.requested', seq: 1, taskId, target: 'chat:1', kind: 'end', owner: 'ann' },
      { type: 'delivery.retried', seq: 2, attempt: 1, failure: { code: 'channel_error' } },
      { type: 'delivery.delivered', seq: 3, attempt: 2 },
    ])
    const types = items.map(({ type }) => type)
    expect(types.indexOf('task.completed')).toBe(types.indexOf('delivery.requested') - 1)
  })

  test('can be resumed from the cursor of any of its events, and is no part of the stream of its task', async () => {
    const { chat, ann, end, advance } = setupDelivery()
    const live = collect(ann.events())
    chat.script('1', later())
    const taskId = await end('1')
    await advance(1_000)
    const cursor = live.items.find(({ type }) => type === 'delivery.requested') as { cursor?: string } | undefined
    const resumed = collect(ann.events({ after: cursor?.cursor ?? '' }))
    await advance(0)
    expect(resumed.items.map(({ type }) => type)).toEqual(['delivery.retried', 'delivery.delivered'])
    const ofTask = collect(ann.events({ taskId }))
    await ofTask.ended
    expect(ofTask.items.filter(isDeliveryEvent)).toEqual([])
    expect(() => ann.events({ taskId, after: cursor?.cursor ?? '' })).toThrow('does not belong')
  })

  test('can be asked for by type', async () => {
    const { ann, end } = setupDelivery()
    const { items } = collect(ann.events({ type: 'delivery.delivered' }))
    await end('1')
    expect(items.map(({ type }) => type)).toEqual(['delivery.delivered'])
  })
})
