/** The store in a file of SQLite. */
import { messageOf, TaskError } from '../../errors.ts'
import { badOption, checkChoice, checkOptionNames, checkText } from '../../options.ts'
import { loadPackage } from './load-package.ts'
import type { DurableStore } from './durable-store.ts'
import { openingStore, type OpenedDatabase } from './opening-store.ts'
import type { SqliteDatabase, SqliteDurability } from './sqlite-database.ts'
import { sqliteFaultOf } from './sqlite-faults.ts'

export interface SqliteStoreOptions {
  /** Where the database is, or shall be. One of `file` and `database` has to be given. */
  readonly file?: string
  /**
   * An open database of a driver shaped like better-sqlite3, instead of `file`: then libsql is not needed. It is used by the
   * store alone, and is its maker's to close.
   */
  readonly database?: SqliteDatabase
  /**
   * What a commit outlives that was answered. `power`: a loss of power (`synchronous=FULL`). `process`: the end of the
   * process, however it comes; a loss of power may take the last commits, and damages nothing (`synchronous=NORMAL`). It is
   * several times faster where commits come one by one.
   * @defaultValue 'power'
   */
  readonly durability?: SqliteDurability
}

const MAX_PATH_CHARS = 4_096
/**
 * Keeps tasks in a file. Several processes of one machine may have it at a time: each write takes its turn.
 *
 * The packages `kysely` and `libsql` have to be installed; `libsql` need not be where a `database` is given. The file is made
 * when it is first used, unless there is one. One that is damaged, newer than this code, or holds something else makes every
 * call reject with `store_unusable`, and is left as it is.
 *
 * @throws TypeError for bad options
 * @example
 * ```ts no-run
 * import { createTaskSupervisor } from 'outlive'
 * import { sqliteStore } from 'outlive/sqlite'
 *
 * const tasks = createTaskSupervisor({ store: sqliteStore('tasks.db') })
 * ```
 */
export function sqliteStore(options: string | SqliteStoreOptions): DurableStore {
  const given = checkOptionNames('options', typeof options === 'string' ? { file: options } : options, [
    'file',
    'database',
    'durability',
  ])
  const durability = checkChoice('durability', given['durability'] ?? 'power', ['power', 'process'])
  const open = given['database'] === undefined ? toOpener(given['file']) : toGiver(given['database'], given['file'])
  return openingStore({ durability, connect: () => connect(open, durability), faultOf: sqliteFaultOf })
}

type Opener = () => Promise<{ readonly database: SqliteDatabase; readonly close: () => void }>

function toOpener(option: unknown): Opener {
  const file = checkText('file', option, MAX_PATH_CHARS)
  if (file === ':memory:') throw badOption('file', 'the name of a file; `memoryStore` keeps tasks in memory', file)
  return async () => {
    const { default: Driver } = (await loadPackage('libsql', () => import('libsql'))) as unknown as {
      readonly default: new (file: string) => SqliteDatabase
    }
    try {
      const database = new Driver(file)
      return { database, close: () => void database.close() }
    } catch (error) {
      // The driver gives no code for this.
      throw new TaskError('store_unusable', `The file cannot be opened: ${messageOf(error)}`, { cause: error })
    }
  }
}

function toGiver(database: unknown, file: unknown): Opener {
  if (file !== undefined) throw badOption('file', 'absent where a database is given', file)
  const isDatabase =
    typeof database === 'object' &&
    database !== null &&
    ['prepare', 'exec', 'close'].every((name) => typeof (database as Record<string, unknown>)[name] === 'function')
  if (!isDatabase) throw badOption('database', 'an open database of a driver like better-sqlite3', database)
  return async () => ({ database: database as unknown as SqliteDatabase, close: () => undefined })
}

async function connect(open: Opener, durability: SqliteDurability): Promise<OpenedDatabase> {
  const { sqliteDialect } = await loadPackage('kysely', () => import('./sqlite-dialect.ts'))
  const { openSqlStore } = await import('./sql-store.ts')
  const dialect = sqliteDialect({ ...(await open()), durability })
  return { dialect, openStore: (hints) => openSqlStore(dialect, hints) }
}
