import { memoryStore, type DeliveryRecord, type TaskStore, type TaskSupervisorOptions } from 'outlive'
import { describe, expect, test } from 'vitest'
import { later, refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { setup } from '../../support/setup.ts'

function setupDead(options: Omit<TaskSupervisorOptions, 'clock' | 'channels'> = {}) {
  const chat = scriptedChannel()
  const harness = setup({ ...options, channels: { chat: chat.channel } })
  return {
    ...harness,
    chat,
    /** A result that its receiver has refused. */
    async bury(to = '1'): Promise<DeliveryRecord> {
      chat.script(to, refused())
      const task = await harness.ann.spawn(() => 'done', undefined, { deliverTo: `chat:${to}` })
      await task.wait()
      await harness.settle()
      const [dead] = await harness.ann.deliveries(task.taskId)
      if (dead?.state !== 'deadLettered') throw new Error('it is not dead')
      return dead
    },
  }
}

describe('dead letters of deliveries', () => {
  test('are listed in pages, for their owner alone, and for the host', async () => {
    const { ann, bob, tasks, bury } = setupDead()
    const dead = [await bury('1'), await bury('2'), await bury('3')]
    const ids = dead.map(({ deliveryId }) => deliveryId).toSorted()
    const first = await ann.deadDeliveries.list({ limit: 2 })
    expect(first.deliveries.map(({ deliveryId }) => deliveryId)).toEqual(ids.slice(0, 2))
    const second = await ann.deadDeliveries.list({ limit: 2, after: first.next ?? '' })
    expect(second).toMatchObject({ deliveries: [{ deliveryId: ids[2] }] })
    expect(second.next).toBeUndefined()
    expect(await bob.deadDeliveries.list()).toEqual({ deliveries: [] })
    expect((await tasks.operator.deadDeliveries.list()).deliveries).toHaveLength(3)
    // A page of one has a next one, and a full one that is the last has none.
    expect((await ann.deadDeliveries.list({ limit: 1 })).next).toBe(ids[0])
    expect(await ann.deadDeliveries.list({ limit: 3 })).not.toHaveProperty('next')
  })

  test('are sent again by the host, whose ever they are; unknown ones it does not find either', async () => {
    const { tasks, bury, chat, settle } = setupDead()
    const dead = await bury()
    const { deadDeliveries } = tasks.operator
    await deadDeliveries.replay(dead)
    await settle()
    expect(chat.arrived.map(({ message }) => message.id)).toEqual([dead.deliveryId])
    for (const ref of [dead, { taskId: dead.taskId, deliveryId: 'x' }]) {
      await expect(deadDeliveries.replay(ref)).rejects.toMatchObject({
        code: 'delivery_not_found',
        message: 'There is no such dead letter.',
      })
    }
  })

  test('are asked for with options that are refused by name', async () => {
    const { ann, bury } = setupDead()
    const dead = await bury()
    const { deadDeliveries } = ann
    for (const [asked, told] of [
      [() => deadDeliveries.list({ page: 1 } as never), 'options has no option "page"'],
      [() => deadDeliveries.list({ limit: 0 }), 'limit must'],
      [() => deadDeliveries.list({ after: 5 as never }), 'after must'],
      [() => deadDeliveries.replay(dead, { anew: true } as never), 'options has no option "anew"'],
      [() => deadDeliveries.replay(dead, { asNew: 'yes' as never }), 'asNew must'],
    ] as const) {
      await expect(asked()).rejects.toThrow(told)
    }
  })

  test('are sent again with the id they had, and the log says by whom', async () => {
    const { ann, bury, chat, settle } = setupDead()
    const dead = await bury()
    await ann.deadDeliveries.replay(dead)
    await settle()
    expect(chat.sent.map(({ message }) => message.id)).toEqual([dead.deliveryId, dead.deliveryId])
    const [record] = await ann.deliveries(dead.taskId)
    expect(record).toMatchObject({ state: 'delivered', attempts: 1 })
    expect(record?.log.map(({ type }) => type)).toEqual([
      'delivery.requested',
      'delivery.deadLettered',
      'delivery.replayed',
      'delivery.delivered',
    ])
    expect(record?.log[2]).toMatchObject({ data: { actor: 'ann' } })
    expect(await ann.deadDeliveries.list()).toEqual({ deliveries: [] })
  })

  test('are sent again under a new id when that is asked for, and the old one is put away', async () => {
    const { ann, bury, chat, settle } = setupDead()
    const dead = await bury()
    await ann.deadDeliveries.replay(dead, { asNew: true })
    await settle()
    expect(new Set(chat.sent.map(({ message }) => message.id)).size).toBe(2)
    expect((await ann.deliveries(dead.taskId)).map(({ state }) => state)).toEqual(['withdrawn', 'delivered'])
  })

  test('are tried as often as any delivery when they are sent again', async () => {
    const { ann, bury, chat, advance } = setupDead({
      delivery: { maxAttempts: 2, baseMs: 10, jitter: 'none', maxAgeMs: 60_000 },
    })
    const dead = await bury()
    await advance(120_000)
    chat.always('1', later())
    await ann.deadDeliveries.replay(dead)
    await advance(1_000)
    expect(chat.sent).toHaveLength(3)
    expect((await ann.deadDeliveries.list()).deliveries).toMatchObject([
      { attempts: 2, failure: { code: 'exhausted' } },
    ])
  })

  test('are put away for good', async () => {
    const { ann, bury, chat, settle } = setupDead()
    const dead = await bury()
    await ann.deadDeliveries.clear(dead)
    await settle()
    expect(chat.sent).toHaveLength(1)
    expect((await ann.deliveries(dead.taskId))[0]).toMatchObject({ state: 'withdrawn' })
    await expect(ann.deadDeliveries.replay(dead)).rejects.toMatchObject({ code: 'delivery_not_found' })
    await expect(ann.deadDeliveries.clear(dead)).rejects.toMatchObject({ code: 'delivery_not_found' })
  })

  test('are replayed once, however many ask at once', async () => {
    const { ann, bury, chat, settle } = setupDead()
    const dead = await bury()
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => ann.deadDeliveries.replay(dead)))
    await settle()
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(chat.arrived).toHaveLength(1)
  })

  test('are looked for by the ids of a delivery only, and by an owner where there is one', async () => {
    const asked: unknown[] = []
    const inner = memoryStore()
    const store: TaskStore = {
      ...inner,
      readOutbox: (taskId) => (asked.push(taskId), inner.readOutbox(taskId)),
      listDeliveries: (query) => (asked.push(query), inner.listDeliveries(query)),
    }
    const { ann, tasks, settle } = setup({ store })
    await ann.list()
    await settle()
    asked.length = 0
    for (const ref of [{}, { taskId: 'a' }, { deliveryId: 'd' }, { taskId: 7, deliveryId: 'd' }]) {
      await expect(ann.deadDeliveries.clear(ref as never)).rejects.toMatchObject({ code: 'delivery_not_found' })
    }
    expect(asked).toEqual([])
    await ann.deadDeliveries.list({ limit: 5 })
    await tasks.operator.deadDeliveries.list({ limit: 5 })
    const query = { state: 'deadLettered', limit: 6 }
    expect(asked).toStrictEqual([{ ...query, owner: 'ann' }, query])
  })

  test('of others, unknown ones, settled ones and what is none answer alike', async () => {
    const { ann, bob, bury, settle } = setupDead()
    const dead = await bury()
    const fine = await ann.spawn(() => 1, undefined, { deliverTo: 'chat:2' })
    await fine.wait()
    await settle()
    const [delivered] = await ann.deliveries(fine.taskId)
    const told = new Set<string>()
    const tries: [typeof ann, unknown][] = [
      [bob, dead],
      [ann, delivered],
      [ann, { taskId: dead.taskId, deliveryId: 'x' }],
      [ann, { taskId: 'x', deliveryId: dead.deliveryId }],
      [ann, {}],
      [ann, undefined],
      [ann, { taskId: 7, deliveryId: 7 }],
    ]
    for (const [session, ref] of tries) {
      for (const verb of ['replay', 'clear'] as const) {
        const error: unknown = await session.deadDeliveries[verb](ref as never).catch((thrown: unknown) => thrown)
        told.add(JSON.stringify({ ...(error as object), message: (error as Error).message }))
      }
    }
    expect([...told]).toHaveLength(1)
    expect([...told][0]).toContain('delivery_not_found')
    expect((await ann.deadDeliveries.list()).deliveries).toHaveLength(1)
  })
})

describe('a redirect of what has ended', () => {
  test('goes to a target once more when a person asks for it again', async () => {
    const { ann, chat, settle } = setupDead()
    const task = await ann.spawn(() => 'done', undefined, { deliverTo: 'chat:1' })
    await task.wait()
    await task.redirect('chat:1')
    await settle()
    expect(chat.arrived).toHaveLength(1)
    await task.redirect('chat:1', { again: true })
    await settle()
    expect(chat.arrived).toHaveLength(2)
    expect(new Set(chat.arrived.map(({ message }) => message.id)).size).toBe(2)
    await expect(task.redirect('chat:1', { again: 1 as never })).rejects.toThrow('again must be a boolean')
  })
})
