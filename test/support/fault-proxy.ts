/**
 * Stands between a client and a server on this machine and breaks what passes.
 *
 * A fault is set for all connections, those that are open and those that come, until `heal` is called; the two that speak of
 * one reply or of a number of bytes are over when that has passed.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export type Direction = 'toServer' | 'toClient'

export interface FaultProxy {
  readonly port: number
  /** Holds back what passes, each way, by this long. */
  delay(ms: number): void
  /** Takes everything and gives nothing on, without ending a connection. New ones are accepted, and as dead. */
  blackhole(): void
  /** Resets the connection on which this many bytes have gone in that direction from now on. */
  cutAfter(bytes: number, direction: Direction): void
  /** The next thing that a client says reaches the server; instead of the reply the client gets a reset. */
  dropNextReply(): void
  /** Resets what is open, and what comes. */
  refuse(): void
  /** Resets what is open. */
  reset(): void
  /** From here on everything passes again; what a black hole has swallowed does not come back. */
  heal(): void
  openConnections(): number
  /** How many connections there have been. */
  acceptedConnections(): number
  close(): Promise<void>
}

type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'blackhole' }
  | { readonly kind: 'refuse' }
  | { readonly kind: 'cut'; left: number; readonly direction: Direction }
  | { readonly kind: 'dropReply'; on: Link | undefined }

interface Link {
  readonly client: Socket
  readonly server: Socket
  /** It has swallowed something, so that the rest makes no sense any more. */
  isDead: boolean
  readonly timers: Set<NodeJS.Timeout>
}

export async function startFaultProxy(serverPort: number): Promise<FaultProxy> {
  const links = new Set<Link>()
  let fault: Fault = { kind: 'none' }
  let accepted = 0

  const drop = (link: Link): void => {
    links.delete(link)
    for (const timer of link.timers) clearTimeout(timer)
    link.client.resetAndDestroy()
    link.server.resetAndDestroy()
  }

  const give = (link: Link, direction: Direction, bytes: Buffer): void => {
    const to = direction === 'toServer' ? link.server : link.client
    if (!to.destroyed) to.write(bytes)
  }

  const later = (link: Link, ms: number, pass: () => void): void => {
    const timer = setTimeout(() => {
      link.timers.delete(timer)
      pass()
    }, ms)
    link.timers.add(timer)
  }

  const pass = (link: Link, direction: Direction, bytes: Buffer): void => {
    if (link.isDead) return
    switch (fault.kind) {
      case 'none':
        return give(link, direction, bytes)
      case 'delay':
        return later(link, fault.ms, () => give(link, direction, bytes))
      case 'blackhole':
        link.isDead = true
        return
      case 'refuse':
        return drop(link)
      case 'cut': {
        if (direction !== fault.direction) return give(link, direction, bytes)
        const passing = bytes.subarray(0, fault.left)
        fault.left -= passing.length
        give(link, direction, passing)
        if (fault.left > 0) return
        fault = { kind: 'none' }
        // What was given still leaves before the reset.
        return void setImmediate(() => drop(link))
      }
      case 'dropReply':
        if (direction === 'toServer') {
          fault.on ??= link
          return give(link, direction, bytes)
        }
        if (fault.on !== link) return give(link, direction, bytes)
        fault = { kind: 'none' }
        return drop(link)
    }
  }

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    accepted += 1
    if (fault.kind === 'refuse') return void client.resetAndDestroy()
    const server = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true })
    const link: Link = { client, server, isDead: fault.kind === 'blackhole', timers: new Set() }
    links.add(link)
    const ends: readonly [Socket, Socket, Direction][] = [
      [client, server, 'toServer'],
      [server, client, 'toClient'],
    ]
    for (const [from, to, direction] of ends) {
      from.setNoDelay(true)
      from.on('data', (bytes: Buffer) => pass(link, direction, bytes))
      // A goodbye is not heard through a black hole either.
      from.on('end', () => link.isDead || fault.kind === 'blackhole' || to.end())
      from.on('error', () => link.isDead || drop(link))
      from.on('close', () => {
        if (client.destroyed && server.destroyed) links.delete(link)
        else if (!link.isDead) to.destroy()
      })
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')

  const resetAll = (): void => {
    for (const link of links) drop(link)
  }

  return {
    port: (listener.address() as AddressInfo).port,
    delay: (ms) => void (fault = { kind: 'delay', ms }),
    blackhole: () => void (fault = { kind: 'blackhole' }),
    cutAfter: (bytes, direction) => void (fault = { kind: 'cut', left: bytes, direction }),
    dropNextReply: () => void (fault = { kind: 'dropReply', on: undefined }),
    refuse() {
      fault = { kind: 'refuse' }
      resetAll()
    },
    reset: resetAll,
    heal: () => void (fault = { kind: 'none' }),
    openConnections: () => links.size,
    acceptedConnections: () => accepted,
    async close() {
      resetAll()
      listener.close()
      await once(listener, 'close')
    },
  }
}
