/**
 * How the processes of a soak speak with each other: a line of JSON for each call, a line for each answer, any number of
 * calls at a time on one connection. Who calls hears of a broken connection as of a refusal.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export type Verbs = Readonly<Record<string, (given: never) => unknown>>

export interface Door {
  readonly port: number
  /** Listeners of the connections that are open. */
  listenerCount(): number
}

export interface Line {
  /** Rejects with a `Refusal`. */
  call(verb: string, given: unknown, limitMs: number): Promise<unknown>
  close(): void
}

/** What went wrong with a call, by a stable code. */
export class Refusal extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

interface Call {
  readonly id: number
  readonly verb: string
  readonly given: unknown
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly refusal?: { readonly code: string; readonly message: string }
}

/** `codeOf` gives the code of an error. */
export async function openDoor(verbs: Verbs, codeOf: (error: unknown) => string): Promise<Door> {
  const sockets = new Set<Socket>()
  const answer = async (socket: Socket, line: string): Promise<void> => {
    const { id, verb, given } = JSON.parse(line) as Call
    let reply: Answer
    try {
      reply = { id, value: await (verbs[verb] as (given: unknown) => unknown)(given) }
    } catch (error) {
      reply = { id, refusal: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } }
    }
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`)
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    onLines(socket, (line) => void answer(socket, line))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    listenerCount: () => [...sockets].reduce((sum, socket) => sum + countListeners(socket), 0),
  }
}

/** Connects with the first call, and again with the first one after a break. */
export function createLine(port: () => number): Line {
  const open = new Map<number, (answer: Answer) => void>()
  let socket: Socket | undefined
  let calls = 0

  const connectNow = (): Socket => {
    const fresh = connect(port(), '127.0.0.1')
    fresh.on('error', () => undefined)
    fresh.on('close', () => {
      if (socket !== fresh) return
      socket = undefined
      const refusal = { code: 'line_broken', message: 'the connection broke' }
      for (const [id, settle] of open) settle({ id, refusal })
    })
    onLines(fresh, (line) => {
      const answer = JSON.parse(line) as Answer
      open.get(answer.id)?.(answer)
    })
    return fresh
  }

  return {
    call: (verb, given, limitMs) =>
      new Promise((resolve, reject) => {
        calls += 1
        const id = calls
        const timer = setTimeout(() => {
          open.delete(id)
          reject(new Refusal('no_answer', `${verb} had no answer within ${limitMs} ms`))
        }, limitMs)
        open.set(id, ({ value, refusal }) => {
          clearTimeout(timer)
          open.delete(id)
          if (refusal === undefined) resolve(value)
          else reject(new Refusal(refusal.code, refusal.message))
        })
        socket ??= connectNow()
        const call: Call = { id, verb, given }
        socket.write(`${JSON.stringify(call)}\n`)
      }),
    close() {
      socket?.destroy()
    },
  }
}

function onLines(socket: Socket, take: (line: string) => void): void {
  createInterface({ input: socket })
    .on('line', take)
    // It passes on what goes wrong with its socket, which hears of it itself.
    .on('error', () => undefined)
}

/** How many listeners an emitter has, over all its events. */
export function countListeners(emitter: {
  eventNames(): (string | symbol)[]
  listenerCount(name: string | symbol): number
}): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
}
