import { webhookChannel } from 'outlive/channels/webhook'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { SECRET } from '../support/channels-under-test.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { LEASE_MS, setupNodes } from '../support/nodes.ts'

const forever = (): Promise<never> => new Promise(() => undefined)

test('every end is told as what it is, signed, without a stack and without what the error holds besides', async () => {
  const receiver = await startHttpReceiver()
  const webhook = webhookChannel({
    endpoints: { hook: { url: `${receiver.url}/hook`, secret: SECRET } },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
  })
  const options = { channels: { webhook }, deliverTo: ['webhook:hook'] }
  const { start, advance, settle } = setupNodes()
  const a = await start(options)
  const b = await start(options)

  const good = await b.ann.spawn(async () => 'the value', undefined, { name: 'good' })
  const bad = await b.ann.spawn(
    async () => {
      throw Object.assign(new Error('no such page'), { token: 'canary-5729', cause: new Error('below') })
    },
    undefined,
    { name: 'bad' },
  )
  const stopped = await b.ann.spawn(forever, undefined, { name: 'stopped' })
  const lost = await a.ann.spawn(forever, undefined, { name: 'lost' })
  await settle()
  const cancelling = stopped.cancel({ note: 'not needed' })
  a.kill()
  await advance(4 * LEASE_MS)
  await cancelling

  const toldOf = (taskId: string): readonly string[] =>
    receiver.received.flatMap(({ body, headers }) => {
      const verified = new Webhook(SECRET).verify(
        body,
        Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      ) as { readonly type: string; readonly data: { readonly taskId: string; readonly text: string } }
      return verified.type === 'delivery.end' && verified.data.taskId === taskId ? [verified.data.text] : []
    })
  for (const [task, status, reason] of [
    [good, /completed/, 'the value'],
    [bad, /failed/, 'no such page'],
    [stopped, /cancelled/, 'not needed'],
    [lost, /failed/, ''],
  ] as const) {
    await expect.poll(() => toldOf(task.taskId)).toHaveLength(1)
    const [text = ''] = toldOf(task.taskId)
    expect(text).toMatch(status)
    expect(text).toContain(reason)
    expect(text).not.toMatch(/^\s+at /m)
    expect(text).not.toContain('canary')
    expect(text).not.toContain(import.meta.dirname)
  }
})

test('what a receiver did not take comes again with its id and its bytes, when the receiver said, and is delivered once', async () => {
  const receiver = await startHttpReceiver()
  receiver.answer('/hook', { status: 503, headers: { 'retry-after': '7' } })
  const webhook = webhookChannel({
    endpoints: { hook: { url: `${receiver.url}/hook`, secret: SECRET } },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
  })
  const { start, advance } = setupNodes()
  const { ann } = await start({ channels: { webhook }, deliverTo: ['webhook:hook'] })
  const task = await ann.spawn(async () => 'the value')
  const stateOf = async (): Promise<unknown> => {
    const [delivery] = await ann.deliveries(task.taskId)
    return [delivery?.state, delivery?.attempts]
  }
  await expect.poll(stateOf).toEqual(['pending', 1])
  receiver.answer('/hook')
  await advance(6_900)
  expect(receiver.received).toHaveLength(1)
  await advance(5_000)
  await expect.poll(stateOf).toEqual(['delivered', 2])
  const [first, again, ...more] = receiver.received
  expect(more).toEqual([])
  expect(again?.body).toBe(first?.body)
  expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
})

test('an endpoint that says it is gone gets nothing more', async () => {
  const receiver = await startHttpReceiver()
  receiver.answer('/hook', { status: 410 })
  const webhook = webhookChannel({
    endpoints: { hook: { url: `${receiver.url}/hook`, secret: SECRET } },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
  })
  const { start, advance } = setupNodes()
  const { ann } = await start({ channels: { webhook }, deliverTo: ['webhook:hook'] })
  const codeOf = async (taskId: string): Promise<unknown> => {
    const [delivery] = await ann.deliveries(taskId)
    return [delivery?.state, delivery?.failure?.code]
  }
  for (const _task of [1, 2]) {
    const { taskId } = await ann.spawn(async () => 'the value')
    await expect.poll(() => codeOf(taskId)).toEqual(['deadLettered', 'target_gone'])
  }
  await advance(600_000)
  expect(receiver.received).toHaveLength(1)
})
