import type { Channel, ChannelPresence } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { later, scriptedChannel, type ScriptedChannel } from '../../support/scripted-channel.ts'
import { LEASE_MS, setupNodes, type Nodes } from '../../support/nodes.ts'

const STEADY = { baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'none' } as const

/** A chat that shows placeholders, one for all processes; each of them notes what it did. */
function setupChat(nodes: Nodes, presence?: (name: string) => ChannelPresence) {
  const of = (name: string): ScriptedChannel =>
    scriptedChannel(() => nodes.clock.now(), presence === undefined ? {} : { presence: presence(name) })
  return { a: of('a'), b: of('b') }
}

describe('a delivery that waits for its next attempt', () => {
  test('goes on in another process where it stood, when its own is lost', async () => {
    const nodes = setupNodes()
    const chats = setupChat(nodes)
    const a = await nodes.start({ channels: { chat: chats.a.channel }, delivery: STEADY })
    const b = await nodes.start({ channels: { chat: chats.b.channel }, delivery: STEADY })
    chats.a.always('1', later(20_000))
    const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' })
    await nodes.settle()
    a.kill()
    await nodes.advance(3 * LEASE_MS)
    expect(chats.b.sent).toEqual([])
    await nodes.advance(20_000)
    expect(chats.b.arrived.map(({ message }) => message.id)).toEqual([chats.a.sent[0]?.message.id])
    expect(chats.b.arrived[0]?.message).toEqual(chats.a.sent[0]?.message)
    expect((await b.ann.deliveries(taskId))[0]).toMatchObject({ state: 'delivered', attempts: 2 })
  })

  test('is sent again by whoever is asked, and by nobody else', async () => {
    const nodes = setupNodes()
    const chats = setupChat(nodes)
    const options = { delivery: { ...STEADY, maxAttempts: 1 } }
    const a = await nodes.start({ channels: { chat: chats.a.channel }, ...options })
    const b = await nodes.start({ channels: { chat: chats.b.channel }, ...options })
    chats.a.always('1', later())
    const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' })
    await nodes.settle()
    const [dead] = (await b.ann.deadDeliveries.list()).deliveries
    if (dead === undefined) throw new Error('nothing is dead')
    const answers = await Promise.allSettled([b.ann.deadDeliveries.replay(dead), a.ann.deadDeliveries.replay(dead)])
    await nodes.settle()
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(chats.a.sent.length + chats.b.sent.length).toBe(2)
    expect((await a.ann.deliveries(taskId))[0]?.log.map(({ type }) => type)).toContain('delivery.replayed')
  })
})

test('what a process sends that was taken over meanwhile is not told as delivered twice', async () => {
  const nodes = setupNodes()
  const chats = setupChat(nodes)
  const a = await nodes.start({ channels: { chat: chats.a.channel } })
  const b = await nodes.start({ channels: { chat: chats.b.channel } })
  chats.a.script('1', 'hang')
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' })
  await nodes.settle()
  a.cut()
  await nodes.advance(3 * LEASE_MS)
  expect(chats.b.arrived).toHaveLength(1)
  a.mend()
  await nodes.advance(60_000)
  const [delivery] = await b.ann.deliveries(taskId)
  expect(delivery?.log.filter(({ type }) => type === 'delivery.delivered')).toHaveLength(1)
  expect(new Set([...chats.a.sent, ...chats.b.sent].map(({ message }) => message.id)).size).toBe(1)
})

test('what a process sends under a name that it has lost is sent by another one when it dies', async () => {
  const nodes = setupNodes()
  const chats = setupChat(nodes)
  const a = await nodes.start({ channels: { chat: chats.a.channel } })
  chats.a.script('1', 'hang')
  const { taskId } = await a.ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' })
  await nodes.settle()
  a.cut()
  await nodes.advance(2 * LEASE_MS)
  // Somebody who is gone by now has seen that its lease is over.
  await nodes.store.cluster?.sweep({ now: nodes.clock.now() })
  a.mend()
  // It goes by another name now, and has found the old one dead.
  await nodes.advance(6 * LEASE_MS)
  a.kill()
  const b = await nodes.start({ channels: { chat: chats.b.channel } })
  await nodes.advance(5 * LEASE_MS)
  expect(chats.a.sent).toHaveLength(1)
  expect(chats.b.arrived.map(({ message }) => message)).toEqual([chats.a.sent[0]?.message])
  expect(await b.ann.deliveries(taskId)).toMatchObject([{ state: 'delivered' }])
})

describe('a placeholder whose process is lost', () => {
  function setupPlaceholders() {
    const cleared: string[] = []
    const nodes = setupNodes()
    const chats = setupChat(nodes, (name) => ({
      kind: 'placeholder',
      clear: ({ messageId }) => void cleared.push(`${name} ${messageId}`),
    }))
    chats.a.always('1', { messageId: 'm-1' })
    chats.b.always('1', { messageId: 'm-2' })
    return { ...nodes, chats, cleared }
  }

  test('is taken away by the process that closes its task', async () => {
    const { start, advance, settle, chats, cleared } = setupPlaceholders()
    const work = controllableTool('work')
    const a = await start({ channels: { chat: chats.a.channel } })
    const b = await start({ channels: { chat: chats.b.channel } })
    const { taskId } = await a.ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    a.kill()
    await advance(3 * LEASE_MS)
    expect(cleared).toEqual(['b m-1'])
    expect(chats.b.arrived.map(({ message }) => message.kind)).toEqual(['end'])
    expect((await b.ann.deliveries(taskId)).map(({ state }) => state).toSorted()).toEqual(['delivered', 'withdrawn'])
  })

  test('stays for a task that runs again, which is not announced twice, and goes away with its end', async () => {
    const { start, advance, settle, chats, cleared } = setupPlaceholders()
    const work = controllableTool<undefined, string>('work', { policy: { recovery: 'rerun' } })
    const a = await start({ channels: { chat: chats.a.channel }, tools: [work.tool] })
    const b = await start({ channels: { chat: chats.b.channel }, tools: [work.tool] })
    await a.ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    a.kill()
    await advance(4 * LEASE_MS)
    expect(work.calls).toHaveLength(2)
    expect([chats.b.arrived, cleared]).toEqual([[], []])
    work.call(1).resolve('done')
    await settle()
    expect(cleared).toEqual(['b m-1'])
    expect(chats.b.arrived.map(({ message }) => message.kind)).toEqual(['end'])
    expect(b.logged.filter(({ level }) => level === 'error')).toEqual([])
  })
})

test('a redirect of what has ended is sent by the process that was asked', async () => {
  const nodes = setupNodes()
  const chats = setupChat(nodes)
  const of = (channel: Channel) => ({ channels: { chat: channel } })
  const a = await nodes.start(of(chats.a.channel))
  const b = await nodes.start(of(chats.b.channel))
  const task = await a.ann.spawn(() => 1, undefined)
  await task.wait()
  await b.ann.redirect(task.taskId, 'chat:1')
  await a.ann.redirect(task.taskId, 'chat:1')
  await nodes.settle()
  expect([chats.a.arrived.length, chats.b.arrived.length]).toEqual([0, 1])
})
