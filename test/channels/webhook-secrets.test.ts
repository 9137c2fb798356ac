import { inspect } from 'node:util'
import { createTaskSupervisor, memoryStore, type Channel } from 'outlive'
import { webhookChannel, type WebhookChannelOptions } from 'outlive/channels/webhook'
import { describe, expect, test } from 'vitest'
import { SECRET } from '../support/channels-under-test.ts'
import { startHttpReceiver, type HttpReceiver, type Script } from '../support/http-receiver.ts'
import { refusalOf, sendTo } from '../support/sends.ts'

/** In the secret, in the URL and in a header: none may be told. */
const CANARY = 'canary5729'
const CANARY_SECRET = `whsec_${Buffer.from(CANARY.repeat(4)).toString('base64')}`
const CANARIES = [CANARY, CANARY_SECRET.slice(6, 30)]

function expectNoCanary(told: string): void {
  for (const canary of CANARIES) expect(told).not.toContain(canary)
}

/** All that can be seen of a value: what is printed, what is written, and what is behind an error. */
function viewsOf(value: unknown): string {
  const views = [inspect(value, { depth: 6, showHidden: true }), JSON.stringify(value) ?? '']
  for (let at = value; at instanceof Error; at = at.cause) views.push(String(at), at.stack ?? '', JSON.stringify(at))
  return views.join('\n')
}

async function canaryChannel(): Promise<{ readonly receiver: HttpReceiver; readonly channel: Channel }> {
  const receiver = await startHttpReceiver()
  const channel = webhookChannel({
    endpoints: {
      hook: {
        url: `${receiver.url}/${CANARY}?token=${CANARY}`,
        secret: CANARY_SECRET,
        headers: { authorization: `Bearer ${CANARY}` },
      },
    },
    anyUrl: { secrets: [CANARY_SECRET] },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
    timeoutMs: 200,
  })
  return { receiver, channel }
}

const ANSWERS: readonly (readonly [string, Script | 'nobody'])[] = [
  ['503', { status: 503, headers: { 'retry-after': '1' }, body: CANARY }],
  ['400 that repeats what it got', { status: 400, body: `Bearer ${CANARY} ${CANARY_SECRET}` }],
  ['410', { status: 410 }],
  ['302', { status: 302, headers: { location: `http://127.0.0.1/${CANARY}` } }],
  ['silence', 'no answer'],
  ['a reset', 'reset'],
  ['nobody there', 'nobody'],
]

