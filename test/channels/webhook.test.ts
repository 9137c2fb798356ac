import { request as httpRequest } from 'node:http'
import { Webhook } from 'standardwebhooks'
import type { Channel } from 'outlive'
import { webhookChannel, type WebhookChannelOptions, type WebhookEndpoint } from 'outlive/channels/webhook'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SECRET } from '../support/channels-under-test.ts'
import { startHttpReceiver, type HttpReceiver, type Received } from '../support/http-receiver.ts'
import { selfSigned } from '../support/self-signed.ts'
import { refusalOf, sendTo } from '../support/sends.ts'
import { startStopwatch } from '../support/stopwatch.ts'

const OLD_SECRET = `whsec_${Buffer.alloc(24, 'o').toString('base64')}`

interface Setup {
  readonly receiver: HttpReceiver
  readonly channel: Channel
}

/** A channel with the endpoints `hook` and `other` at a receiver on this machine. */
async function setup(
  endpoint: Partial<WebhookEndpoint> = {},
  options: Partial<WebhookChannelOptions> = {},
): Promise<Setup> {
  const receiver = await startHttpReceiver()
  const secrets = endpoint.secrets === undefined ? { secret: SECRET } : {}
  const channel = webhookChannel({
    endpoints: {
      hook: { url: `${receiver.url}/hook?a=%20b`, ...secrets, ...endpoint },
      other: { url: `${receiver.url}/other`, secret: SECRET },
    },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [receiver.port],
    ...options,
  })
  return { receiver, channel }
}

const HOOK = '/hook?a=%20b'

function only(receiver: HttpReceiver): Received {
  expect(receiver.received).toHaveLength(1)
  return receiver.received[0] as Received
}

/** Headers as the public library takes them. */
function textOf(headers: Received['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

describe('a message', () => {
  test('is posted as JSON with all that the receiver has to know of it', async () => {
    const { receiver, channel } = await setup({ headers: { Authorization: 'Bearer abc', 'x-from': 'us' } })
    await expect(sendTo(channel, 'hook', { part: 2, parts: 3, text: 'é \u0000 \ud800 "q"' })).resolves.toBeUndefined()
    const { path, method, headers, body } = only(receiver)
    expect({ path, method }).toEqual({ path: HOOK, method: 'POST' })
    expect(JSON.parse(body)).toEqual({
      type: 'delivery.end',
      timestamp: '2030-01-01T00:00:00.000Z',
      data: { deliveryId: 'delivery-1', taskId: 'task-1', kind: 'end', part: 2, parts: 3, text: 'é \u0000 \ud800 "q"' },
    })
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      host: `127.0.0.1:${receiver.port}`,
      'webhook-id': 'msg-1',
      authorization: 'Bearer abc',
      'x-from': 'us',
      'user-agent': 'outlive',
    })
  })

  test('that is sent again has the same id and the same bytes, and a timestamp and a signature of its own', async () => {
    const { receiver, channel } = await setup()
    vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_500 })
    onTestFinished(() => void vi.useRealTimers())
    await sendTo(channel, 'hook')
    vi.setSystemTime(1_700_000_009_000)
    await sendTo(channel, 'hook')
    const [first, again] = receiver.received
    expect(again?.body).toBe(first?.body)
    expect([first, again].map((sent) => sent?.headers['webhook-id'])).toEqual(['msg-1', 'msg-1'])
    expect([first, again].map((sent) => sent?.headers['webhook-timestamp'])).toEqual(['1700000000', '1700000009'])
    expect(again?.headers['webhook-signature']).not.toBe(first?.headers['webhook-signature'])
  })

  test('whose id cannot be a header is refused, and nothing is sent', async () => {
    const { receiver, channel } = await setup()
    for (const id of ['a\r\nx-evil: 1', 'a b', '', 'é', 'x'.repeat(257)]) {
      expect((await refusalOf(sendTo(channel, 'hook', { id }))).kind).toBe('refused')
    }
    expect(receiver.connections()).toBe(0)
  })

  test('uses a connection of its own, and none is left', async () => {
    const { receiver, channel } = await setup()
    for (const id of ['a', 'b', 'c']) await sendTo(channel, 'hook', { id })
    expect(receiver.connections()).toBe(3)
    await expect.poll(() => receiver.openConnections()).toBe(0)
  })
})

