/**
 * One POST that cannot be aimed inward.
 *
 * 1. Every address is judged before it is dialled: one that is written out, and each that the resolver gives. One that is
 *    not public refuses all of them.
 * 2. The connection goes to those addresses and no others, and the one it has reached is judged again before a byte is sent.
 * 3. Nothing is followed, no connection is used twice, and no proxy is asked.
 * 4. Of the answer the status counts. Its body has to end, or pass the byte limit, where the status says that the message
 *    was taken; it is thrown away.
 * 5. When the signal aborts, all of it ends at once, in whatever step it is.
 */
import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import { connect as netConnect, isIP, type LookupFunction, type Socket, type TcpNetConnectOpts } from 'node:net'
import { connect as tlsConnect, type SecureContext } from 'node:tls'
import { onAbort } from '../../../abort-listeners.ts'
import { ChannelError } from '../../../channel-error.ts'
import type { Awaitable } from '../../../ports/awaitable.ts'
import { hostOf, portOf, type AddressGuard } from './address-guard.ts'
import type { Answer } from './webhook-answer.ts'

const MAX_HEADER_BYTES = 16_384

/** What all requests of a channel share. */
export interface RequestSettings {
  readonly guard: AddressGuard
  /** The addresses of a host. */
  readonly resolve: (host: string) => Awaitable<readonly string[]>
  readonly connect?: (options: TcpNetConnectOpts) => Socket
  /** What is trusted: made once, as that is most of the work of a connection. */
  readonly trust: SecureContext
  readonly maxAnswerBytes: number
}

export interface GuardedPost {
  readonly url: URL
  readonly headers: OutgoingHttpHeaders
  readonly body: string
  readonly signal: AbortSignal
}

/** @throws `ChannelError` when the address is refused, the reason of the signal, or whatever the network says. */
export async function postGuarded(settings: RequestSettings, post: GuardedPost): Promise<Answer> {
  const { url, signal } = post
  signal.throwIfAborted()
  const refuse = (reason: string | undefined): void => {
    if (reason !== undefined) throw new ChannelError('refused', `the endpoint is refused: ${reason}`)
  }
  refuse(settings.guard.refuseUrl(url))
  const host = hostOf(url)
  const addresses = isIP(host) === 0 ? await untilAborted(signal, settings.resolve(host)) : [host]
  if (addresses.length === 0) throw new ChannelError('retry', 'the host of the endpoint has no address')
  for (const address of addresses) refuse(settings.guard.refuseAddress(host, address))
  const socket = openSocket(settings, { host, port: portOf(url), addresses })
  // Whoever waits for the socket hears of it; without a listener it would end the process.
  socket.on('error', () => undefined)
  const stopListening = onAbort(signal, (reason) => socket.destroy(reason instanceof Error ? reason : undefined))
  try {
    await reached(socket, 'connect')
    // It has none any more when the other side has closed it meanwhile.
    if (socket.remoteAddress === undefined) throw new Error('the connection was closed')
    refuse(settings.guard.refuseAddress(host, socket.remoteAddress))
    const stream = url.protocol === 'https:' ? await encrypted(socket, host, settings.trust) : socket
    return await exchange(stream, post, settings.maxAnswerBytes)
  } finally {
    stopListening()
    socket.destroy()
  }
}

function openSocket(
  { connect = netConnect }: RequestSettings,
  { host, port, addresses }: { readonly host: string; readonly port: number; readonly addresses: readonly string[] },
): Socket {
  const answers = addresses.map((address) => ({ address, family: isIP(address) }))
  const [first] = answers
  const lookup: LookupFunction = (_host, options, callback) => {
    if (options.all === true) callback(null, answers)
    else callback(null, first?.address ?? '', first?.family)
  }
  return connect({ host, port, lookup, autoSelectFamily: true, noDelay: true })
}

async function encrypted(socket: Socket, host: string, trust: SecureContext): Promise<Socket> {
  const stream = tlsConnect({
    socket,
    host,
    // A name only: the extension has no place for addresses.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    secureContext: trust,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
  })
  // As for the socket below it.
  stream.on('error', () => undefined)
  await reached(stream, 'secureConnect')
  return stream
}

function reached(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
  })
}

function exchange(stream: Socket, { url, headers, body }: GuardedPost, maxAnswerBytes: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => stream,
      method: 'POST',
      path: `${url.pathname}${url.search}`,
      setHost: false,
      headers: { ...headers, host: url.host, connection: 'close', 'content-length': Buffer.byteLength(body) },
      maxHeaderSize: MAX_HEADER_BYTES,
      insecureHTTPParser: false,
    })
    request.once('error', reject)
    request.once('close', () => reject(new Error('the connection was closed')))
    request.once('response', (response) => {
      const { statusCode: status = 0, headers: answered } = response
      const answer = { status, retryAfter: answered['retry-after'] }
      if (status < 200 || status >= 300) return resolve(answer)
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) resolve(answer)
      })
      response.once('end', () => resolve(answer))
      response.once('error', reject)
    })
    request.end(body)
  })
}

/** What is asked, or the reason of the signal, whichever comes first. */
async function untilAborted<Value>(signal: AbortSignal, asked: Awaitable<Value>): Promise<Value> {
  let stopListening = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stopListening = onAbort(signal, reject)
  })
  try {
    return await Promise.race([asked, aborted])
  } finally {
    stopListening()
  }
}