describe('secrets, URLs and headers', () => {
  test.each(ANSWERS)('are in no error after %s', async (_title, script) => {
    const { receiver, channel } = await canaryChannel()
    if (script === 'nobody') await receiver.close()
    else receiver.answer(`/${CANARY}?token=${CANARY}`, script)
    expectNoCanary(viewsOf(await refusalOf(sendTo(channel, 'hook'))))
  })

  test('are in no view of the channel', async () => {
    const { channel } = await canaryChannel()
    expect(viewsOf(channel)).toContain('send')
    expectNoCanary(viewsOf(channel))
  })

  test('are sent to the endpoint of theirs only', async () => {
    const { receiver, channel } = await canaryChannel()
    await sendTo(channel, `${receiver.url}/of-a-user`)
    expect(receiver.received).toHaveLength(1)
    expect(receiver.received[0]?.headers.authorization).toBeUndefined()
    expectNoCanary(JSON.stringify(receiver.received))
  })

  test.each<[string, (secret: string) => unknown]>([
    [
      'a secret that is none',
      (secret) => ({ endpoints: { hook: { url: 'https://example.com/', secret: `${secret}!` } } }),
    ],
    ['a secret of a known kind that is another', (secret) => ({ anyUrl: { secret: `whsk_${secret}` } })],
    ['a secret in the place of its options', (secret) => ({ anyUrl: secret })],
    ['secrets in the place of a list', (secret) => ({ anyUrl: { secrets: secret } })],
    ['a secret in the place of an endpoint', (secret) => ({ endpoints: { hook: secret } })],
    ['a secret in the place of endpoints', (secret) => ({ endpoints: secret })],
    [
      'a URL that cannot be used',
      (secret) => ({ endpoints: { hook: { url: `http://10.0.0.1/${secret}`, secret: SECRET } } }),
    ],
    ['a URL that is none', (secret) => ({ endpoints: { hook: { url: `${secret} ${secret}`, secret: SECRET } } })],
    [
      'credentials in a URL',
      (secret) => ({ endpoints: { hook: { url: `https://u:${secret}@example.com/`, secret: SECRET } } }),
    ],
    [
      'headers that are a text',
      (secret) => ({ endpoints: { hook: { url: 'https://example.com/', secret: SECRET, headers: secret } } }),
    ],
    [
      'a header of two lines',
      (secret) => ({
        endpoints: { hook: { url: 'https://example.com/', secret: SECRET, headers: { authorization: `${secret}\n` } } },
      }),
    ],
    ['certificates that are none', (secret) => ({ anyUrl: { secret: SECRET }, ca: secret })],
  ])('are not quoted when the options have %s', (_title, optionsWith) => {
    const make = (): Channel => webhookChannel(optionsWith(CANARY_SECRET) as WebhookChannelOptions)
    expect(make).toThrow(TypeError)
    try {
      make()
    } catch (error) {
      expectNoCanary(viewsOf(error))
    }
  })

  test('are in nothing that a supervisor tells, logs or keeps', async () => {
    const { receiver, channel } = await canaryChannel()
    receiver.answer(`/${CANARY}?token=${CANARY}`, { status: 400, body: CANARY })
    const said: unknown[] = []
    const log = (...line: unknown[]): void => void said.push(line)
    const store = memoryStore()
    const tasks = createTaskSupervisor({ store, channels: { webhook: channel }, logger: { warn: log, error: log } })
    const ann = tasks.session({ owner: 'ann' })
    const task = await ann.spawn(async () => 'the result', undefined, { deliverTo: 'webhook:hook' })
    await task.wait()
    await expect.poll(() => receiver.received.length).toBeGreaterThan(0)
    const failed = async (): Promise<unknown> => (await ann.deliveries(task.taskId))[0]?.state
    await expect.poll(failed).not.toBe('pending')
    const events: unknown[] = []
    for await (const event of task.events()) events.push(event)
    const told = [
      tasks,
      ann,
      await ann.list(),
      await ann.deliveries(task.taskId),
      await ann.stats(),
      await tasks.operator.stats(),
      await task.record(),
      await store.read(task.taskId),
      await store.readOutbox(task.taskId),
      await store.readFeed({ after: 0, limit: 100 }),
      events,
      said,
      await tasks.shutdown(),
    ]
    expect(told.map(viewsOf).join('\n')).toContain(task.taskId)
    expectNoCanary(told.map(viewsOf).join('\n'))
  })
})

