import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'

/** A server that says back what it hears, with what it heard. */
async function setup(): Promise<{ proxy: FaultProxy; heard: () => string; dial: () => Promise<Client> }> {
  let heard = ''
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString()
      socket.write(bytes)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await startFaultProxy((server.address() as AddressInfo).port)
  const clients: Client[] = []
  onTestFinished(async () => {
    for (const { socket } of clients) socket.destroy()
    await proxy.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    proxy,
    heard: () => heard,
    async dial() {
      const client = createClient(connect(proxy.port, '127.0.0.1'))
      clients.push(client)
      await once(client.socket, 'connect')
      return client
    },
  }
}

/** Node ends the writing side before it resets, and which of the two is seen first is chance. */
const GONE = /^(ECONNRESET|closed)$/

interface Client {
  readonly socket: Socket
  received(): string
  /** Resolves with what ended the connection. */
  readonly ended: Promise<string>
}

function createClient(socket: Socket): Client {
  let received = ''
  let why = 'closed'
  socket.on('data', (bytes: Buffer) => (received += bytes.toString()))
  socket.on('error', (error: NodeJS.ErrnoException) => (why = error.code ?? why))
  return {
    socket,
    received: () => received,
    ended: new Promise((resolve) => socket.on('close', () => resolve(why))),
  }
}

test('what is said passes both ways', async () => {
  const { proxy, heard, dial } = await setup()
  const { socket, received } = await dial()
  socket.write('hello')
  await expect.poll(received).toBe('hello')
  expect(heard()).toBe('hello')
  expect([proxy.openConnections(), proxy.acceptedConnections()]).toEqual([1, 1])
})

test('a delay holds back each way, and the order stays', async () => {
  const { proxy, dial } = await setup()
  const { socket, received } = await dial()
  proxy.delay(60)
  const before = performance.now()
  socket.write('one ')
  socket.write('two')
  await expect.poll(received).toBe('one two')
  expect(performance.now() - before).toBeGreaterThan(115)
})

test('a black hole swallows everything, on old and new connections, and ends none', async () => {
  const { proxy, heard, dial } = await setup()
  const old = await dial()
  old.socket.write('before')
  await expect.poll(old.received).toBe('before')
  proxy.blackhole()
  const fresh = await dial()
  old.socket.write('lost')
  fresh.socket.write('lost')
  await new Promise((resolve) => setTimeout(resolve, 100))
  proxy.heal()
  old.socket.write('too late')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([old.received(), fresh.received(), heard()]).toEqual(['before', '', 'before'])
  expect([old.socket.destroyed, fresh.socket.destroyed]).toEqual([false, false])
  const next = await dial()
  next.socket.write('!')
  await expect.poll(next.received).toBe('!')
})

test('a connection is cut after a number of bytes in one direction', async () => {
  const { proxy, heard, dial } = await setup()
  const up = await dial()
  proxy.cutAfter(3, 'toServer')
  up.socket.write('abcdef')
  await expect(up.ended).resolves.toMatch(GONE)
  await expect.poll(heard).toBe('abc')
  const down = await dial()
  proxy.cutAfter(2, 'toClient')
  down.socket.write('xyz')
  await expect(down.ended).resolves.toMatch(GONE)
  expect(heard()).toBe('abcxyz')
  expect(down.received().length).toBeLessThanOrEqual(2)
})

test('the reply to the next thing said is dropped with its connection, and no other one', async () => {
  const { proxy, heard, dial } = await setup()
  const [first, second] = [await dial(), await dial()]
  proxy.dropNextReply()
  first.socket.write('done')
  await expect(first.ended).resolves.toMatch(GONE)
  expect([heard(), first.received()]).toEqual(['done', ''])
  second.socket.write('!')
  await expect.poll(second.received).toBe('!')
})

test('a proxy that refuses resets what is there and what comes, until it is healed', async () => {
  const { proxy, dial } = await setup()
  const old = await dial()
  old.socket.write('!')
  await expect.poll(old.received).toBe('!')
  proxy.refuse()
  await expect(old.ended).resolves.toMatch(GONE)
  const refused = createClient(connect(proxy.port, '127.0.0.1'))
  await expect(refused.ended).resolves.toMatch(GONE)
  proxy.heal()
  const next = await dial()
  next.socket.write('!')
  await expect.poll(next.received).toBe('!')
})
