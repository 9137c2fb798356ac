import { memoryStore, type TaskSupervisorOptions } from 'outlive'
import { controllableTool, faultyStore } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { later, refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { setup } from '../../support/setup.ts'

const LIMITS = { maxChars: 200 }
const LONG = Array.from({ length: 40 }, (_, line) => `line ${line} of the report`).join('\n')

function setupChunks(options: Omit<TaskSupervisorOptions, 'clock' | 'channels'> = {}) {
  const chat = scriptedChannel(() => 0, { limits: LIMITS })
  const harness = setup({
    delivery: { baseMs: 1_000, jitter: 'none' },
    ...options,
    channels: { chat: chat.channel },
  })
  return { ...harness, chat, parts: () => chat.sent.map(({ message }) => message.part) }
}

describe('a result of several messages', () => {
  test('comes in order, each within the limit, and the receipt names them all', async () => {
    const { ann, settle, chat, parts } = setupChunks({ notices: { maxMessages: 100 } })
    chat.always('1', { messageId: 'm' })
    const task = await ann.spawn(() => LONG, undefined, { deliverTo: 'chat:1' })
    await task.wait()
    await settle()
    const count = chat.arrived.length
    expect(count).toBeGreaterThan(3)
    expect(parts()).toEqual(Array.from({ length: count }, (_, index) => index + 1))
    for (const { message } of chat.arrived) {
      expect(message.text.length).toBeLessThanOrEqual(LIMITS.maxChars)
      expect(message).toMatchObject({ parts: count, id: `${message.deliveryId}-${message.part}` })
    }
    const [delivery] = await ann.deliveries(task.taskId)
    expect(delivery?.messageIds).toHaveLength(count)
    expect(delivery?.log.filter(({ type }) => type === 'delivery.sent')).toHaveLength(count - 1)
  })

  test('goes on at the first one that the receiver does not have', async () => {
    const { ann, advance, chat, parts } = setupChunks()
    chat.script('1', 'ok', 'ok', later(), later())
    await ann.spawn(() => LONG, undefined, { deliverTo: 'chat:1' })
    await advance(60_000)
    expect(parts()).toEqual([1, 2, 3, 3, 3, 4, 5])
    expect(chat.arrived.map(({ message }) => message.part)).toEqual([1, 2, 3, 4, 5])
  })

  test('that is refused in the middle is sent from there when somebody asks for it again', async () => {
    const { ann, settle, chat, parts } = setupChunks()
    chat.script('1', 'ok', refused())
    await ann.spawn(() => LONG, undefined, { deliverTo: 'chat:1' })
    await settle()
    const [dead] = (await ann.deadDeliveries.list()).deliveries
    if (dead === undefined) throw new Error('nothing is dead')
    await ann.deadDeliveries.replay(dead)
    await settle()
    expect(parts()).toEqual([1, 2, 2, 3, 4, 5])
  })

  test('says what is left, and which task to ask, when it does not fit into all of them', async () => {
    const { ann, settle, chat } = setupChunks()
    const task = await ann.spawn(() => LONG, undefined, { deliverTo: 'chat:1' })
    await task.wait()
    await settle()
    expect(chat.arrived).toHaveLength(5)
    expect(chat.arrived[4]?.message.text).toContain(task.taskId)
    expect(chat.arrived[4]?.message.text).toMatch(/\d+ (more )?characters/)
  })
})

describe('a store that fails', () => {
  test('after a message was sent: nothing is sent until that is kept, and then the next one', async () => {
    let failures = 0
    const inner = memoryStore()
    const store = faultyStore(inner, (call) => {
      if (call.method !== 'putDelivery' || failures === 0) return undefined
      failures -= 1
      return failures % 2 === 0 ? 'failAfter' : 'failBefore'
    })
    const { ann, advance, parts } = setupChunks({ store })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    failures = 4
    work.call(0).resolve(LONG)
    await advance(0)
    expect(parts()).toEqual([1])
    await advance(60_000)
    expect(parts()).toEqual([1, 2, 3, 4, 5])
    expect((await ann.deliveries(task.taskId))[0]).toMatchObject({ state: 'delivered', sent: 4 })
  })
})

describe('a digest', () => {
  const setupDigest = () => {
    const chat = scriptedChannel(() => 0)
    const harness = setup({
      notices: { digestMs: 2_000 },
      delivery: { baseMs: 1_000, jitter: 'none' },
      channels: { chat: chat.channel },
    })
    const session = harness.tasks.session({ owner: 'ann', conversation: 'c-1', origin: 'chat:1' })
    return { ...harness, chat, session }
  }

  test('tells the results of one conversation that come within its time in one message', async () => {
    const { session, advance, chat, ann } = setupDigest()
    const handles = [
      await session.spawn(() => 'first', undefined),
      await session.spawn(() => 'second', undefined),
      await session.spawn(() => 'third', undefined),
    ]
    await advance(1_999)
    expect(chat.sent).toEqual([])
    await advance(1)
    expect(chat.arrived).toHaveLength(1)
    for (const word of ['first', 'second', 'third']) expect(chat.arrived[0]?.message.text).toContain(word)
    for (const { taskId } of handles) {
      expect(await ann.deliveries(taskId)).toMatchObject([{ state: 'delivered' }])
    }
  })

  test('is the same message with the same id when it has to be sent again', async () => {
    const { session, advance, chat, ann } = setupDigest()
    chat.script('1', later(), later())
    const handles = [await session.spawn(() => 'first', undefined), await session.spawn(() => 'second', undefined)]
    await advance(2_000)
    const late = await session.spawn(() => 'late', undefined)
    await advance(60_000)
    expect(chat.sent).toHaveLength(4)
    expect(new Set(chat.sent.slice(0, 3).map(({ message }) => JSON.stringify(message))).size).toBe(1)
    expect(chat.arrived).toHaveLength(2)
    expect(chat.arrived[1]?.message.text).toContain('late')
    for (const { taskId } of [...handles, late]) {
      expect(await ann.deliveries(taskId)).toMatchObject([{ state: 'delivered' }])
    }
  })

  test('holds results of one conversation alone, and of no other owner', async () => {
    const { session, tasks, advance, settle, chat } = setupDigest()
    const other = tasks.session({ owner: 'ann', conversation: 'c-2', origin: 'chat:1' })
    const bobs = tasks.session({ owner: 'bob', conversation: 'c-1', origin: 'chat:1' })
    for (const one of [session, other, bobs, session]) {
      await one.spawn(() => 'result', undefined)
      await settle()
    }
    await advance(60_000)
    expect(chat.arrived).toHaveLength(4)
  })

  test('that is refused leaves each result to itself', async () => {
    const { session, advance, settle, chat, ann } = setupDigest()
    chat.script('1', refused())
    const first = await session.spawn(() => 'first', undefined)
    await settle()
    const second = await session.spawn(() => 'second', undefined)
    await advance(60_000)
    expect((await ann.deliveries(first.taskId))[0]?.state).toBe('deadLettered')
    expect((await ann.deliveries(second.taskId))[0]?.state).toBe('delivered')
    expect(chat.arrived).toHaveLength(1)
  })
})

describe('the texts of a host', () => {
  const setupTexts = (end: () => string) => {
    const chat = scriptedChannel(() => 0)
    return { ...setup({ notices: { templates: { end } }, channels: { chat: chat.channel } }), chat }
  }

  test('stand in the place of the built-in ones', async () => {
    const { ann, settle, chat } = setupTexts(() => 'all done')
    await ann.spawn(() => 'value', undefined, { deliverTo: 'chat:1' })
    await settle()
    expect(chat.arrived.map(({ message }) => message.text)).toEqual(['all done'])
  })

  test('that throw are replaced by the built-in one, and the log says so', async () => {
    const { ann, settle, chat, logged } = setupTexts(() => {
      throw new Error('no text today')
    })
    await ann.spawn(() => 'value', undefined, { deliverTo: 'chat:1' })
    await settle()
    expect(chat.arrived[0]?.message.text).toContain('value')
    expect(logged).toMatchObject([{ level: 'error', fields: { target: 'chat:1' } }])
  })
})

test.each([
  [{ delivery: { maxAttempts: 0 } }, 'delivery.maxAttempts must be a positive whole number'],
  [{ delivery: { factor: 0.5 } }, 'delivery.factor must be a number from 1'],
  [{ delivery: { jitter: 'some' } }, 'delivery.jitter must be one of full, none'],
  [{ delivery: { sendMs: 300_001 } }, 'delivery.sendMs must be at most 300000'],
  [{ delivery: { maxMs: Infinity } }, 'delivery.maxMs must be a positive number of milliseconds'],
  [{ delivery: { tries: 3 } }, 'delivery has no option "tries"'],
  [{ notices: { maxMessages: 101 } }, 'notices.maxMessages must be a whole number from 1 to 100'],
  [{ notices: { start: 'yes' } }, 'notices.start must be a boolean'],
  [{ notices: { digestMs: -1 } }, 'notices.digestMs must be a non-negative number'],
  [{ notices: { templates: { end: 'text' } } }, 'notices.templates.end must be a function'],
])('%j is refused by name', (options, message) => {
  expect(() => setup(options as never)).toThrow(message)
})
