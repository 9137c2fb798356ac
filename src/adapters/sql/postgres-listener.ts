/**
 * Hears what other processes tell, on a connection that is used for nothing else.
 *
 * connecting → listening → (lost) → pausing → connecting. What was told between two connections is lost, so whoever
 * listens gets an empty hint with each new one.
 */
import type { StoreHint } from '../../ports/cluster-store.ts'
import type { Connection, Connections } from './postgres-connections.ts'
import { fromNotification } from './postgres-notification.ts'
import type { PostgresNotification } from './postgres-pool.ts'

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 2_000
/** How often is looked whether the server still answers, in milliseconds. */
const PROBE_MS = 5_000

export function listenToServer(parts: {
  readonly connections: Connections
  readonly channel: string
  /** Who tells; what it tells itself is not heard. */
  readonly self: string
  readonly onHint: (hint: StoreHint) => void
}): () => void {
  const { connections, channel, self, onHint } = parts
  const end = new AbortController()
  const isWanted = (): boolean => !end.signal.aborted
  let wake: (() => void) | undefined

  const pause = async (ms: number): Promise<void> => {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      wake = resolve
      timer = setTimeout(resolve, ms)
      timer.unref()
    })
    clearTimeout(timer)
    wake = undefined
  }

  const onNotification = ({ channel: at, payload }: PostgresNotification): void => {
    if (at !== channel) return
    const told = fromNotification(payload)
    if (told.from !== self) for (const hint of told.hints) onHint(hint)
  }

  const listen = async (connection: Connection): Promise<void> => {
    const { client } = connection
    const onEnd = (): void => wake?.()
    client.on('notification', onNotification)
    client.on('error', onEnd)
    client.on('end', onEnd)
    try {
      await connection.query(`listen "${channel}"`)
      onHint({})
      while (isWanted() && !connection.isBroken()) {
        await pause(PROBE_MS)
        if (isWanted()) await connection.query('select 1')
      }
      if (!connection.isBroken()) await connection.query(`unlisten "${channel}"`)
    } finally {
      client.removeListener('notification', onNotification)
      client.removeListener('error', onEnd)
      client.removeListener('end', onEnd)
      connection.release()
    }
  }

  const run = async (): Promise<void> => {
    for (let pauseMs = FIRST_PAUSE_MS; isWanted(); pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        const connection = await connections.take()
        pauseMs = FIRST_PAUSE_MS
        await listen(connection)
      } catch {
        // Hints may be lost. Whoever asks the store for something gets the error.
      }
      if (isWanted()) await pause(pauseMs)
    }
  }

  // Ends by itself when nobody wants to listen any more, and never rejects.
  void run()
  return () => {
    end.abort()
    wake?.()
  }
}
