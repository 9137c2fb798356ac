/**
 * The only place that writes to the store.
 *
 * writing: a commit goes to the store as it comes.
 * paused: the store failed or let `commitWaitMs` pass. Commits wait in line; the one that failed is tried again, ever
 * more slowly. The first success sends the line after it, one by one, and then the writer writes again.
 *
 * 1. A commit keeps its id over all attempts, so one whose answer was lost is not applied twice.
 * 2. No commit is dropped.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../machines/policies/backoff.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Commit, CommitReply, TaskStore } from '../ports/task-store.ts'
import type { Counters } from './counters.ts'

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 5_000, jitter: 'full' }

export interface PendingCommit {
  readonly commit: Commit
  readonly onReply: (reply: CommitReply) => void
}

export interface StoreWriter {
  write(pending: PendingCommit): void
  isPaused(): boolean
  /** Commits that have no answer yet. */
  unansweredCount(): number
}

export function createStoreWriter(parts: {
  readonly store: TaskStore
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly counters: Counters
  readonly commitWaitMs: number
  readonly random01: () => number
  readonly onPause: () => void
}): StoreWriter {
  const { store, deadlines, logger, counters } = parts
  const line: PendingCommit[] = []
  let state: 'writing' | 'paused' | 'catchingUp' = 'writing'
  let unanswered = 0

  const pause = (): void => {
    if (state !== 'writing') return
    state = 'paused'
    parts.onPause()
  }

  const succeed = (pending: PendingCommit, reply: CommitReply): void => {
    unanswered -= 1
    if (state === 'paused') state = 'catchingUp'
    pending.onReply(reply)
    if (state !== 'catchingUp') return
    const next = line.shift()
    if (next === undefined) state = 'writing'
    else attempt(next, 1)
  }

  const retryLater = (pending: PendingCommit, failedAttempts: number, error: unknown): void => {
    counters.storeErrors += 1
    if (failedAttempts === 1)
      logger.error({ error, taskId: pending.commit.record.taskId }, 'the store failed; trying again')
    if (state === 'catchingUp') state = 'paused'
    else pause()
    const delayMs = backoffDelayMs(BACKOFF, { failedAttempts, random01: parts.random01() })
    deadlines.after(Math.max(1, delayMs), () => attempt(pending, failedAttempts + 1), undefined)
  }

  const attempt = (pending: PendingCommit, attemptNumber: number): void => {
    let answer: Awaitable<CommitReply>
    try {
      answer = store.commit(pending.commit)
    } catch (error) {
      return retryLater(pending, attemptNumber, error)
    }
    if (!(answer instanceof Promise)) return succeed(pending, answer)
    const patience = deadlines.after(parts.commitWaitMs, pause, undefined)
    answer.then(
      (reply) => {
        patience.disarm()
        succeed(pending, reply)
      },
      (error: unknown) => {
        patience.disarm()
        retryLater(pending, attemptNumber, error)
      },
    )
  }

  return {
    write(pending) {
      unanswered += 1
      if (state === 'writing') attempt(pending, 1)
      else line.push(pending)
    },
    isPaused: () => state === 'paused',
    unansweredCount: () => unanswered,
  }
}
