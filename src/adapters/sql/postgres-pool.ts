/** What the store needs of `pg`: the part of its pool that is used, so that a host can give its own. */

export interface PostgresPool {
  connect(onConnected: (error: Error | undefined, client: PostgresClient | undefined) => void): void
}

export interface PostgresClient {
  /** Of several statements in one text each has its result. */
  query(query: PostgresQuery): Promise<PostgresResult | readonly PostgresResult[]>
  /** With an error the connection is given up. */
  release(error?: Error): void
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'notification', listener: (message: PostgresNotification) => void): unknown
  on(event: 'end', listener: () => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'notification', listener: (message: PostgresNotification) => void): unknown
  removeListener(event: 'end', listener: () => void): unknown
}

export interface PostgresQuery {
  readonly text: string
  readonly values?: unknown[]
  readonly types?: { getTypeParser(oid: number, format?: unknown): (text: string) => unknown }
  /** In milliseconds. */
  readonly query_timeout?: number
}

export interface PostgresResult {
  readonly rows: readonly unknown[]
  readonly rowCount: number | null
}

export interface PostgresNotification {
  readonly channel: string
  readonly payload?: string | undefined
}
