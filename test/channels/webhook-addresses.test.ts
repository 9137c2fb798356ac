import { once } from 'node:events'
import { connect, createServer, Socket, type AddressInfo, type TcpNetConnectOpts } from 'node:net'
import { createSecureContext } from 'node:tls'
import { createTaskSupervisor } from 'outlive'
import { webhookChannel, type WebhookChannelOptions } from 'outlive/channels/webhook'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createAddressGuard } from '../../src/adapters/channels/webhook/address-guard.ts'
import { postGuarded } from '../../src/adapters/channels/webhook/guarded-request.ts'
import { SECRET } from '../support/channels-under-test.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { refusalOf, sendTo } from '../support/sends.ts'

// No test here dials an address that is not this machine's own: what is refused is refused before that.

const INNER = {
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12:3456::1'],
  'link-local': ['169.254.1.1', 'fe80::1', 'febf::1', 'fec0::1'],
  metadata: ['169.254.169.254', '100.100.100.200', 'fd00:ec2::254'],
  shared: ['100.64.0.1', '100.127.255.255'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1'],
  unspecified: ['0.0.0.0', '0.1.2.3', '::'],
  broadcast: ['255.255.255.255'],
  reserved: [
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '240.0.0.1',
    '100::1',
    '2001:db8::1',
    '3fff::1',
    '5f00::1',
    '2001:10::1',
    '4000::1',
    '8000::1',
  ],
  'IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:a00:1', '::ffff:8.8.8.8'],
  'IPv4-compatible': ['::7f00:1', '::127.0.0.1', '::a9fe:a9fe', '::8.8.8.8'],
  'IPv4-translated': ['::ffff:0:127.0.0.1'],
  NAT64: ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
  '6to4': ['2002:7f00:1::1', '2002:808:808::1'],
  Teredo: ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
} as const
const CASES = Object.entries(INNER).flatMap(([range, addresses]) =>
  addresses.map((address): readonly [string, string] => [range, address]),
)
const PUBLIC = ['8.8.8.8', '93.184.215.14', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1']
const NOT_PUBLIC = 'its address is not a public one'

const guard = createAddressGuard({ allow: new Set(), allowHttp: true, ports: new Set([80, 443]) })

function openChannel(options: Partial<WebhookChannelOptions> = {}): ReturnType<typeof webhookChannel> {
  return webhookChannel({ anyUrl: { secret: SECRET }, allowHttp: true, ...options })
}

function toUrl(address: string): string {
  return `http://${address.includes(':') ? `[${address}]` : address}/hook`
}

/** The request of a channel with its connections counted; none is made. */
function dialling(): { readonly dialled: TcpNetConnectOpts[]; readonly connect: typeof refuseToDial } {
  const dialled: TcpNetConnectOpts[] = []
  const refuseToDial = (options: TcpNetConnectOpts): never => {
    dialled.push(options)
    throw new Error('nothing is dialled here')
  }
  return { dialled, connect: refuseToDial }
}

describe('an address', () => {
  test.each(CASES)('%s address %s is refused when it is set, and again when it is sent to', async (_range, address) => {
    const channel = openChannel()
    expect(channel.refuse?.(toUrl(address))).toBe(NOT_PUBLIC)
    const refusal = await refusalOf(sendTo(channel, toUrl(address)))
    expect(refusal).toMatchObject({ kind: 'refused', message: `the endpoint is refused: ${NOT_PUBLIC}` })
    expect(() =>
      webhookChannel({ endpoints: { hook: { url: toUrl(address), secret: SECRET } }, allowHttp: true }),
    ).toThrow(NOT_PUBLIC)
  })

  test.each(CASES)('a name with %s address %s is refused before anything is dialled', async (_range, address) => {
    for (const addresses of [[address], ['93.184.215.14', address], [address, '2606:4700::1111']]) {
      const { dialled, connect } = dialling()
      const settings = { guard, resolve: () => addresses, connect, trust: createSecureContext(), maxAnswerBytes: 10 }
      const { signal } = new AbortController()
      const post = { url: new URL('https://hooks.test/'), headers: {}, body: '{}', signal }
      const refusal = await refusalOf(postGuarded(settings, post))
      expect(refusal.kind).toBe('refused')
      expect(refusal.message).not.toContain(address)
      expect(dialled).toEqual([])
    }
  })

  test.each(PUBLIC)('the public address %s is taken, and is what is dialled', async (address) => {
    expect(openChannel().refuse?.(toUrl(address))).toBeUndefined()
    const { dialled, connect } = dialling()
    const settings = { guard, resolve: () => [address], connect, trust: createSecureContext(), maxAnswerBytes: 10 }
    const post = { url: new URL('https://hooks.test/'), headers: {}, body: '{}', signal: new AbortController().signal }
    await expect(postGuarded(settings, post)).rejects.toThrow('nothing is dialled here')
    expect(dialled).toMatchObject([{ host: 'hooks.test', port: 443 }])
    const answers = await new Promise((resolve) => {
      dialled[0]?.lookup?.('hooks.test', { all: true }, (_error, found) => resolve(found))
    })
    expect(answers).toEqual([{ address, family: address.includes(':') ? 6 : 4 }])
  })
})

describe('however an address is written', () => {
  test.each([
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '017700000001',
    '127.1',
    '0177.0.0.1',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
    '１２７.0.0.1',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '[0000::0001]',
    'localhost',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
    '0',
  ])('%s is seen for what it is', async (host) => {
    const channel = openChannel()
    const url = `http://${host}/`
    expect(channel.refuse?.(url)).toBeTypeOf('string')
    expect((await refusalOf(sendTo(channel, url))).kind).toBe('refused')
  })

  test('an address with a zone is no URL, and no answer of a resolver that is used', () => {
    expect(openChannel().refuse?.('http://[fe80::1%25eth0]/')).toBeTypeOf('string')
    expect(guard.refuseAddress('hooks.test', '2606:4700::1111%eth0')).toBe(NOT_PUBLIC)
  })

  test.each(['', 'not an address', '999.1.1.1', '1.2.3', '0x7f000001', '08.08.08.08'])(
    'an answer of the resolver that is no address, %j, is refused',
    (answer) => {
      expect(guard.refuseAddress('hooks.test', answer)).toBe(NOT_PUBLIC)
    },
  )
})

test('the address that was reached is judged again, before a byte is sent', async () => {
  let bytes = 0
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => undefined)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const url of ['http://hooks.test/', 'https://hooks.test/']) {
    const settings = {
      guard,
      resolve: () => ['93.184.215.14'],
      // What was dialled turns out to be somewhere else: this machine, in truth.
      connect: () => connect({ host: '127.0.0.1', port }),
      trust: createSecureContext(),
      maxAnswerBytes: 10,
    }
    const { signal } = new AbortController()
    const refusal = await refusalOf(postGuarded(settings, { url: new URL(url), headers: {}, body: '{}', signal }))
    expect(refusal).toMatchObject({ kind: 'refused', message: `the endpoint is refused: ${NOT_PUBLIC}` })
  }
  await expect.poll(() => connections).toBe(2)
  expect(bytes).toBe(0)
})

