/**
 * One connection to Redis that is there again by itself after it was lost.
 *
 * idle: nobody has asked for it yet.
 * connecting: a client was made; it has not been greeted yet.
 * ready: calls are sent.
 * waiting: the client is gone; the next one is made after a while, later each time.
 * closed: for good.
 *
 * 1. Every call settles: with its reply, after `commandTimeoutMs`, or with the connection. While there is none it is
 *    rejected at once; nothing waits for a connection here, and nothing is sent twice.
 * 2. A connection that has not answered a heartbeat for `PATIENCE_MS` is thrown away, whatever its socket says.
 * 3. A server that refuses us is asked again every `REFUSED_MS`, not more often.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../../machines/policies/backoff.ts'
import { messageOf } from '../../errors.ts'
import { destroyClient, type RedisClient } from './redis-client.ts'
import { isDemoted, isFatal, toStoreError, unavailable } from './redis-errors.ts'

export type RedisCall = (command: string, args: readonly (string | number)[]) => Promise<unknown>

export interface Connection {
  readonly call: RedisCall
  /** Resolves when calls can be sent; rejects with what is in the way, after `commandTimeoutMs` at the latest. */
  whenReady(): Promise<void>
  isReady(): boolean
  /** Waits for what is on its way, `CLOSE_MS` at most, and ends. What has no reply then is rejected. */
  close(): Promise<void>
}

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 2_000, jitter: 'full' }
const REFUSED_MS = 5_000
const HEARTBEAT_MS = 3_000
const PATIENCE_MS = 5_000
/** A connection that has lived as long as this was a good one. */
const CALM_MS = 1_000
const CLOSE_MS = 500

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export function createConnection(parts: {
  readonly createClient: () => Promise<RedisClient>
  /** The first calls on a new client. It is used once they have succeeded. */
  readonly greet: (call: RedisCall, client: RedisClient) => Promise<unknown>
  /** A call that shows that the server answers. */
  readonly heartbeat: (call: RedisCall) => Promise<unknown>
  readonly commandTimeoutMs: number
}): Connection {
  const { commandTimeoutMs } = parts
  const patienceMs = Math.min(commandTimeoutMs, PATIENCE_MS)
  let phase: 'idle' | 'connecting' | 'ready' | 'waiting' | 'closed' = 'idle'
  let client: RedisClient | undefined
  let failedAttempts = 0
  let lastError: unknown
  /** Replies on this connection, errors included: each shows that the server is there. */
  let replies = 0
  const timers = new Set<NodeJS.Timeout>()
  const waiters = new Set<Waiter>()
  const unanswered = new Map<(error: Error) => void, RedisClient>()

  const after = (delayMs: number, due: () => void): (() => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      due()
    }, delayMs)
    timers.add(timer)
    return () => {
      timers.delete(timer)
      clearTimeout(timer)
    }
  }

  /** When the loop was held up, replies may lie in the socket while timers are due: they are read first. */
  const afterPatience = (delayMs: number, due: () => void): (() => void) => {
    let isOver = false
    const disarm = after(delayMs, () => setImmediate(() => isOver || due()))
    return () => {
      isOver = true
      disarm()
    }
  }

  const settleWaiters = (error: Error | undefined): void => {
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve()
      else waiter.reject(error)
    }
    waiters.clear()
  }

  const lose = (lost: RedisClient | undefined, error: unknown): void => {
    if (phase === 'closed' || lost !== client) return
    for (const timer of timers) clearTimeout(timer)
    timers.clear()
    client = undefined
    phase = 'waiting'
    lastError = error
    failedAttempts += 1
    for (const [reject, on] of unanswered)
      if (on === lost) reject(unavailable('The connection to Redis was lost.', error))
    if (lost !== undefined) destroyClient(lost)
    if (isFatal(error)) settleWaiters(toStoreError(error))
    const delayMs = isFatal(error)
      ? REFUSED_MS
      : backoffDelayMs({ ...BACKOFF, jitter: 'none' }, { failedAttempts, random01: 0 }) * (0.5 + Math.random() / 2)
    const retry = setTimeout(() => {
      timers.delete(retry)
      void connect()
    }, delayMs)
    // A process that has nothing else to do does not live on to find a server again.
    retry.unref()
    timers.add(retry)
  }

  const callOn = (on: RedisClient, command: string, args: readonly (string | number)[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        unanswered.delete(fail)
        disarm()
      }
      const fail = (error: Error): void => {
        settle()
        reject(error)
      }
      const disarm = afterPatience(commandTimeoutMs, () =>
        fail(unavailable(`Redis has not answered ${command} within ${commandTimeoutMs} ms.`)),
      )
      unanswered.set(fail, on)
      on.call(command, ...args).then(
        (reply) => {
          replies += 1
          settle()
          resolve(reply)
        },
        (error: unknown) => {
          if (isReply(error)) replies += 1
          fail(toStoreError(error))
          // The name of the server may lead to another one by now.
          if (isDemoted(error)) lose(on, error)
        },
      )
    })

  const watch = (watched: RedisClient): void => {
    const before = replies
    afterPatience(patienceMs, () => {
      if (replies === before) lose(watched, new Error(`no heartbeat within ${patienceMs} ms`))
    })
    // Whether a reply came is what counts, and not which.
    parts.heartbeat((command, args) => callOn(watched, command, args)).catch(() => undefined)
    after(HEARTBEAT_MS, () => watch(watched))
  }

  const greet = async (met: RedisClient, disarm: () => void): Promise<void> => {
    try {
      await parts.greet((command, args) => callOn(met, command, args), met)
    } catch (error) {
      return lose(met, error)
    }
    disarm()
    if (client !== met) return
    phase = 'ready'
    lastError = undefined
    after(CALM_MS, () => (failedAttempts = 0))
    after(HEARTBEAT_MS, () => watch(met))
    settleWaiters(undefined)
  }

  const connect = async (): Promise<void> => {
    phase = 'connecting'
    let made: RedisClient
    try {
      made = await parts.createClient()
    } catch (error) {
      return lose(undefined, error)
    }
    if (isClosed()) return destroyClient(made)
    client = made
    let said: unknown
    const disarm = afterPatience(commandTimeoutMs, () => lose(made, new Error('no connection in time')))
    made.on('error', (error: unknown) => (said = error))
    made.on('close', () => lose(made, said ?? new Error('the connection was closed')))
    made.on('end', () => lose(made, said ?? new Error('the connection has ended')))
    if (made.status === 'ready') return greet(made, disarm)
    made.on('ready', () => void greet(made, disarm))
    // What it rejects with is said by its events.
    if (made.status === 'wait') made.connect().catch(() => undefined)
  }

  const isClosed = (): boolean => phase === 'closed'

  return {
    isReady: () => phase === 'ready',
    call(command, args) {
      if (phase === 'ready' && client !== undefined) return callOn(client, command, args)
      if (isClosed()) return Promise.reject(unavailable('The store is closed.'))
      return Promise.reject(isFatal(lastError) ? toStoreError(lastError) : noConnection(lastError))
    },
    async whenReady() {
      if (phase === 'ready') return
      if (isClosed()) throw unavailable('The store is closed.')
      if (phase === 'waiting' && isFatal(lastError)) throw toStoreError(lastError)
      if (phase === 'idle') void connect()
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter = {
          resolve() {
            clearTimeout(patience)
            resolve()
          },
          reject(error) {
            clearTimeout(patience)
            reject(error)
          },
        }
        const patience = setTimeout(() => {
          waiters.delete(waiter)
          reject(noConnection(lastError))
        }, commandTimeoutMs)
        waiters.add(waiter)
      })
    },
    async close() {
      if (isClosed()) return
      const end = Date.now() + (phase === 'ready' ? CLOSE_MS : 0)
      const last = client
      phase = 'closed'
      settleWaiters(unavailable('The store is closed.'))
      while (unanswered.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      client = undefined
      for (const [reject] of unanswered) reject(unavailable('The store was closed.'))
      if (last !== undefined) destroyClient(last)
    },
  }
}

/** Whether an error came from the server, and not from the way there. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function noConnection(lastError: unknown): Error {
  const why = lastError === undefined ? '' : ` (${messageOf(lastError)})`
  return unavailable(`There is no connection to Redis${why}.`, lastError)
}
