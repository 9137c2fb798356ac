/** The stores that processes of a test share, by what can be told to a process. */
import type { TaskStore } from 'outlive'
import { postgresStore } from 'outlive/postgres'
import { redisStore } from 'outlive/redis'
import { sqliteStore } from 'outlive/sqlite'

export type StorePlace =
  | { readonly kind: 'redis'; readonly url: string; readonly commandTimeoutMs?: number }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string }

export function openTestStore(place: StorePlace): TaskStore {
  switch (place.kind) {
    case 'redis': {
      const { url, commandTimeoutMs } = place
      return redisStore(commandTimeoutMs === undefined ? { url } : { url, commandTimeoutMs })
    }
    case 'sqlite':
      return sqliteStore(place.file)
    case 'postgres':
      return postgresStore({ url: place.url, schema: place.schema })
  }
}
