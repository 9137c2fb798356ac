/** A real server, or a file, for one case: a store in it, and beside it the least that writes the same rows. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Commit, TaskStore } from 'outlive'
import { postgresStore } from 'outlive/postgres'
import { redisStore } from 'outlive/redis'
import { sqliteStore } from 'outlive/sqlite'
import { createPostgres } from '../test/support/postgres-process.ts'
import { launchRedis } from '../test/support/redis-process.ts'
import { SCRATCH } from '../test/support/repository.ts'
import { openPostgresFloor } from './postgres-floor.ts'
import { openRedisFloor } from './redis-floor.ts'
import { openSqliteFloor } from './sqlite-floor.ts'

export type StoreKind = 'redis' | 'redisAof' | 'sqlite' | 'postgres'

/** Writes rows that were made ready before, without a look at what is there. */
export interface Floor {
  prepare(commits: readonly Commit[]): unknown
  write(prepared: unknown): Promise<void>
  /** How many tasks and events there are. */
  count(): Promise<Rows>
  close(): Promise<void>
}

export interface Rows {
  readonly tasks: number
  readonly events: number
}

export interface StorePlace {
  /** Of the server; 0 where there is none. */
  readonly port: number
  /** The address of the server, or the folder of the files. */
  readonly location: string
  /** A store of its own, or one more on what was named before. `port`: another way to the same server. */
  openStore(name: string, port?: number): Promise<TaskStore>
  openFloor(name: string): Promise<Floor>
  /** What the server has used of the processors so far, where it says so. */
  serverCpuMs(): Promise<number>
  /** How many groups it is worth to have on the way. */
  readonly lanes: number
}

export async function startPlace(kind: StoreKind, onEnd: (undo: () => Promise<void>) => void): Promise<StorePlace> {
  switch (kind) {
    case 'redis':
    case 'redisAof': {
      const settings = kind === 'redis' ? {} : { appendonly: 'yes', appendfsync: 'everysec' }
      const { port, client } = await launchRedis(settings, onEnd)
      return {
        port,
        location: `redis://127.0.0.1:${port}`,
        lanes: 3,
        openStore: (name, by = port) => openStoreAt(kind, `redis://127.0.0.1:${by}`, name),
        openFloor: (name) => openRedisFloor(port, name),
        async serverCpuMs() {
          const said = (await client.info('cpu')).matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm)
          return [...said].reduce((sum, [, seconds]) => sum + Number(seconds) * 1_000, 0)
        },
      }
    }
    case 'sqlite': {
      mkdirSync(SCRATCH, { recursive: true })
      const folder = mkdtempSync(join(SCRATCH, 'sqlite-'))
      onEnd(async () => rmSync(folder, { recursive: true, force: true }))
      return {
        port: 0,
        location: folder,
        lanes: 1,
        openStore: (name) => openStoreAt(kind, folder, name),
        async openFloor(name) {
          // It writes to the tables that a store has made.
          await (await openStoreAt(kind, folder, name)).close()
          return openSqliteFloor(fileIn(folder, name))
        },
        serverCpuMs: async () => 0,
      }
    }
    case 'postgres': {
      const server = createPostgres()
      await server.launch()
      onEnd(server.end)
      const urlBy = (port: number): string => {
        const url = new URL(server.url())
        if (port !== 0) url.port = String(port)
        return url.href
      }
      return {
        port: Number(new URL(server.url()).port),
        location: server.url(),
        lanes: 1,
        openStore: (name, by = 0) => openStoreAt(kind, urlBy(by), name),
        async openFloor(name) {
          await (await openStoreAt(kind, server.url(), name)).close()
          return openPostgresFloor(server.url(), name)
        },
        serverCpuMs: async () => 0,
      }
    }
  }
}

/** For a process that was told where it is. `location` as in `StorePlace`. */
export async function openStoreAt(kind: StoreKind, location: string, name: string): Promise<TaskStore> {
  const store = storeAt(kind, location, name)
  await store.open?.()
  return store
}

function storeAt(kind: StoreKind, location: string, name: string): TaskStore {
  if (kind === 'postgres') return postgresStore({ url: location, schema: name })
  if (kind === 'sqlite') return sqliteStore(fileIn(location, name))
  return redisStore({ url: location, prefix: name })
}

function fileIn(folder: string, name: string): string {
  return join(folder, `${name}.db`)
}
