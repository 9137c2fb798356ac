/**
 * Connections of a pool, with limits on all that can hang.
 *
 * 1. To get a connection and to run a query take no longer than they may.
 * 2. A connection that has failed in any way but by an answer of the server is not used again.
 * 3. After `cut` no connection is out, and whoever used one has an error.
 */
import { messageOf } from '../../errors.ts'
import type { PostgresClient, PostgresPool, PostgresQuery, PostgresResult } from './postgres-pool.ts'

export interface Connection {
  query(text: string, values?: readonly unknown[]): Promise<PostgresResult>
  /** What a transaction begins with goes to the server with its first query, in the same trip where that has no values. */
  beginLater(text: string): void
  /** Ends a transaction; one that has not begun has nothing to end. */
  end(text: 'commit' | 'rollback'): Promise<void>
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

  /** Listens to its errors from the first moment: the pool listens to idle ones only, and one that nobody hears ends the process. */
  const adopt = (client: PostgresClient): Connection => {
    let broken: Error | undefined
    let isReleased = false
    const onError = (error: Error): void => void (broken ??= error)
    client.on('error', onError)
    const release = (): void => {
      if (isReleased) return
      isReleased = true
      out.delete(client)
      client.release(broken)
      if (broken === undefined) client.removeListener('error', onError)
    }
    out.set(client, (error) => {
      broken ??= error
      release()
    })
    const ask = async (text: string, values: readonly unknown[]): Promise<PostgresResult> => {
      if (broken !== undefined) throw broken
      const query: PostgresQuery = {
        text,
        values: [...values],
        types: NUMBERS_AS_NUMBERS,
        query_timeout: parts.queryTimeoutMs,
      }
      try {
        const answer = await client.query(query)
        return 'rows' in answer ? answer : (answer.at(-1) ?? NO_ROWS)
      } catch (error) {
        if (!isAnswer(error)) broken ??= toLasting(error)
        throw broken ?? error
      }
    }
    let beginning: string | undefined

    return {
      client,
      isBroken: () => broken !== undefined,
      release,
      async query(text, values = []) {
        const begin = beginning
        beginning = undefined
        if (begin === undefined) return ask(text, values)
        if (values.length === 0) return ask(`${begin};\n${text}`, values)
        await ask(begin, [])
        return ask(text, values)
      },
      beginLater: (text) => void (beginning = text),
      async end(text) {
        const hasBegun = beginning === undefined
        beginning = undefined
        if (hasBegun) await ask(text, [])
      },
    }
  }

  return {
    take: () =>
      new Promise((resolve, reject) => {
        let isLate = false
        const timer = setTimeout(() => {
          isLate = true
          reject(new ConnectionLostError(`no connection within ${parts.connectTimeoutMs} ms`))
        }, parts.connectTimeoutMs)
        parts.pool.connect((error, client) => {
          clearTimeout(timer)
          if (client === undefined) reject(toLasting(error))
          else if (!isLate && !isCut) resolve(adopt(client))
          else {
            client.release()
            reject(new ConnectionLostError('the connections were closed'))
          }
        })
      }),
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

/** Why a connection cannot be used: what the server said last, or that it was not heard of. */
function toLasting(error: unknown): Error {
  if (error instanceof ConnectionLostError) return error
  if (error instanceof Error && sqlStateOf(error) !== undefined) return error
  return new ConnectionLostError(messageOf(error), { cause: error })
}

/** After an answer that is not the server's last word the connection goes on. */
function isAnswer(error: unknown): boolean {
  const isLastWord = error instanceof Error && 'severity' in error && error.severity !== 'ERROR'
  return sqlStateOf(error) !== undefined && !isLastWord
}

/** The code that a server gives an error, and nobody else. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

const NO_ROWS: PostgresResult = { rows: [], rowCount: 0 }
const OIDS_OF_NUMBERS = new Set([20, 21, 23])

/** The one place where the texts that a server sends become values. Our tables hold texts and whole numbers. */
const NUMBERS_AS_NUMBERS = {
  getTypeParser: (oid: number) => (OIDS_OF_NUMBERS.has(oid) ? Number : (text: string): unknown => text),
}
