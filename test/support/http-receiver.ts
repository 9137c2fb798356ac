/** A real HTTP server on this machine that takes what is posted, answers as it is told, and closes with its test. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { SelfSigned } from './self-signed.ts'

/** What a receiver does with what comes to a path. */
export type Script =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Buffer }
  /** It reads everything and never answers. */
  | 'no answer'
  /** It answers 200 and the first bytes of a body, and no more. */
  | 'no end'
  /** It reads everything and resets the connection. */
  | 'reset'
  /** It answers 200 and a body without end, as fast as it is read. */
  | 'flood'

export interface Received {
  readonly path: string
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The name that TLS was asked for. */
  readonly serverName?: string
}

export interface HttpReceiver {
  readonly port: number
  readonly url: string
  /** What came whole, whatever was answered, in its order. */
  readonly received: readonly Received[]
  /** What came to a path and was answered with 2xx, or not at all after the connection had to break. */
  taken(path: string): readonly Received[]
  /** Until it is called again for this path. Without a script all is taken; `after` so many were received. */
  answer(path: string, script?: Script, after?: number): void
  connections(): number
  openConnections(): number
  close(): Promise<void>
}

export async function startHttpReceiver(tls?: SelfSigned): Promise<HttpReceiver> {
  const scripts = new Map<string, { readonly script: Script; readonly after: number }>()
  const received: Received[] = []
  const taken: Received[] = []
  const sockets = new Set<Socket>()
  let connections = 0

  const answer = (request: IncomingMessage, response: ServerResponse, script: Script): void => {
    if (script === 'no answer') return
    if (script === 'reset') return void request.socket.resetAndDestroy()
    if (script === 'no end') return void response.writeHead(200).write('{"it":')
    if (script === 'flood') {
      response.writeHead(200)
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
      }
      response.on('drain', pour)
      return pour()
    }
    response.writeHead(script.status, script.headers).end(script.body)
  }

  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const { url: path = '', method = '', headers } = request
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => undefined)
    request.on('end', () => {
      const { servername } = request.socket as Partial<TLSSocket>
      const name = typeof servername === 'string' ? { serverName: servername } : {}
      const one = { path, method, headers, body: Buffer.concat(chunks).toString(), ...name }
      const scripted = scripts.get(path)
      const script = scripted !== undefined && received.length >= scripted.after ? scripted.script : { status: 204 }
      received.push(one)
      if (script === 'reset' || (typeof script === 'object' && script.status < 300)) taken.push(one)
      answer(request, response, script)
    })
  }

  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const receiver: HttpReceiver = {
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    received,
    taken: (path) => taken.filter((one) => one.path === path),
    answer(path, script, after = 0) {
      if (script === undefined) scripts.delete(path)
      else scripts.set(path, { script, after })
    },
    connections: () => connections,
    openConnections: () => sockets.size,
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  onTestFinished(receiver.close)
  return receiver
}
