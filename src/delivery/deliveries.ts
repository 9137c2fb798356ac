/**
 * Sends results to their targets: each entry of the outbox once, after the commit that holds it.
 *
 * 1. A delivery is pending from the commit of the task's end on, and then delivered or failed; `settleDelivery` keeps it.
 * 2. A channel that throws, rejects or does not answer within `SEND_LIMIT_MS` fails its own delivery alone.
 */
import { messageOf } from '../errors.ts'
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
}

export function createDeliveries(parts: {
  readonly channels: ReadonlyMap<string, Channel>
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly runOutside: (work: () => void) => void
}): Deliveries {
  const { channels, store, clock, deadlines, logger } = parts
  const underWay = new Set<Promise<void>>()

  const send = async (record: StoredRecord, entry: OutboxEntry): Promise<void> => {
    const target = parseTarget(entry.target)
    const channel = channels.get(target.channel)
    if (channel === undefined) throw new Error(`there is no channel ${target.channel}`)
    const controller = new AbortController()
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

  const deliver = async (record: StoredRecord, entry: OutboxEntry): Promise<void> => {
    let settled: OutboxEntry
    try {
      await send(record, entry)
      settled = { ...entry, state: 'delivered', settledAt: clock.now() }
    } catch (thrown) {
      const error = messageOf(thrown).slice(0, MAX_ERROR_CHARS)
      logger.error({ taskId: entry.taskId, target: entry.target, error }, 'a result could not be delivered')
      settled = { ...entry, state: 'failed', settledAt: clock.now(), error }
    }
    try {
      await store.settleDelivery(settled)
    } catch (error) {
      logger.error({ taskId: entry.taskId, target: entry.target, error }, 'the outcome of a delivery could not be kept')
    }
  }

  return {
    take(record, entries) {
      for (const entry of entries) {
        parts.runOutside(() => {
          const delivery = deliver(record, entry).finally(() => underWay.delete(delivery))
          underWay.add(delivery)
        })
      }
    },
    async whenIdle() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}
