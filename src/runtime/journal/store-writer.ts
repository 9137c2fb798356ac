/**
 * The only place that writes to the store.
 *
 * writing: a commit goes to the store as it comes.
 * paused: the store failed or let `commitWaitMs` pass. Commits wait in line; those that failed are tried again, ever more
 * slowly, and after some attempts another one with them.
 * catching up: the store has answered again. What had failed and the line go out in their order, so many at a time, and then
 * the writer writes.
 *
 * 1. A commit keeps its id over all attempts, so one whose answer was lost is not applied twice.
 * 2. What waits is counted in bytes. Beyond `maxUnsavedBytes` the writer is full: it still takes what it is given, and those
 *    who may refuse do.
 * 3. No commit is dropped. One that has no answer after `ATTEMPT_LIMIT_MS` is sent again; of two answers the first counts.
 * 4. A commit that fails again while others are answered is tried on its own, and holds up nobody.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../../machines/policies/backoff.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Awaitable } from '../../ports/awaitable.ts'
import type { Commit, CommitReply, TaskStore } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 5_000, jitter: 'full' }
/** A store that has lost a request, or its answer, does not say so. */
const ATTEMPT_LIMIT_MS = 10_000
/** A commit that has failed so often may be what is wrong. */
const SUSPICIOUS_ATTEMPTS = 3
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
  /** In the order in which they came. */
  readonly number: number
  /** It failed again while others were answered: what is wrong is not the store. */
  isAlone: boolean
  /** How many had been answered when it failed last. */
  answeredBefore: number
  /** It was tried once as soon as the store answered others. */
  wasWoken: boolean
  /** What it takes while it waits; 0 as long as it does not. */
  bytes: number
}

/** One commit on its way. A class, because each commit makes one: it has one moment at a time, and no closures of its own. */
class Attempt {
  readonly sent: Sent
  readonly isCatchingUp: boolean
  isOver = false
  moment: Moment | undefined

  constructor(sent: Sent, isCatchingUp: boolean) {
    this.sent = sent
    this.isCatchingUp = isCatchingUp
  }
}

export interface StoreWriter {
  write(pending: PendingCommit): void
  isPaused(): boolean
  /** Whether more waits than may. */
  isFull(): boolean
  /** Commits that have no answer yet. */
  unansweredCount(): number
  /** Whether the store lets commits wait for their answers, so that one commit is better than two. */
  answersLate(): boolean
}

