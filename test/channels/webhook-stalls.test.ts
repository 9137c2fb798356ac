import { once } from 'node:events'
import { createServer, Socket, type AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Channel } from 'outlive'
import { webhookChannel, type WebhookChannelOptions } from 'outlive/channels/webhook'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createAddressGuard } from '../../src/adapters/channels/webhook/address-guard.ts'
import { postGuarded } from '../../src/adapters/channels/webhook/guarded-request.ts'
import { SECRET } from '../support/channels-under-test.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { refusalOf, sendTo } from '../support/sends.ts'
import { startStopwatch } from '../support/stopwatch.ts'

const LIMIT_MS = 300
/** What a busy machine may add. */
const SLACK_MS = 2_000

interface Stall {
  readonly channel: (options: Partial<WebhookChannelOptions>) => Channel
  readonly openConnections: () => number
}

function channelTo(port: number, scheme: 'http' | 'https'): Stall['channel'] {
  return (options) =>
    webhookChannel({
      endpoints: { hook: { url: `${scheme}://hooks.test:${port}/hook`, secret: SECRET } },
      allow: ['127.0.0.1'],
      allowHttp: true,
      allowPorts: [port],
      resolve: async () => ['127.0.0.1'],
      ...options,
    })
}

const STALLS: Readonly<Record<string, () => Promise<Stall>>> = {
  'the resolver': async () => ({
    channel: (options) => channelTo(9, 'http')({ ...options, resolve: () => new Promise(() => undefined) }),
    openConnections: () => 0,
  }),
  'the handshake of TLS': async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
      // Read, and answered by nothing.
      socket.resume()
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    return { channel: channelTo((server.address() as AddressInfo).port, 'https'), openConnections: () => sockets.size }
  },
  'the head of the answer': async () => {
    const receiver = await startHttpReceiver()
    receiver.answer('/hook', 'no answer')
    return { channel: channelTo(receiver.port, 'http'), openConnections: receiver.openConnections }
  },
  'the body of the answer': async () => {
    const receiver = await startHttpReceiver()
    receiver.answer('/hook', 'no end')
    return { channel: channelTo(receiver.port, 'http'), openConnections: receiver.openConnections }
  },
}

describe.each(Object.entries(STALLS))('when %s stalls', (_name, begin) => {
  test('the attempt is over within its limit, and may be repeated', async () => {
    const { channel, openConnections } = await begin()
    const startedAt = performance.now()
    const ownMs = startStopwatch()
    const refusal = await refusalOf(sendTo(channel({ timeoutMs: LIMIT_MS }), 'hook'))
    const tookMs = performance.now() - startedAt
    const tookOwnMs = ownMs()
    expect(refusal).toMatchObject({ kind: 'retry', message: `no answer within ${LIMIT_MS} ms` })
    expect(tookMs).toBeGreaterThan(LIMIT_MS - 10)
    expect(tookOwnMs).toBeLessThan(LIMIT_MS + SLACK_MS)
    await expect.poll(openConnections).toBe(0)
  })

  test('the attempt ends when its signal aborts, with its reason', async () => {
    const { channel, openConnections } = await begin()
    const controller = new AbortController()
    const reason = new Error('the supervisor has stopped')
    const send = sendTo(channel({}), 'hook', {}, controller.signal)
    setTimeout(() => controller.abort(reason), 50)
    await expect(send).rejects.toBe(reason)
    await expect.poll(openConnections).toBe(0)
  })
})

test('when the connection itself stalls the attempt ends, and the socket with it', async () => {
  const guard = createAddressGuard({ allow: new Set(), allowHttp: true, ports: new Set([80]) })
  const dialled: Socket[] = []
  const controller = new AbortController()
  const settings = {
    guard,
    resolve: () => ['93.184.215.14'],
    connect: () => {
      // Never connected: nothing is dialled.
      const socket = new Socket()
      dialled.push(socket)
      return socket
    },
    trust: createSecureContext(),
    maxAnswerBytes: 10,
  }
  const post = { url: new URL('http://hooks.test/'), headers: {}, body: '{}', signal: controller.signal }
  const sent = postGuarded(settings, post)
  setTimeout(() => controller.abort(new Error('too long')), 50)
  await expect(sent).rejects.toThrow('too long')
  expect(dialled.map(({ destroyed }) => destroyed)).toEqual([true])
})

test('an attempt takes 15 s unless told otherwise, and 30 s at most', () => {
  const endpoints = { hook: { url: 'https://example.com/', secret: SECRET } }
  expect(() => webhookChannel({ endpoints, timeoutMs: 30_001 })).toThrow('timeoutMs must be at most 30000')
  expect(() => webhookChannel({ endpoints, timeoutMs: 0 })).toThrow(TypeError)
  expect(() => webhookChannel({ endpoints, timeoutMs: Infinity })).toThrow(TypeError)
  expect(() => webhookChannel({ endpoints, timeoutMs: 30_000 })).not.toThrow()
})

test('a signal that many sends share keeps no listener of theirs', async () => {
  const receiver = await startHttpReceiver()
  const channel = channelTo(receiver.port, 'http')({})
  const controller = new AbortController()
  // What was added and not removed. A listener that has fired is not counted: nothing fires here.
  let listeners = 0
  const { signal } = controller
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1
    remove(...args)
  }
  await Promise.all(Array.from({ length: 20 }, (_, index) => sendTo(channel, 'hook', { id: `m-${index}` }, signal)))
  expect(receiver.received).toHaveLength(20)
  expect(listeners).toBe(0)
})
