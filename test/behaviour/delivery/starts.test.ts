import type { ChannelPresence, TaskContext, TaskSupervisorOptions } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { later, refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { setup } from '../../support/setup.ts'

const EVERY_MS = 4_000

/** A chat that shows typing, or a placeholder, and notes it. */
function setupChat(kind: ChannelPresence['kind'], options: Omit<TaskSupervisorOptions, 'clock' | 'channels'> = {}) {
  const shown: { to: string; at: number }[] = []
  const cleared: string[] = []
  let failsToShow = false
  let failsToClear = 0
  const presence: ChannelPresence =
    kind === 'typing'
      ? {
          kind,
          everyMs: EVERY_MS,
          show({ target }) {
            shown.push({ to: target.id, at: harness.clock.now() - startedAt })
            if (failsToShow) throw new Error('no typing here')
          },
        }
      : {
          kind,
          clear({ messageId }) {
            if (failsToClear > 0) {
              failsToClear -= 1
              throw new Error('not now')
            }
            cleared.push(messageId)
          },
        }
  const chat = scriptedChannel(() => harness.clock.now(), { presence })
  const plain = scriptedChannel()
  const harness = setup({ ...options, channels: { chat: chat.channel, plain: plain.channel } })
  const startedAt = harness.clock.now()
  if (kind === 'placeholder') chat.always('1', { messageId: 'm-1' })
  return {
    ...harness,
    chat,
    plain,
    shown,
    cleared,
    kinds: () => chat.arrived.map(({ message }) => message.kind),
    failToShow: () => void (failsToShow = true),
    failToClear: (times: number) => void (failsToClear = times),
  }
}

describe('a start notice', () => {
  test('is sent where people read along, once, before the end', async () => {
    const { ann, settle, kinds, plain } = setupChat('typing')
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: ['chat:1', 'plain:1'] })
    await settle()
    expect(kinds()).toEqual(['start'])
    work.call(0).resolve('done')
    await settle()
    expect(kinds()).toEqual(['start', 'end'])
    expect(plain.arrived.map(({ message }) => message.kind)).toEqual(['end'])
    expect((await ann.deliveries(task.taskId)).map(({ kind, state }) => `${kind} ${state}`).toSorted()).toEqual([
      'end delivered',
      'end delivered',
      'start delivered',
    ])
  })

  test('is sent everywhere or nowhere when the host says so', async () => {
    for (const start of [true, false]) {
      const { ann, settle, kinds, plain } = setupChat('typing', { notices: { start } })
      const work = controllableTool('work')
      await ann.spawn(work.tool, undefined, { deliverTo: ['chat:1', 'plain:1'] })
      await settle()
      expect(kinds()).toEqual(start ? ['start'] : [])
      expect(plain.arrived).toHaveLength(start ? 1 : 0)
      work.call(0).resolve('done')
      await settle()
    }
  })

  test('is not sent for a call that answers inline', async () => {
    const { tasks, settle, kinds, shown } = setupChat('typing')
    const session = tasks.session({ owner: 'ann', origin: 'chat:1' })
    expect(await session.run(() => 1, undefined)).toMatchObject({ kind: 'inline' })
    await settle()
    expect(kinds()).toEqual([])
    expect(shown).toEqual([])
  })

  test('is not sent before the code runs', async () => {
    const { ann, settle, kinds } = setupChat('typing', { limits: { maxRunning: 1 } })
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined)
    await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    expect(kinds()).toEqual([])
    work.call(0).resolve(1)
    await settle()
    expect(kinds()).toEqual(['start'])
    work.call(1).resolve(1)
    await settle()
  })

  test('is sent once, however often the task is tried', async () => {
    const { ann, advance, kinds } = setupChat('typing')
    let calls = 0
    const flaky = (): string => {
      calls += 1
      if (calls < 3) throw new Error('again')
      return 'done'
    }
    await ann.spawn(flaky, undefined, { deliverTo: 'chat:1', retry: { maxAttempts: 3, baseMs: 10, jitter: 'none' } })
    await advance(1_000)
    expect(calls).toBe(3)
    expect(kinds().filter((kind) => kind === 'end')).toHaveLength(1)
    expect(kinds().filter((kind) => kind === 'start').length).toBeLessThanOrEqual(1)
  })

  test('that fails does not hold up the end: it is withdrawn', async () => {
    const { ann, advance, chat, kinds } = setupChat('typing')
    chat.script('1', later(60_000))
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await advance(100)
    work.call(0).resolve('done')
    await advance(60_000)
    expect(kinds()).toEqual(['end'])
    expect((await ann.deliveries(task.taskId)).find(({ kind }) => kind === 'start')).toMatchObject({
      state: 'withdrawn',
    })
    expect(await ann.deadDeliveries.list()).toEqual({ deliveries: [] })
  })

  test('that is refused is no dead letter', async () => {
    const { ann, settle, chat } = setupChat('typing')
    chat.script('1', refused())
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    expect(await ann.deliveries(task.taskId)).toMatchObject([{ kind: 'start', state: 'withdrawn' }])
    expect(await ann.deadDeliveries.list()).toEqual({ deliveries: [] })
    work.call(0).resolve(1)
    await settle()
  })
})