describe('the signature', () => {
  test('is one that the public library verifies, byte for byte', async () => {
    const { receiver, channel } = await setup()
    await sendTo(channel, 'hook', { text: 'é 🙂 \ud800 \u2028 {"a":1}' })
    const { body, headers } = only(receiver)
    const verifier = new Webhook(SECRET)
    expect(verifier.verify(body, textOf(headers))).toEqual(JSON.parse(body))
    expect(() => verifier.verify(body.replace('é', 'e'), textOf(headers))).toThrow('No matching')
    expect(() => verifier.verify(body, { ...textOf(headers), 'webhook-id': 'msg-2' })).toThrow('No matching')
    expect(() => new Webhook(OLD_SECRET).verify(body, textOf(headers))).toThrow('No matching')
  })

  test('is made with each secret while they change, so that a receiver needs one of them', async () => {
    const { receiver, channel } = await setup({ secrets: [SECRET, OLD_SECRET] })
    await sendTo(channel, 'hook')
    const { body, headers } = only(receiver)
    expect(String(headers['webhook-signature']).split(' ')).toHaveLength(2)
    for (const secret of [SECRET, OLD_SECRET]) {
      expect(new Webhook(secret).verify(body, textOf(headers))).toEqual(JSON.parse(body))
    }
  })

  test('of a message from ten minutes ago is refused by the verifier', async () => {
    const { receiver, channel } = await setup()
    const now = Date.now()
    vi.useFakeTimers({ toFake: ['Date'], now: now - 600_000 })
    await sendTo(channel, 'hook')
    vi.useRealTimers()
    const { body, headers } = only(receiver)
    expect(() => new Webhook(SECRET).verify(body, textOf(headers))).toThrow('too old')
  })
})

describe('an answer', () => {
  test.each([200, 201, 202, 204, 299])('%i says that the message was taken', async (status) => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status })
    await expect(sendTo(channel, 'hook')).resolves.toBeUndefined()
  })

  test.each([400, 401, 403, 404, 405, 409, 413, 422, 451])('%i is a refusal', async (status) => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status, headers: { 'retry-after': '5' } })
    const refusal = await refusalOf(sendTo(channel, 'hook'))
    expect(refusal).toMatchObject({ kind: 'refused', status, message: `the endpoint answered ${status}` })
    expect(refusal.retryAfterMs).toBeUndefined()
  })

  test('410 says that the endpoint is gone', async () => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status: 410 })
    expect(await refusalOf(sendTo(channel, 'hook'))).toMatchObject({ kind: 'gone', status: 410 })
  })

  test.each([408, 425, 429, 500, 501, 502, 503, 504, 599])('%i may be tried again', async (status) => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status })
    const refusal = await refusalOf(sendTo(channel, 'hook'))
    expect(refusal).toMatchObject({ kind: 'retry', status })
    expect(refusal.retryAfterMs).toBeUndefined()
  })

  test.each([
    [429, '7', 7_000],
    [503, ' 0 ', 0],
    [503, '999999999999', 86_400_000],
    [429, 'soon', undefined],
    [429, '-5', undefined],
    [429, '1.5', undefined],
    [429, '0x10', undefined],
    [503, '2030-01-01', undefined],
    [429, 'Wed, 21 Oct 2015 07:28:00 GMT', 0],
    [503, 'Fri, 31 Dec 9999 23:59:59 GMT', 86_400_000],
  ])('%i with Retry-After %j says to wait %s ms', async (status, text, retryAfterMs) => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status, headers: { 'retry-after': text } })
    expect((await refusalOf(sendTo(channel, 'hook'))).retryAfterMs).toBe(retryAfterMs)
  })

  test('with Retry-After as a date says how long that is from now', async () => {
    const { receiver, channel } = await setup()
    const at = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 60_000)
    receiver.answer(HOOK, { status: 429, headers: { 'retry-after': at.toUTCString() } })
    const { retryAfterMs = 0 } = await refusalOf(sendTo(channel, 'hook'))
    expect(retryAfterMs).toBeGreaterThan(50_000)
    expect(retryAfterMs).toBeLessThanOrEqual(61_000)
  })

  test('of one endpoint says nothing about another one', async () => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, { status: 429, headers: { 'retry-after': '3600' } })
    await refusalOf(sendTo(channel, 'hook'))
    await expect(sendTo(channel, 'other')).resolves.toBeUndefined()
  })

  test.each([301, 302, 303, 304, 307, 308])('%i is not followed', async (status) => {
    const { receiver, channel } = await setup()
    const elsewhere = await startHttpReceiver()
    receiver.answer(HOOK, { status, headers: { location: `${elsewhere.url}/metadata` } })
    const refusal = await refusalOf(sendTo(channel, 'hook'))
    expect(refusal).toMatchObject({ kind: 'refused', status })
    expect(refusal.message).toContain('redirects are not followed')
    expect(elsewhere.connections()).toBe(0)
    expect(receiver.connections()).toBe(1)
  })

  test('is read up to the limit only, and one without an end is taken there', async () => {
    const { receiver, channel } = await setup({}, { maxAnswerBytes: 100_000, timeoutMs: 10_000 })
    receiver.answer(HOOK, 'flood')
    const tookMs = startStopwatch()
    await expect(sendTo(channel, 'hook')).resolves.toBeUndefined()
    expect(tookMs()).toBeLessThan(5_000)
    await expect.poll(() => receiver.openConnections()).toBe(0)
  })

  test('that breaks off after the message was sent may be tried again, with its id and its bytes', async () => {
    const { receiver, channel } = await setup()
    receiver.answer(HOOK, 'reset')
    vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
    onTestFinished(() => void vi.useRealTimers())
    const refusal = await refusalOf(sendTo(channel, 'hook'))
    expect(refusal).toMatchObject({ kind: 'retry', message: 'the request failed (ECONNRESET)' })
    receiver.answer(HOOK)
    vi.setSystemTime(1_700_000_005_000)
    await sendTo(channel, 'hook')
    const [first, again] = receiver.received
    expect(again?.body).toBe(first?.body)
    expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect([first, again].map((sent) => sent?.headers['webhook-timestamp'])).toEqual(['1700000000', '1700000005'])
  })

  test('of nobody, as nothing listens there, may be tried again', async () => {
    const { receiver, channel } = await setup()
    await receiver.close()
    const refusal = await refusalOf(sendTo(channel, 'hook'))
    expect(refusal).toMatchObject({ kind: 'retry', message: 'the request failed (ECONNREFUSED)' })
  })
})