test.each(['http://hooks.test:22/', 'https://u:p@hooks.test/', 'ftp://hooks.test/', 'http://localhost/'])(
  'a request to %s asks no resolver and dials nothing, whoever makes it',
  async (url) => {
    const { dialled, connect } = dialling()
    let asked = 0
    const settings = {
      guard,
      resolve: () => {
        asked += 1
        return ['93.184.215.14']
      },
      connect,
      trust: createSecureContext(),
      maxAnswerBytes: 10,
    }
    const { signal } = new AbortController()
    const refusal = await refusalOf(postGuarded(settings, { url: new URL(url), headers: {}, body: '{}', signal }))
    expect(refusal.kind).toBe('refused')
    expect({ asked, dialled }).toEqual({ asked: 0, dialled: [] })
  },
)

test('a connection that the other side has closed at once is no refusal', async () => {
  const { signal } = new AbortController()
  const settings = {
    guard,
    resolve: () => ['93.184.215.14'],
    connect: () => {
      // What a socket is whose peer is gone: connected, and with no address any more.
      const socket = new Socket()
      setImmediate(() => socket.emit('connect'))
      return socket
    },
    trust: createSecureContext(),
    maxAnswerBytes: 10,
  }
  const post = { url: new URL('http://hooks.test/'), headers: {}, body: '{}', signal }
  await expect(postGuarded(settings, post)).rejects.toThrow('the connection was closed')
})

test('a name that had a public address when it was set is judged by the one it has now', async () => {
  const receiver = await startHttpReceiver()
  let addresses = ['93.184.215.14']
  const channel = openChannel({ allowPorts: [receiver.port], resolve: async () => addresses })
  const url = `http://rebound.test:${receiver.port}/`
  expect(channel.refuse?.(url)).toBeUndefined()
  addresses = ['127.0.0.1']
  expect((await refusalOf(sendTo(channel, url))).kind).toBe('refused')
  expect(receiver.connections()).toBe(0)
})

