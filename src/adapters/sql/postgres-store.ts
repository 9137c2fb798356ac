/** The store in a schema of PostgreSQL. */
import { Socket } from 'node:net'
import { badOption, checkDuration, checkOptionNames, checkWhole, orDefault } from '../../options.ts'
import { loadPackage } from './load-package.ts'
import type { DurableStore } from './durable-store.ts'
import { openingStore, type OpenedDatabase } from './opening-store.ts'
import { postgresFaultOf } from './postgres-faults.ts'
import type { PostgresPool } from './postgres-pool.ts'

export interface PostgresStoreOptions {
  /** Where the server is: `postgres://user:password@host:port/database`. One of `url` and `pool` has to be given. */
  readonly url?: string
  /**
   * A pool of the package `pg`, instead of `url`: then `pg` is its maker's to install, its errors are its maker's to listen to, and
   * it is its maker's to close. One of its connections is in use while somebody watches the store.
   */
  readonly pool?: PostgresPool
  /** The schema that the tables are in. It is made when it is not there. @defaultValue 'outlive' */
  readonly schema?: string
  /** How many connections are open at most; one more while somebody watches. Not with `pool`. @defaultValue 4 */
  readonly maxConnections?: number
  /** How long getting a connection may take, in milliseconds. @defaultValue 5 000 */
  readonly connectTimeoutMs?: number
  /** How long a statement may take, in milliseconds. @defaultValue 5 000 */
  readonly queryTimeoutMs?: number
}

/** A name that is the same quoted and unquoted, and short enough for the channel that is named after it. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,47}$/
const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** How long a server may take to say goodbye, in milliseconds. */
const GOODBYE_MS = 250

/**
 * Keeps tasks in PostgreSQL (13 or newer). Any number of processes may have it at a time.
 *
 * The packages `kysely` and `pg` have to be installed. A commit that was answered outlives a loss of power; where the server has
 * `fsync` or `synchronous_commit` switched off it need not, and `open` says so. While the server is away every call rejects
 * with `store_unavailable`, and the next one tries again. A schema that is newer than this code, or holds other
 * tables, makes every call reject with `store_unusable`.
 *
 * @throws TypeError for bad options
 * @example
 * ```ts no-run
 * import { createTaskSupervisor } from 'outlive'
 * import { postgresStore } from 'outlive/postgres'
 *
 * const tasks = createTaskSupervisor({ store: postgresStore('postgres://me:secret@localhost/tasks') })
 * ```
 */
export function postgresStore(options: string | PostgresStoreOptions): DurableStore {
  const given = checkOptionNames('options', typeof options === 'string' ? { url: options } : options, [
    'url',
    'pool',
    'schema',
    'maxConnections',
    'connectTimeoutMs',
    'queryTimeoutMs',
  ])
  const settings: Settings = {
    schema: checkSchema(orDefault(given['schema'], 'outlive')),
    maxConnections: checkWhole('maxConnections', orDefault(given['maxConnections'], 4), { min: 1, max: 1_000 }),
    connectTimeoutMs: checkTimeout('connectTimeoutMs', orDefault(given['connectTimeoutMs'], 5_000)),
    queryTimeoutMs: checkTimeout('queryTimeoutMs', orDefault(given['queryTimeoutMs'], 5_000)),
  }
  if (given['pool'] !== undefined) {
    for (const name of ['url', 'maxConnections']) {
      if (given[name] !== undefined) throw new TypeError(`${name} must be absent where a pool is given`)
    }
  }
  const makePool = given['pool'] === undefined ? toMaker(given['url'], settings) : toGiver(given['pool'])
  return openingStore({
    durability: 'power',
    connect: () => connect(makePool, settings),
    faultOf: postgresFaultOf,
  })
}

interface Settings {
  readonly schema: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly queryTimeoutMs: number
}

type PoolMaker = () => Promise<{ readonly pool: PostgresPool; readonly closePool: () => Promise<void> }>

async function connect(makePool: PoolMaker, settings: Settings): Promise<OpenedDatabase> {
  const { postgresDialect } = await loadPackage('kysely', () => import('./postgres-dialect.ts'))
  const { openSqlStore } = await import('./sql-store.ts')
  const dialect = postgresDialect({ ...settings, ...(await makePool()) })
  return { dialect, openStore: (hints) => openSqlStore(dialect, hints) }
}

function toMaker(option: unknown, settings: Settings): PoolMaker {
  const url = checkUrl(option)
  return async () => {
    const { Pool } = await loadPackage('pg', () => import('pg'))
    const sockets = new Set<Socket>()
    const pool = new Pool({
      connectionString: url,
      // One listens, and takes no turn from the others.
      max: settings.maxConnections + 1,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      keepAlive: true,
      // A pool that nobody uses holds no process.
      allowExitOnIdle: true,
      stream() {
        const socket = new Socket()
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        return socket
      },
    })
    // An idle connection that is lost is taken out of the pool; whoever needs one gets another, or an error.
    pool.on('error', () => undefined)
    const closePool = async (): Promise<void> => {
      // A server that hangs does not say goodbye.
      const timer = setTimeout(() => sockets.forEach((socket) => socket.destroy()), GOODBYE_MS)
      await pool.end()
      clearTimeout(timer)
    }
    return { pool, closePool }
  }
}

function toGiver(pool: unknown): PoolMaker {
  const isPool = typeof pool === 'object' && pool !== null && 'connect' in pool && typeof pool.connect === 'function'
  if (!isPool) throw badOption('pool', 'a pool of the package pg', pool)
  return async () => ({ pool: pool as unknown as PostgresPool, closePool: async () => undefined })
}

/** Not quoted in any message: there is a password in it. */
function checkUrl(value: unknown): string {
  if (typeof value === 'string' && /^postgres(ql)?:/.test(value) && URL.canParse(value)) return value
  throw badOption('url', 'like postgres://user:password@host/database', `a ${typeof value}`)
}

function checkSchema(value: unknown): string {
  if (typeof value === 'string' && SCHEMA.test(value)) return value
  throw badOption('schema', 'a lower-case name of up to 48 letters, digits and underscores', value)
}

/** As a timer and a server take it. */
function checkTimeout(name: string, value: unknown): number {
  const ms = checkDuration(name, value)
  if (ms <= MAX_TIMEOUT_MS) return Math.ceil(ms)
  throw badOption(name, `at most ${MAX_TIMEOUT_MS} milliseconds`, value)
}
