/** A pool of PostgreSQL connections in which a test decides what becomes of a query. */
import type { PostgresClient, PostgresPool, PostgresQuery } from 'outlive/postgres'
import pg from 'pg'
import { onTestFinished } from 'vitest'

type Answer = ReturnType<PostgresClient['query']>

/** Does the query, or something else. */
export type OnQuery = (query: PostgresQuery, ask: () => Answer) => Answer

export function wrappedPool(url: string, onQuery: OnQuery, options: pg.PoolConfig = {}): PostgresPool {
  const pool = openPool(url, options)
  return {
    connect: (onConnected) =>
      pool.connect((error, client: PostgresClient | undefined) => {
        if (client === undefined) return onConnected(error, undefined)
        onConnected(undefined, {
          query: (query) => onQuery(query, () => client.query(query)),
          release: (gaveUp) => client.release(gaveUp),
          on: client.on.bind(client),
          removeListener: client.removeListener.bind(client),
        })
      }),
  }
}

export function openPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, ...options })
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  return pool
}

/** What the network says when it has lost a connection. */
export function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
}

/** An error as a server answers with it. */
export function serverError(code: string): Error {
  return Object.assign(new Error(`the server says ${code}`), { code, severity: 'ERROR' })
}