export function createStoreWriter(parts: {
  readonly store: Pick<TaskStore, 'commit'>
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
  /** Those before it have left the line. */
  let head = 0
  let state: 'writing' | 'paused' | 'catchingUp' = 'writing'
  let unanswered = 0
  let catchingUp = 0
  let unsavedBytes = 0
  let written = 0
  let answered = 0
  let answersLate = false
  /** Taken from the line while the writer was paused, to see whether the store takes this one. */
  let another: Sent | undefined
  /** Those that failed, with the moments of their next attempts. */
  const resting = new Map<Sent, Moment>()

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
    // An answer may come after all, while the next attempt is planned already.
    resting.get(sent)?.disarm()
    resting.delete(sent)
    unanswered -= 1
    answered += 1
    unsavedBytes -= sent.bytes
    if (state === 'paused') {
      state = 'catchingUp'
      line = [...wakeResting(), ...line.slice(head)]
      head = 0
    }
    sent.pending.onReply(reply)
    if (state === 'catchingUp') catchUp()
  }

  /** Who has failed in an outage need not wait for a moment that was chosen in it. */
  const wakeResting = (): Sent[] => {
    const woken = [...resting].filter(([sent]) => !sent.wasWoken).sort(([a], [b]) => a.number - b.number)
    return woken.map(([sent, moment]) => {
      moment.disarm()
      resting.delete(sent)
      sent.wasWoken = true
      return sent
    })
  }

  /** The first ones of the line. What is left is not moved for each of them. */
  const take = (count: number): Sent[] => {
    const taken = line.slice(head, head + count)
    head += taken.length
    if (head > line.length / 2) {
      line = line.slice(head)
      head = 0
    }
    return taken
  }

  const catchUp = (): void => {
    const next = take(CATCH_UP_WINDOW - catchingUp)
    catchingUp += next.length
    for (const sent of next) attempt(sent, true)
    if (line.length === 0 && catchingUp === 0 && state === 'catchingUp') state = 'writing'
  }

  const retryLater = (sent: Sent, error: unknown): void => {
    if (sent.isAnswered) return
    if (sent.failedAttempts > 0 && answered > sent.answeredBefore) sent.isAlone = true
    sent.failedAttempts += 1
    sent.answeredBefore = answered
    countAsWaiting(sent)
    counters.storeErrors += 1
    if (!sent.isAlone) {
      if (state === 'writing')
        logger.error({ error, taskId: sent.pending.commit.record.taskId }, 'the store failed; trying again')
      pause()
    }
    const delayMs = backoffDelayMs(BACKOFF, { failedAttempts: sent.failedAttempts, random01: parts.random01() })
    resting.set(sent, deadlines.after(Math.max(1, delayMs), retry, sent))
  }

  /** The store may have something against those alone that have failed. One at a time is enough to know. */
  const tryAnother = (): void => {
    const isUnderWay = another !== undefined && !another.isAnswered && another.failedAttempts < SUSPICIOUS_ATTEMPTS
    if (isUnderWay) return
    another = take(1)[0]
    if (another !== undefined) attempt(another)
  }

  const retry = (sent: Sent): void => {
    resting.delete(sent)
    if (state === 'paused' && sent.failedAttempts >= SUSPICIOUS_ATTEMPTS) tryAnother()
    attempt(sent)
  }

  const attempt = (sent: Sent, isCatchingUp = false): void => {
    const tried = new Attempt(sent, isCatchingUp)
    if (sent.isAnswered) return void end(tried)
    let answer: Awaitable<CommitReply>
    try {
      answer = store.commit(sent.pending.commit)
    } catch (error) {
      end(tried)
      return retryLater(sent, error)
    }
    if (!(answer instanceof Promise)) {
      end(tried)
      return succeed(sent, answer)
    }
    answersLate = true
    tried.moment = deadlines.after(parts.commitWaitMs, loseHope, tried)
    answer.then(
      (reply) => {
        end(tried)
        succeed(sent, reply)
      },
      (error: unknown) => {
        if (end(tried)) retryLater(sent, error)
      },
    )
  }

  /** Whether this was what ended the attempt. */
  const end = (tried: Attempt): boolean => {
    if (tried.isOver) return false
    tried.isOver = true
    tried.moment?.disarm()
    if (tried.isCatchingUp) catchingUp -= 1
    return true
  }

  const limitMs = Math.max(ATTEMPT_LIMIT_MS, parts.commitWaitMs)

  const loseHope = (tried: Attempt): void => {
    pause()
    tried.moment = deadlines.after(limitMs - parts.commitWaitMs, giveUp, tried)
  }

  const giveUp = (tried: Attempt): void => {
    if (end(tried)) retryLater(tried.sent, new Error(`the store did not answer within ${limitMs} ms`))
  }

  return {
    write(pending) {
      unanswered += 1
      const fresh = {
        failedAttempts: 0,
        isAnswered: false,
        isAlone: false,
        answeredBefore: 0,
        wasWoken: false,
        bytes: 0,
      }
      const sent: Sent = { pending, number: (written += 1), ...fresh }
      if (state === 'writing') return attempt(sent)
      countAsWaiting(sent)
      line.push(sent)
      if (state === 'catchingUp') catchUp()
    },
    isPaused: () => state === 'paused',
    isFull: () => unsavedBytes > parts.maxUnsavedBytes,
    unansweredCount: () => unanswered,
    answersLate: () => answersLate,
  }
}

const BYTES_OF_A_RECORD = 1_000

/** About what a commit takes. Written out only while the store is away. */
function sizeOf({ record, events, attachments }: Commit): number {
  const { resultJson = '' } = record
  const attached = attachments.reduce((sum, { json }) => sum + json.length, 0)
  return BYTES_OF_A_RECORD + resultJson.length + attached + JSON.stringify(events).length
}