test('a redirect to an inner address is not followed', async () => {
  const inner = await startHttpReceiver()
  const receiver = await startHttpReceiver()
  receiver.answer('/hook', { status: 307, headers: { location: `http://127.0.0.1:${inner.port}/latest/meta-data` } })
  const channel = openChannel({
    allow: ['hooks.test'],
    allowPorts: [receiver.port, inner.port],
    resolve: async () => ['127.0.0.1'],
  })
  expect((await refusalOf(sendTo(channel, `http://hooks.test:${receiver.port}/hook`))).kind).toBe('refused')
  expect(receiver.connections()).toBe(1)
  expect(inner.connections()).toBe(0)
})

describe('a URL', () => {
  test.each([
    'file:///etc/passwd',
    'ftp://example.com/',
    'gopher://example.com/',
    'data:text/plain,x',
    'javascript:alert(1)',
    'ws://example.com/',
    'unix:/var/run/docker.sock',
    'https://user@example.com/',
    'https://user:password@example.com/',
    'https://example.com:22/',
    'https://example.com:8443/',
    'https://example.com:0/',
    'https://example.com:99999/',
    'https://example.com/#part',
    'https://example.com/#',
    'https://',
    'https:///',
    '//example.com/',
    'example.com',
    'https://exa mple.com/',
    'https://example.com/\r\nx-evil: 1',
    'https://example.com/\u0000',
    'https://example.com/\u0085',
  ])('%j is refused at set time', async (url) => {
    const channel = openChannel()
    expect(channel.refuse?.(url)).toBeTypeOf('string')
    expect((await refusalOf(sendTo(channel, url))).kind).toBe('refused')
    expect(() => webhookChannel({ endpoints: { hook: { url, secret: SECRET } }, allowHttp: true })).toThrow(TypeError)
  })

  test.each([
    'https://example.com/hook?a=1&b=2',
    'https://example.com:443/',
    'http://example.com:80/',
    'https://bücher.example/',
  ])('%j is taken', (url) => {
    expect(openChannel().refuse?.(url)).toBeUndefined()
  })

  test('with http is refused unless the host allows it', () => {
    expect(openChannel({ allowHttp: false }).refuse?.('http://example.com/')).toBe('its scheme has to be https')
  })

  test('is no target where only endpoints are set up', async () => {
    const channel = webhookChannel({ endpoints: { hook: { url: 'https://example.com/', secret: SECRET } } })
    expect(channel.refuse?.('https://example.com/')).toBe('there is no endpoint of this name')
    expect((await refusalOf(sendTo(channel, 'https://example.com/'))).kind).toBe('refused')
    expect(channel.refuse?.('hook')).toBeUndefined()
  })

  test('that is refused cannot be set as the target of a task', async () => {
    const tasks = createTaskSupervisor({ channels: { webhook: openChannel() } })
    onTestFinished(async () => void (await tasks.shutdown()))
    const ann = tasks.session({ owner: 'ann' })
    const task = await ann.spawn(async () => 1, undefined)
    for (const url of ['http://169.254.169.254/latest', 'https://u:p@example.com/', 'file:///etc/passwd']) {
      await expect(task.redirect(`webhook:${url}`)).rejects.toMatchObject({ code: 'target_invalid' })
      await expect(ann.spawn(async () => 1, undefined, { deliverTo: `webhook:${url}` })).rejects.toMatchObject({
        code: 'target_invalid',
      })
    }
  })
})

describe('what the host allows', () => {
  test('is reached: an address, and a name with whatever address it has', async () => {
    const receiver = await startHttpReceiver()
    const options = { allowPorts: [receiver.port], resolve: async () => ['127.0.0.1'] }
    await sendTo(openChannel({ ...options, allow: ['127.0.0.1'] }), `http://127.0.0.1:${receiver.port}/by-address`)
    await sendTo(openChannel({ ...options, allow: ['127.0.0.1'] }), `http://any.test:${receiver.port}/by-answer`)
    await sendTo(openChannel({ ...options, allow: ['Hooks.TEST.'] }), `http://hooks.test:${receiver.port}/by-name`)
    expect(receiver.received.map(({ path }) => path)).toEqual(['/by-address', '/by-answer', '/by-name'])
  })

  test('opens nothing else', async () => {
    const channel = openChannel({ allow: ['127.0.0.1', '::1', 'hooks.test'], resolve: async () => ['127.0.0.2'] })
    for (const url of ['http://127.0.0.2/', 'http://[::ffff:127.0.0.1]/', 'http://a.hooks.test/', 'http://10.0.0.1/']) {
      expect((await refusalOf(sendTo(channel, url))).kind).toBe('refused')
    }
  })

  test.each(['', '10.0.0.0/8', 'http://hooks.test', 'hooks.test:80', 'a b', 'user@hooks.test', 7, undefined])(
    '%j is no host',
    (entry) => {
      expect(() => openChannel({ allow: [entry as string] })).toThrow('allow must name hosts and addresses only')
    },
  )
})