describe('options', () => {
  const url = 'https://example.com/'

  test.each([
    ['x-a\r\nx-evil', '1'],
    ['x-a', '1\r\nx-evil: 2'],
    ['x-a', '1\n'],
    ['x-a', 'a\u0000b'],
    ['x-a', '漢'],
    ['x a', '1'],
    ['', '1'],
    ['é', '1'],
    ['Webhook-Id', 'mine'],
    ['webhook-signature', 'mine'],
    ['Host', 'inner.test'],
    ['Content-Length', '5'],
    ['transfer-encoding', 'chunked'],
    ['Connection', 'upgrade'],
    ['x-long', 'x'.repeat(4_097)],
  ])('a header %j: %j is refused', (name, value) => {
    expect(() => webhookChannel({ endpoints: { hook: { url, secret: SECRET, headers: { [name]: value } } } })).toThrow(
      /^endpoints\.hook\.headers/,
    )
  })

  test.each(['a\r\nb', 'a b', '', '-a', 'a.b', 'a:b', 'a/b', 'x'.repeat(65)])(
    'an endpoint cannot be called %j',
    (name) => {
      expect(() => webhookChannel({ endpoints: { [name]: { url, secret: SECRET } } })).toThrow('endpoints: a name is')
    },
  )

  test.each(['hook\r\n', 'hook\nx', ' hook', 'HOOK', 'hook:', '__proto__', 'constructor', 'toString'])(
    'the id %j names no endpoint',
    (id) => {
      const channel = webhookChannel({ endpoints: { hook: { url, secret: SECRET } }, anyUrl: { secret: SECRET } })
      expect(channel.refuse?.('hook')).toBeUndefined()
      expect(channel.refuse?.(id)).toBeTypeOf('string')
    },
  )

  test.each([
    'short',
    '',
    'whsec_',
    `whsec_${Buffer.alloc(23).toString('base64')}`,
    `whsec_${Buffer.alloc(65).toString('base64')}`,
    Buffer.alloc(25).toString('base64').replaceAll('=', ''),
    'whsec_not*base64*at*all*but*long*enough*',
    42,
    null,
  ])('the secret %j is refused', (secret) => {
    expect(() => webhookChannel({ anyUrl: { secret: secret as string } })).toThrow('anyUrl: a secret must be whsec_')
    expect(() => webhookChannel({ anyUrl: { secrets: [SECRET, secret as string] } })).toThrow(
      'anyUrl: a secret must be whsec_',
    )
  })

  test('name what is missing or unknown', () => {
    expect(() => webhookChannel({})).toThrow('webhookChannel needs endpoints, or anyUrl')
    expect(() => webhookChannel({ anyUrl: {} })).toThrow('anyUrl needs a secret, or secrets')
    expect(() => webhookChannel({ anyUrl: { secret: SECRET, secrets: [SECRET] } })).toThrow('anyUrl needs a secret')
    expect(() => webhookChannel({ anyUrl: { secrets: [] } })).toThrow('anyUrl.secrets must be a list of 1 to 8')
    expect(() => webhookChannel({ anyUrl: { secrets: Array.from({ length: 9 }, () => SECRET) } })).toThrow('1 to 8')
    const odd = { anyUrl: { secret: SECRET }, retries: 3 }
    expect(() => webhookChannel(odd)).toThrow('options has no option "retries"')
    expect(() => webhookChannel({ anyUrl: { secret: SECRET }, allowPorts: [70_000] })).toThrow('allowPorts')
    expect(() => webhookChannel({ anyUrl: { secret: SECRET }, maxAnswerBytes: -1 })).toThrow('maxAnswerBytes')
  })

  test('cannot be changed afterwards', async () => {
    const receiver = await startHttpReceiver()
    const hook = { url: `${receiver.url}/before`, secret: SECRET, headers: { 'x-a': 'before' } }
    const given = { endpoints: { hook }, allow: ['127.0.0.1'], allowHttp: true, allowPorts: [receiver.port] }
    const channel = webhookChannel(given)
    Object.assign(hook, { url: `${receiver.url}/after` })
    hook.headers['x-a'] = 'after'
    given.allow.length = 0
    await sendTo(channel, 'hook')
    expect(receiver.received).toMatchObject([{ path: '/before', headers: { 'x-a': 'before' } }])
  })
})

test('nothing that a task, a message or a receiver says changes a prototype', async () => {
  const receiver = await startHttpReceiver()
  receiver.answer('/hook', { status: 200, body: '{"__proto__":{"polluted":true}}' })
  const headers = JSON.parse('{"__proto__":"x"}') as Record<string, string>
  const channel = webhookChannel({
    endpoints: { hook: { url: `${receiver.url}/hook`, secret: SECRET, headers } },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
  })
  await sendTo(channel, 'hook', { text: '{"__proto__":{"polluted":true}}', taskId: '__proto__' })
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  expect(receiver.received).toHaveLength(1)
})