describe('over TLS', () => {
  const certificate = selfSigned(['hooks.test'])
  const channelTo = (receiver: HttpReceiver, host: string, ca?: string): Channel =>
    webhookChannel({
      endpoints: { hook: { url: `https://${host}:${receiver.port}/hook`, secret: SECRET } },
      allow: ['127.0.0.1'],
      allowPorts: [receiver.port],
      resolve: async () => ['127.0.0.1'],
      ...(ca === undefined ? {} : { ca }),
    })

  test.each(['hooks.test', '127.0.0.1'])('a receiver whose certificate is for %s is reached', async (host) => {
    const receiver = await startHttpReceiver(certificate)
    await sendTo(channelTo(receiver, host, certificate.cert), 'hook')
    const { body, headers, serverName } = only(receiver)
    expect(serverName).toBe(host === 'hooks.test' ? host : undefined)
    expect(headers.host).toBe(`${host}:${receiver.port}`)
    expect(new Webhook(SECRET).verify(body, textOf(headers))).toEqual(JSON.parse(body))
  })

  test.each([
    ['that nobody vouches for', 'hooks.test', undefined, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['of another host', 'others.test', certificate.cert, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('a certificate %s gets nothing', async (_title, host, ca, code) => {
    const receiver = await startHttpReceiver(certificate)
    const refusal = await refusalOf(sendTo(channelTo(receiver, host, ca), 'hook'))
    expect(refusal).toMatchObject({ kind: 'retry', message: `the request failed (${code})` })
    expect(receiver.received).toEqual([])
  })
})

test('the receiver of these tests speaks HTTP to anybody', async () => {
  const receiver = await startHttpReceiver()
  const status = await new Promise((resolve, reject) => {
    httpRequest(`${receiver.url}/x`, { method: 'POST' }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end('body')
  })
  expect(status).toBe(204)
  expect(only(receiver).body).toBe('body')
})
