/**
 * Sends results to their targets: each entry of the outbox once, after the commit that holds it.
 *
 * 1. A delivery is pending from the commit of the task's end on, and then delivered or failed; `settleDelivery` keeps it.
 * 2. A channel that throws, rejects or does not answer within `SEND_LIMIT_MS` fails its own delivery alone.
 * 3. What is on its way already is not sent again meanwhile.
 * 4. What is on its way at `stop` gets its signal and stays pending. What the store still answers later is sent as ever.
 */
import { messageOf } from '../errors.ts'
import { partOf } from '../kept-text.ts'
import type { Channel } from '../ports/channel.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { OutboxEntry, TaskStore } from '../ports/task-store.ts'
import { endNotice } from './notices.ts'
import { parseTarget } from './targets.ts'

const SEND_LIMIT_MS = 30_000
const MAX_ERROR_CHARS = 500

export interface Deliveries {
  take(record: StoredRecord, entries: readonly OutboxEntry[]): void
  /** Resolves when nothing is on its way. */
  whenIdle(): Promise<void>
  /** Gives up what is on its way, and says how much that was. */
  stop(): number
}

export function createDeliveries(parts: {
  readonly channels: ReadonlyMap<string, Channel>
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly runOutside: (work: () => void) => void
  readonly onFailed: () => void
  readonly onStoreError: () => void
}): Deliveries {
  const { channels, store, clock, deadlines, logger } = parts
  const underWay = new Map<Promise<void>, AbortController>()
  const ids = new Set<string>()
  const stopped = new Error('the supervisor has stopped')

  const send = async (record: StoredRecord, entry: OutboxEntry, controller: AbortController): Promise<void> => {
    const target = parseTarget(entry.target)
    const channel = channels.get(target.channel)
    if (channel === undefined) throw new Error(`there is no channel ${target.channel}`)
    const text = endNotice(record)
    const message = { id: entry.deliveryId, kind: 'end' as const, text, part: 1, parts: 1, taskId: record.taskId }
    let limit: { disarm(): void } | undefined
    const tooLong = new Promise<never>((_resolve, reject) => {
      const pass = (): void => {
        const error = new Error(`the channel did not answer within ${SEND_LIMIT_MS} ms`)
        controller.abort(error)
        reject(error)
      }
      limit = deadlines.after(SEND_LIMIT_MS, pass, undefined)
    })
    try {
      await Promise.race([channel.send({ target, message, signal: controller.signal }), tooLong])
    } finally {
      limit?.disarm()
    }
  }

  const deliver = async (record: StoredRecord, entry: OutboxEntry, controller: AbortController): Promise<void> => {
    let settled: OutboxEntry
    try {
      await send(record, entry, controller)
      settled = { ...entry, state: 'delivered', settledAt: clock.now() }
    } catch (thrown) {
      // `stop` has counted it.
      if (controller.signal.reason === stopped) return
      const error = partOf(messageOf(thrown), { from: 0, maxChars: MAX_ERROR_CHARS })
      parts.onFailed()
      logger.error({ taskId: entry.taskId, target: entry.target, error }, 'a result could not be delivered')
      settled = { ...entry, state: 'failed', settledAt: clock.now(), error }
    }
    if (controller.signal.reason === stopped) return
    try {
      await store.settleDelivery(settled)
    } catch (error) {
      parts.onStoreError()
      logger.error({ taskId: entry.taskId, target: entry.target, error }, 'the outcome of a delivery could not be kept')
    }
  }

  return {
    take(record, entries) {
      for (const entry of entries) {
        if (ids.has(entry.deliveryId)) continue
        ids.add(entry.deliveryId)
        parts.runOutside(() => {
          const controller = new AbortController()
          const delivery = deliver(record, entry, controller).finally(() => {
            underWay.delete(delivery)
            ids.delete(entry.deliveryId)
          })
          underWay.set(delivery, controller)
        })
      }
    },
    async whenIdle() {
      while (underWay.size > 0) await Promise.all(underWay.keys())
    },
    stop() {
      const count = underWay.size
      if (count > 0) logger.error({ count }, 'the supervisor stopped while results were on their way')
      for (const controller of underWay.values()) controller.abort(stopped)
      return count
    },
  }
}
