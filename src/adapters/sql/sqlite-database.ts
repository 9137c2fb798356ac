/** What the store needs of a driver of SQLite: the part of better-sqlite3 that libsql and others have, too. */

export interface SqliteStatement {
  /** Whether it gives rows. */
  readonly reader: boolean
  all(parameters: readonly unknown[]): unknown[]
  run(parameters: readonly unknown[]): { readonly changes: number }
}

export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  close(): unknown
}

/** What the commits outlive that were answered. */
export type SqliteDurability = 'power' | 'process'
