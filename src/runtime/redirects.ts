/** Redirects of tasks that have ended: one more delivery, once per target unless somebody asks for another. */
import { isFinalStatus } from '../../machines/vocabulary.ts'
import { requestDelivery } from '../delivery/entries.ts'
import { MAX_TARGETS } from '../delivery/targets.ts'
import { TaskError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { CommitReply, Commit, TaskStore } from '../ports/task-store.ts'

const MAX_TRIES = 5

export interface Redirects {
  /**
   * Resolves once the delivery is requested. Does nothing when the result went to that target before, unless it is wanted
   * `again`.
   */
  redirectFinal(record: StoredRecord, target: string, again: boolean): Promise<void>
}

export function createRedirects(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  readonly createId: IdSource
  readonly nodeId: () => string | undefined
  readonly noteCommitted: (commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>) => void
}): Redirects {
  const { store, clock, createId } = parts
  return {
    async redirectFinal(found, target, again) {
      const { taskId, owner } = found
      let record: StoredRecord | undefined = found
      for (let tries = 0; tries < MAX_TRIES && record !== undefined; tries += 1) {
        // Its end is on its way to the store; a commit of ours would overtake it.
        if (!isFinalStatus(record.status)) break
        const requested = await store.readOutbox(taskId)
        const ends = requested.filter(({ kind }) => kind === 'end')
        if (!again && ends.some((entry) => entry.target === target)) return
        if (ends.length >= MAX_TARGETS) {
          throw new TaskError('not_allowed', `A result goes to ${MAX_TARGETS} targets at most.`, { taskId })
        }
        const version = record.version + 1
        const targets = record.targets.includes(target) ? record.targets : Object.freeze([...record.targets, target])
        const next: StoredRecord = Object.freeze({ ...record, version, targets })
        const entry = requestDelivery({
          deliveryId: createId(),
          taskId,
          owner,
          target,
          kind: 'end',
          node: parts.nodeId(),
          at: clock.now(),
        })
        const commit: Commit = {
          id: `${taskId}:${entry.deliveryId}`,
          expect: { version: record.version, epoch: record.epoch },
          record: next,
          events: [],
          trimTo: 0,
          outbox: [entry],
          claims: [],
          attachments: [],
        }
        const reply = await store.commit(commit)
        if (reply.kind === 'committed') return parts.noteCommitted(commit, reply)
        record = await store.read(taskId)
      }
      throw new TaskError('store_unavailable', 'The redirect could not be written.')
    },
  }
}