describe('typing', () => {
  test('is shown again and again while the code runs, and stops with the task', async () => {
    const { ann, advance, settle, shown } = setupChat('typing')
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    await advance(10_000)
    expect(shown.map(({ at }) => at)).toEqual([0, 4_000, 8_000])
    work.call(0).resolve('done')
    await settle()
    await advance(60_000)
    expect(shown).toHaveLength(3)
  })

  test.each(['cancel', 'fail', 'time out', 'redirect', 'shutdown'] as const)(
    'stops when it has to: %s',
    async (how) => {
      const { ann, tasks, advance, settle, shown } = setupChat('typing')
      const work = controllableTool('work')
      const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1', timeoutMs: 10_000 })
      await settle()
      if (how === 'cancel') {
        const cancelling = task.cancel()
        work.call(0).reject(new Error('stopped'))
        await cancelling
      }
      if (how === 'fail') work.call(0).reject(new Error('no'))
      if (how === 'redirect') await task.redirect('plain:1')
      if (how === 'shutdown') void tasks.shutdown({ graceMs: 1 })
      await advance(30_000)
      const seen = shown.length
      await advance(60_000)
      expect(shown).toHaveLength(seen)
      expect(seen).toBeLessThanOrEqual(how === 'time out' ? 4 : 1)
    },
  )

  test('rests while the task waits for an answer', async () => {
    const { ann, advance, settle, shown } = setupChat('typing')
    const task = await ann.spawn(async (_input: undefined, ctx) => ctx.ask('go', 'Go on?'), undefined, {
      deliverTo: 'chat:1',
    })
    await settle()
    await advance(20_000)
    const before = shown.length
    expect(before).toBeLessThanOrEqual(1)
    await task.answer('go', 'yes')
    await settle()
    await advance(20_000)
    expect(shown.length - before).toBeLessThanOrEqual(1)
  })

  test('can be switched off', async () => {
    const { ann, advance, shown } = setupChat('typing', { notices: { typing: false } })
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await advance(20_000)
    expect(shown).toEqual([])
    work.call(0).resolve(1)
    await advance(0)
  })

  test('that fails is left alone after a few tries, and nothing else notices', async () => {
    const { ann, advance, shown, failToShow, kinds } = setupChat('typing')
    failToShow()
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await advance(60_000)
    expect(shown).toHaveLength(3)
    work.call(0).resolve(1)
    await advance(0)
    expect(kinds()).toEqual(['start', 'end'])
  })
})

describe('a placeholder', () => {
  test('is the start notice, and goes away with the end of the task', async () => {
    const { ann, settle, kinds, cleared } = setupChat('placeholder')
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    expect(kinds()).toEqual(['start'])
    expect(await ann.deliveries(task.taskId)).toMatchObject([{ kind: 'start', state: 'pending', messageIds: ['m-1'] }])
    work.call(0).resolve('done')
    await settle()
    expect(cleared).toEqual(['m-1'])
    expect(kinds()).toEqual(['start', 'end'])
    expect((await ann.deliveries(task.taskId)).map(({ state }) => state)).toEqual(['withdrawn', 'delivered'])
  })

  test('goes away when the result goes elsewhere', async () => {
    const { ann, settle, cleared } = setupChat('placeholder')
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    await task.redirect('plain:1')
    await settle()
    expect(cleared).toEqual(['m-1'])
    work.call(0).resolve(1)
    await settle()
  })

  test('that cannot be taken away is tried to be, and then left', async () => {
    const { ann, settle, cleared, failToClear } = setupChat('placeholder')
    for (const failures of [2, 3]) {
      failToClear(failures)
      const work = controllableTool('work')
      const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
      await settle()
      work.call(0).resolve(1)
      await settle()
      const states = (await ann.deliveries(task.taskId)).map(({ kind, state }) => `${kind} ${state}`).toSorted()
      expect(states).toEqual(['end delivered', 'start withdrawn'])
    }
    expect(cleared).toEqual(['m-1'])
  })
})

describe('a question of a task', () => {
  const asking = async (_input: undefined, ctx: TaskContext): Promise<unknown> =>
    ctx.ask('go', 'Shall I go on?', { answerWithinMs: 60_000 })

  test('reaches where people read along, once, with its key and its task', async () => {
    const { ann, settle, chat, kinds } = setupChat('typing')
    const task = await ann.spawn(asking, undefined, { deliverTo: ['chat:1', 'plain:1'], name: 'scout' })
    await settle()
    expect(kinds()).toEqual(['start', 'question'])
    const text = chat.arrived[1]?.message.text
    for (const part of ['scout', 'Shall I go on?', 'go', task.taskId]) expect(text).toContain(part)
    await task.answer('go', 'yes')
    await settle()
    expect(kinds()).toEqual(['start', 'question', 'end'])
    expect((await ann.deliveries(task.taskId)).filter(({ kind }) => kind === 'question')).toMatchObject([
      { state: 'delivered', question: 'go' },
    ])
  })

  test('that is answered before it was told is not told', async () => {
    const { ann, advance, chat, kinds } = setupChat('typing')
    chat.script('1', 'ok', later(10_000))
    const task = await ann.spawn(asking, undefined, { deliverTo: 'chat:1' })
    await advance(100)
    await task.answer('go', 'yes')
    await advance(20_000)
    expect(kinds()).toEqual(['start', 'end'])
    expect((await ann.deliveries(task.taskId)).find(({ kind }) => kind === 'question')).toMatchObject({
      state: 'withdrawn',
      log: { length: 3 },
    })
  })
})
