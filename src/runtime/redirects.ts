/** Redirects of tasks that have ended: one more delivery, once per target unless somebody asks for another. */
import { isFinalStatus } from '../../machines/vocabulary.ts'
import { requestDelivery } from '../delivery/entries.ts'
import { MAX_TARGETS } from '../delivery/targets.ts'
import { TaskError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { CommitReply, Commit, TaskStore } from '../ports/task-store.ts'
import { within } from '../within.ts'
import type { StoreWriter } from './journal/store-writer.ts'

const MAX_TRIES = 5

export interface Redirects {
  /**
   * Resolves once the delivery is requested. Does nothing when the result went to that target before, unless it is wanted
   * `again`.
   * @throws `not_allowed`; `store_unavailable` when the store takes too long: it is requested all the same, once that answers
   */
  redirectFinal(record: StoredRecord, target: string, again: boolean): Promise<void>
}

export function createRedirects(parts: {
  readonly store: TaskStore
  /** Sends a commit until it is answered: what the store has under the name of this process nobody else would send. */
  readonly write: StoreWriter['write']
  readonly deadlines: Deadlines
  readonly clock: Clock
  readonly createId: IdSource
  /** How long a caller waits for the store. */
  readonly commitWaitMs: number
  readonly nodeId: () => string | undefined
  readonly noteCommitted: (commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>) => void
  /** Sends what the store has already. */
  readonly send: (entries: readonly OutboxEntry[]) => void
}): Redirects {
  const { store, deadlines, clock, createId } = parts

  const write = (commit: Commit): Promise<boolean> =>
    new Promise((resolve) => {
      const onReply = (reply: CommitReply): void => {
        if (reply.kind === 'committed') parts.noteCommitted(commit, reply)
        resolve(reply.kind === 'committed')
      }
      parts.write({ commit, onReply })
    })

  const request = async (found: StoredRecord, target: string, again: boolean): Promise<void> => {
    const { taskId } = found
    const deliveryId = createId()
    let record: StoredRecord | undefined = found
    for (let tries = 0; tries < MAX_TRIES && record !== undefined; tries += 1) {
      // Its end is on its way to the store; a commit of ours would overtake it.
      if (!isFinalStatus(record.status)) break
      const requested = await store.readOutbox(taskId)
      const kept = requested.find((entry) => entry.deliveryId === deliveryId)
      // Its answer was lost, and another commit came before it was sent again.
      if (kept !== undefined) return parts.send([kept])
      const ends = requested.filter(({ kind }) => kind === 'end')
      if (!again && ends.some((entry) => entry.target === target)) return
      if (ends.length >= MAX_TARGETS) {
        throw new TaskError('not_allowed', `A result goes to ${MAX_TARGETS} targets at most.`, { taskId })
      }
      const node = parts.nodeId()
      const entry = requestDelivery({ deliveryId, task: found, target, kind: 'end', node, at: clock.now() })
      const version = record.version + 1
      const targets = record.targets.includes(target) ? record.targets : Object.freeze([...record.targets, target])
      const isKept = await write({
        id: `${taskId}:${deliveryId}:${version}`,
        expect: { version: record.version, epoch: record.epoch },
        record: Object.freeze({ ...record, version, targets }),
        events: [],
        trimTo: 0,
        outbox: [entry],
        claims: [],
        attachments: [],
      })
      if (isKept) return
      record = await store.read(taskId)
    }
    throw new TaskError('store_unavailable', 'The redirect could not be written.')
  }

  return {
    redirectFinal: (record, target, again) =>
      within({ deadlines, limitMs: parts.commitWaitMs }, request(record, target, again), () => {
        throw new TaskError('store_unavailable', 'The store does not answer; the redirect is made once it does.')
      }),
  }
}
