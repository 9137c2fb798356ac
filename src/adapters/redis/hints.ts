/**
 * Wake-ups by publish and subscribe, on a connection of their own, which is made for the first who watches.
 *
 * What is published while the connection is down is lost. Whoever watches is told so when it is there again, by a hint that
 * names nothing: anything may have changed.
 */
import type { StoreHint } from '../../ports/cluster-store.ts'
import { createConnection, type Connection } from './connection.ts'
import type { RedisClient } from './redis-client.ts'

export interface Hints {
  watch(onHint: (hint: StoreHint) => void): () => void
  close(): Promise<void>
}

export function createHints(parts: {
  readonly channel: string
  readonly createClient: () => Promise<RedisClient>
  readonly commandTimeoutMs: number
}): Hints {
  const watchers = new Set<{ readonly onHint: (hint: StoreHint) => void }>()
  let connection: Connection | undefined
  let isClosed = false

  const tell = (hint: StoreHint): void => watchers.forEach(({ onHint }) => onHint(hint))

  const tellAll = (text: string): void => {
    for (const hint of toHints(text)) tell(hint)
  }

  const connect = (): Connection =>
    createConnection({
      createClient: parts.createClient,
      commandTimeoutMs: parts.commandTimeoutMs,
      async greet(call, client) {
        client.on('message', (_channel, text) => tellAll(String(text)))
        await call('SUBSCRIBE', [parts.channel])
        tell({})
      },
      heartbeat: (call) => call('PING', []),
    })

  return {
    watch(onHint) {
      const watcher = { onHint }
      watchers.add(watcher)
      if (!isClosed && connection === undefined) {
        connection = connect()
        // It goes on by itself; until it is there hints are lost, as they may be.
        connection.whenReady().catch(() => undefined)
      }
      return () => void watchers.delete(watcher)
    },
    async close() {
      isClosed = true
      watchers.clear()
      await connection?.close()
    },
  }
}

/** One hint, or the owners of a group of commits. Anything else was not said by us. */
function toHints(text: string): StoreHint[] {
  try {
    const told = JSON.parse(text) as { readonly node?: unknown; readonly owners?: unknown }
    if (typeof told.node === 'string') return [{ node: told.node }]
    if (Array.isArray(told.owners)) return told.owners.map((owner) => ({ owner: String(owner) }))
  } catch {
    // Not JSON.
  }
  return [{}]
}
