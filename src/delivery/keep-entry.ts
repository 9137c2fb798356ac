/** Writes down what becomes of a delivery, however long the store takes to have it. */
import { backoffDelayMs, type BackoffPolicy } from '../../machines/policies/backoff.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { DeliveryReply, TaskStore } from '../ports/task-store.ts'
import { within } from '../within.ts'

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 5_000, jitter: 'full' }
/** A store that has lost a request, or its answer, does not say so. */
const ATTEMPT_LIMIT_MS = 10_000

/** `lost`: another process has it, or its task is gone. `stopped`: nobody waits for the store any more. */
export type Kept = Extract<DeliveryReply, { kind: 'put' }> | 'lost' | 'stopped'

export interface EntryKeeper {
  keep(entry: OutboxEntry): Promise<Kept>
  stop(): void
}

export function createEntryKeeper(parts: {
  readonly store: Pick<TaskStore, 'putDelivery'>
  readonly deadlines: Deadlines
  readonly random01: () => number
  readonly onError: (error: unknown, entry: OutboxEntry) => void
}): EntryKeeper {
  const { store, deadlines } = parts
  const waiting = new Set<() => void>()
  let isStopped = false

  const pause = (delayMs: number): Promise<void> =>
    new Promise((resolve) => {
      const goOn = (): void => {
        waiting.delete(goOn)
        moment.disarm()
        resolve()
      }
      const moment = deadlines.after(delayMs, goOn, undefined)
      waiting.add(goOn)
    })

  /** An entry that is put again in the same version, by the same node, gets the answer that was lost. */
  const put = (entry: OutboxEntry): Promise<DeliveryReply> => {
    const answer = async (): Promise<DeliveryReply> => store.putDelivery(entry)
    return within({ deadlines, limitMs: ATTEMPT_LIMIT_MS }, answer(), () => {
      throw new Error(`the store did not answer within ${ATTEMPT_LIMIT_MS} ms`)
    })
  }

  return {
    async keep(entry) {
      for (let failedAttempts = 1; ; failedAttempts += 1) {
        try {
          const reply = await put(entry)
          return reply.kind === 'put' ? reply : 'lost'
        } catch (error) {
          parts.onError(error, entry)
          if (isStopped) return 'stopped'
          await pause(backoffDelayMs(BACKOFF, { failedAttempts, random01: parts.random01() }))
        }
      }
    },
    stop() {
      isStopped = true
      for (const goOn of waiting) goOn()
    },
  }
}
