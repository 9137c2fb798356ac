/**
 * The seam on the side of SQLite: one connection for one query or one transaction at a time, through a driver that blocks
 * the process while it works.
 */
import {
  CompiledQuery,
  sql,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Driver,
} from 'kysely'
import { headOf, tailOf, type BulkInsert, type Insert } from './bulk-insert.ts'
import type { Database, RowsQuery, SqlDialect } from './sql-dialect.ts'
import type { SqliteDatabase, SqliteDurability, SqliteStatement } from './sqlite-database.ts'
import { sqliteFaultOf } from './sqlite-faults.ts'
import { shareTurns } from './turns.ts'

/** How long a write waits for another process, in milliseconds. This process stands still meanwhile. */
const BUSY_MS = 5_000
/**
 * How many pages the log that is written ahead has before it is worked into the file: 16 MB. Most pages are written again and
 * again, so the more of them are worked in at a time, the fewer.
 */
const LOG_PAGES = 4_000
/** How often is looked for what other processes have changed, while somebody watches, in milliseconds. */
const LOOK_MS = 25
/** Statements cost more to prepare than to run, so they are kept. */
const MAX_KEPT_STATEMENTS = 200
/** Rows of one statement. A few sizes serve every number, and need few statements. */
const CHUNK_SIZES = [64, 16, 4, 1] as const

export function sqliteDialect(parts: {
  readonly database: SqliteDatabase
  readonly durability: SqliteDurability
  readonly close: () => void
}): SqlDialect {
  const { database, durability } = parts
  database.exec(`pragma busy_timeout = ${BUSY_MS}`)
  const connection = createConnection(database)
  const { turns, leave } = shareTurns(fileOf(database))
  const driver: Driver = {
    init: async () => undefined,
    async acquireConnection() {
      await turns.take()
      return connection
    },
    async releaseConnection() {
      turns.give()
    },
    // `immediate`: nobody else writes between what the transaction reads and what it writes.
    async beginTransaction() {
      database.exec('begin immediate')
    },
    async commitTransaction() {
      database.exec('commit')
    },
    async rollbackTransaction() {
      try {
        database.exec('rollback')
      } catch {
        // SQLite has done it by itself, as when the disk is full. The caller gets the error that led here.
      }
    },
    destroy: async () => undefined,
  }

  return {
    kysely: {
      createDriver: () => driver,
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createIntrospector: (db) => new SqliteIntrospector(db),
    },
    schema: undefined,
    nameOf: (table) => sql.table(table),
    columnTypes: { text: sql`text`, whole: sql`integer` },
    risingKeyType: sql`integer`,
    forUpdate: sql``,
    // The transaction is the only one already.
    lockForMigration: async () => undefined,
    async tableNames(db) {
      const { rows } = await sql<{
        readonly name: string
      }>`select name from sqlite_schema where type = 'table'`.execute(db)
      return rows.map(({ name }) => name).filter((name) => !/^(sqlite|libsql)_/.test(name))
    },
    settle: () => settle(database, durability),
    warnings: async () => [],
    nowOf: (now) => sql<number>`${now}`,
    setOf: (texts) => sql`(select value from json_each(${JSON.stringify(texts)}))`,
    rowsOf(columns, rows) {
      const read = Object.keys(columns).map((column) => sql`value ->> ${sql.lit(column)} as ${sql.ref(column)}`)
      return sql`(select ${sql.join(read)} from json_each(${JSON.stringify(rows)})) as r`
    },
    async readAll<Rows extends readonly unknown[]>(
      _db: Database,
      queries: { readonly [Index in keyof Rows]: RowsQuery<Rows[Index]> },
    ) {
      const read: unknown[][] = []
      for (const query of queries as readonly RowsQuery<unknown>[]) read.push(await query.execute())
      return read as unknown as { readonly [Index in keyof Rows]: readonly Rows[Index][] }
    },
    async insertAll(db, inserts) {
      for (const insert of inserts) await insertInChunks(db, insert)
    },
    notify: async () => undefined,
    listen: (onHint) => watchOtherProcesses(database, () => onHint({})),
    faultOf: sqliteFaultOf,
    async close() {
      // Whoever has the turn ends first.
      await turns.take()
      try {
        // A driver may keep a file open until its statements are collected. What is in the log is in the file then.
        database.prepare('pragma wal_checkpoint(truncate)').all([])
      } catch {
        // Another process uses the log, or there is none. It is read with the file when that is opened again.
      }
      parts.close()
      turns.give()
      leave()
    },
  }
}

