/**
 * Connections of a pool, with limits on all that can hang.
 *
 * 1. To get a connection and to run a query take no longer than they may.
 * 2. A connection that has failed in any way but by an answer of the server is not used again.
 * 3. After `cut` no connection is out, and whoever used one has an error.
 */
import type { PostgresClient, PostgresPool, PostgresQuery, PostgresResult } from './postgres-pool.ts'

export interface Connection {
  query(text: string, values?: readonly unknown[]): Promise<PostgresResult>
  readonly client: PostgresClient
  /** Nothing can be asked of it any more. */
  isBroken(): boolean
  release(): void
}

export interface Connections {
  take(): Promise<Connection>
  cut(): void
}

export function createConnections(parts: {
  readonly pool: PostgresPool
  readonly connectTimeoutMs: number
  readonly queryTimeoutMs: number
}): Connections {
  const out = new Map<PostgresClient, (error: Error) => void>()
  let isCut = false

  const connect = async (): Promise<PostgresClient> => {
    let timer: NodeJS.Timeout | undefined
    const isLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new ConnectionLostError(`no connection within ${parts.connectTimeoutMs} ms`)),
        parts.connectTimeoutMs,
      )
    })
    const connected = parts.pool.connect()
    try {
      return await Promise.race([connected, isLate])
    } catch (error) {
      // One that comes too late is nobody's. Why none came was said, or is said here.
      connected.then(
        (client) => client.release(),
        () => undefined,
      )
      throw sqlStateOf(error) === undefined ? toConnectionLost(error) : error
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    async take() {
      const client = await connect()
      if (isCut) {
        client.release()
        throw new ConnectionLostError('the connections were closed')
      }
      let broken: Error | undefined
      let isReleased = false
      // The pool listens to idle connections only, and an error that nobody listens to ends the process.
      const onError = (error: Error): void => void (broken ??= error)
      client.on('error', onError)
      const release = (error: Error | undefined): void => {
        if (isReleased) return
        isReleased = true
        out.delete(client)
        client.release(error)
        if (error === undefined) client.removeListener('error', onError)
      }
      out.set(client, (error) => {
        broken ??= error
        release(error)
      })
      return {
        client,
        isBroken: () => broken !== undefined,
        release: () => release(broken),
        async query(text: string, values: readonly unknown[] = []) {
          if (broken !== undefined) throw broken
          const query: PostgresQuery = {
            text,
            values: [...values],
            types: NUMBERS_AS_NUMBERS,
            query_timeout: parts.queryTimeoutMs,
          }
          try {
            return await client.query(query)
          } catch (error) {
            if (sqlStateOf(error) === undefined) broken ??= toConnectionLost(error)
            throw broken ?? error
          }
        },
      }
    },
    cut() {
      isCut = true
      for (const giveUp of out.values()) giveUp(new ConnectionLostError('the connections were closed'))
    },
  }
}

/** The server was not heard of any more. Whether it has done what it was last asked is not known. */
export class ConnectionLostError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConnectionLostError'
  }
}

function toConnectionLost(error: unknown): Error {
  if (error instanceof ConnectionLostError) return error
  return new ConnectionLostError(error instanceof Error ? error.message : String(error), { cause: error })
}

/** The code that a server gives an error, and nobody else. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

const OIDS_OF_NUMBERS = new Set([20, 21, 23])

/** The one place where the texts that a server sends become values. Our tables hold texts and whole numbers. */
const NUMBERS_AS_NUMBERS = {
  getTypeParser: (oid: number) => (OIDS_OF_NUMBERS.has(oid) ? Number : (text: string): unknown => text),
}
