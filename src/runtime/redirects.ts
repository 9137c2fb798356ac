/** Redirects of tasks that have ended: one more delivery, once per target. */
import { isFinalStatus } from '../../machines/vocabulary.ts'
import { MAX_TARGETS } from '../delivery/targets.ts'
import { TaskError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { OutboxEntry, TaskStore } from '../ports/task-store.ts'

const MAX_TRIES = 5

export interface Redirects {
  /** Resolves once the delivery is requested. Does nothing when the result went to that target before. */
  redirectFinal(record: StoredRecord, target: string): Promise<void>
}

export function createRedirects(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  readonly createId: IdSource
  readonly deliver: (record: StoredRecord, entries: readonly OutboxEntry[]) => void
}): Redirects {
  const { store, clock, createId } = parts
  return {
    async redirectFinal(found, target) {
      const { taskId, owner } = found
      let record: StoredRecord | undefined = found
      for (let tries = 0; tries < MAX_TRIES && record !== undefined; tries += 1) {
        // Its end is on its way to the store; a commit of ours would overtake it.
        if (!isFinalStatus(record.status)) break
        const requested = await store.readOutbox(taskId)
        if (requested.some((entry) => entry.target === target)) return
        if (record.targets.length >= MAX_TARGETS) {
          throw new TaskError('not_allowed', `A result goes to ${MAX_TARGETS} targets at most.`, { taskId })
        }
        const version = record.version + 1
        const next: StoredRecord = Object.freeze({
          ...record,
          version,
          targets: Object.freeze([...record.targets, target]),
        })
        const entry: OutboxEntry = {
          deliveryId: createId(),
          taskId,
          owner,
          target,
          requestedAt: clock.now(),
          state: 'pending',
        }
        const reply = await store.commit({
          id: `${taskId}:${entry.deliveryId}`,
          expect: { version: record.version, epoch: record.epoch },
          record: next,
          events: [],
          trimTo: 0,
          outbox: [entry],
          claims: [],
          attachments: [],
        })
        if (reply.kind === 'committed') return parts.deliver(next, [entry])
        record = await store.read(taskId)
      }
      throw new TaskError('store_unavailable', 'The redirect could not be written.')
    },
  }
}