function createConnection(database: SqliteDatabase): DatabaseConnection {
  const statements = new Map<string, SqliteStatement>()

  const prepare = (text: string): SqliteStatement => {
    const kept = statements.get(text)
    if (kept !== undefined) return kept
    const made = database.prepare(text)
    if (statements.size >= MAX_KEPT_STATEMENTS) statements.clear()
    statements.set(text, made)
    return made
  }

  return {
    async executeQuery({ sql: text, parameters }: CompiledQuery) {
      const statement = prepare(text)
      if (statement.reader) return { rows: statement.all(parameters) as never[] }
      return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) }
    },
    // eslint-disable-next-line require-yield -- nothing here streams
    async *streamQuery() {
      throw new Error('no query of the store is streamed')
    },
  }
}

async function insertInChunks(db: Database, { into, rows }: Insert): Promise<void> {
  const columns = Object.keys(into.columns)
  let from = 0
  for (const size of CHUNK_SIZES) {
    for (; rows.length - from >= size; from += size) {
      const chunk = rows.slice(from, from + size)
      const values = chunk.flatMap((row) => columns.map((column) => row[column] ?? null))
      await db.executeQuery(CompiledQuery.raw(insertText(into, size), values))
    }
  }
}

const insertTexts = new Map<BulkInsert, Map<number, string>>()

function insertText(insert: BulkInsert, size: number): string {
  const bySize = insertTexts.get(insert) ?? new Map<number, string>()
  insertTexts.set(insert, bySize)
  const kept = bySize.get(size)
  if (kept !== undefined) return kept
  const row = `(${Object.keys(insert.columns).fill('?').join(', ')})`
  const rows = Array.from({ length: size }, () => row).join(', ')
  const made = `${headOf(insert, undefined)} values ${rows}${tailOf(insert)}`
  bySize.set(size, made)
  return made
}

function fileOf(database: SqliteDatabase): string {
  const [main] = database.prepare('pragma database_list').all([]) as { readonly file: string }[]
  return main?.file ?? ''
}

/** With a log that is written ahead, nobody who reads waits for who writes. */
async function settle(database: SqliteDatabase, durability: SqliteDurability): Promise<void> {
  database.exec(`pragma synchronous = ${durability === 'power' ? 'full' : 'normal'}`)
  const deadline = Date.now() + BUSY_MS
  for (;;) {
    try {
      database.prepare('pragma journal_mode = wal').all([])
      break
    } catch (error) {
      // SQLite does not wait for the lock of this one by itself.
      if (sqliteFaultOf(error) !== 'unavailable' || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
  database.prepare(`pragma wal_autocheckpoint = ${LOG_PAGES}`).all([])
}

/** SQLite tells nobody of a change, but its connections can see that there was one of another. */
function watchOtherProcesses(database: SqliteDatabase, onChange: () => void): () => void {
  const read = (): unknown => {
    try {
      const [row] = database.prepare('pragma data_version').all([]) as { readonly data_version: number }[]
      return row?.data_version
    } catch {
      // Whoever uses the store next gets the error.
      return undefined
    }
  }
  let seen = read()
  const timer = setInterval(() => {
    const version = read()
    if (version === seen) return
    seen = version
    onChange()
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
