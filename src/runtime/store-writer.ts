/**
 * The only place that writes to the store.
 *
 * writing: a commit goes to the store as it comes.
 * paused: the store failed or let `commitWaitMs` pass. Commits wait in line; the one that failed is tried again, ever
 * more slowly.
 * catching up: the store has answered again. The line goes out in its order, so many at a time, and then the writer writes.
 *
 * 1. A commit keeps its id over all attempts, so one whose answer was lost is not applied twice.
 * 2. What waits is counted in bytes. Beyond `maxUnsavedBytes` the writer is full: it still takes what it is given, and those
 *    who may refuse do.
 * 3. No commit is dropped. One that has no answer after `ATTEMPT_LIMIT_MS` is sent again; of two answers the first counts.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../machines/policies/backoff.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Commit, CommitReply, TaskStore } from '../ports/task-store.ts'
import type { Counters } from './counters.ts'

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 5_000, jitter: 'full' }
/** A store that has lost a request, or its answer, does not say so. */
const ATTEMPT_LIMIT_MS = 10_000
/** Commits that are on their way while the line gets shorter: enough for a store to group them. */
const CATCH_UP_WINDOW = 200

export interface PendingCommit {
  readonly commit: Commit
  readonly onReply: (reply: CommitReply) => void
}

/** A commit with what is known of its attempts. */
interface Sent {
  readonly pending: PendingCommit
  failedAttempts: number
  isAnswered: boolean
  /** What it takes while it waits; 0 as long as it does not. */
  bytes: number
}

export interface StoreWriter {
  write(pending: PendingCommit): void
  isPaused(): boolean
  /** Whether more waits than may. */
  isFull(): boolean
  /** Commits that have no answer yet. */
  unansweredCount(): number
}

export function createStoreWriter(parts: {
  readonly store: TaskStore
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly counters: Counters
  readonly commitWaitMs: number
  readonly maxUnsavedBytes: number
  readonly random01: () => number
  readonly onPause: () => void
}): StoreWriter {
  const { store, deadlines, logger, counters } = parts
  let line: Sent[] = []
  let state: 'writing' | 'paused' | 'catchingUp' = 'writing'
  let unanswered = 0
  let catchingUp = 0
  let unsavedBytes = 0

  const countAsWaiting = (sent: Sent): void => {
    if (sent.bytes > 0) return
    sent.bytes = sizeOf(sent.pending.commit)
    unsavedBytes += sent.bytes
  }

  const pause = (): void => {
    if (state === 'paused') return
    const wasWriting = state === 'writing'
    state = 'paused'
    if (wasWriting) parts.onPause()
  }

  const succeed = (sent: Sent, reply: CommitReply): void => {
    if (sent.isAnswered) return
    sent.isAnswered = true
    unanswered -= 1
    unsavedBytes -= sent.bytes
    if (state === 'paused') {
      state = 'catchingUp'
      catchingUp = 0
    }
    sent.pending.onReply(reply)
    if (state === 'catchingUp') catchUp()
  }

  const catchUp = (): void => {
    const next = line.slice(0, CATCH_UP_WINDOW - catchingUp)
    line = line.slice(next.length)
    catchingUp += next.length
    for (const sent of next) attempt(sent, () => (catchingUp -= 1))
    if (line.length === 0 && catchingUp === 0 && state === 'catchingUp') state = 'writing'
  }

  const retryLater = (sent: Sent, error: unknown): void => {
    if (sent.isAnswered) return
    sent.failedAttempts += 1
    countAsWaiting(sent)
    counters.storeErrors += 1
    if (state === 'writing')
      logger.error({ error, taskId: sent.pending.commit.record.taskId }, 'the store failed; trying again')
    pause()
    const delayMs = backoffDelayMs(BACKOFF, { failedAttempts: sent.failedAttempts, random01: parts.random01() })
    deadlines.after(Math.max(1, delayMs), () => attempt(sent), undefined)
  }

  const attempt = (sent: Sent, done = (): unknown => undefined): void => {
    if (sent.isAnswered) return
    let answer: Awaitable<CommitReply>
    try {
      answer = store.commit(sent.pending.commit)
    } catch (error) {
      done()
      return retryLater(sent, error)
    }
    if (!(answer instanceof Promise)) {
      done()
      return succeed(sent, answer)
    }
    let isOver = false
    const patience = deadlines.after(parts.commitWaitMs, pause, undefined)
    const end = (): boolean => {
      if (isOver) return false
      isOver = true
      patience.disarm()
      limit.disarm()
      done()
      return true
    }
    const limit = deadlines.after(
      Math.max(ATTEMPT_LIMIT_MS, parts.commitWaitMs),
      () => end() && retryLater(sent, new Error(`the store did not answer within ${ATTEMPT_LIMIT_MS} ms`)),
      undefined,
    )
    answer.then(
      (reply) => {
        end()
        succeed(sent, reply)
      },
      (error: unknown) => {
        if (end()) retryLater(sent, error)
      },
    )
  }

  return {
    write(pending) {
      unanswered += 1
      const sent: Sent = { pending, failedAttempts: 0, isAnswered: false, bytes: 0 }
      if (state === 'writing') return attempt(sent)
      countAsWaiting(sent)
      line.push(sent)
      if (state === 'catchingUp') catchUp()
    },
    isPaused: () => state === 'paused',
    isFull: () => unsavedBytes > parts.maxUnsavedBytes,
    unansweredCount: () => unanswered,
  }
}

const BYTES_OF_A_RECORD = 1_000

/** About what a commit takes. Written out only while the store is away. */
function sizeOf({ record, events, attachments }: Commit): number {
  const { resultJson = '' } = record
  const attached = attachments.reduce((sum, { json }) => sum + json.length, 0)
  return BYTES_OF_A_RECORD + resultJson.length + attached + JSON.stringify(events).length
}
