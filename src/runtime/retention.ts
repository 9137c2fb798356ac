/**
 * Keeps what is kept of finished tasks within its limits: after ends, a batch a turn, and when the oldest gets too old. A store
 * that answers late is not asked for each end: only when some have come together, or a moment has passed.
 */
import type { Settings } from '../settings.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { Counters } from './counters.ts'

/** No prune is planned further ahead than a day; a later one plans the next. */
const MAX_AHEAD_MS = 86_400_000

/** How long a store that could not prune is left alone, unless a task ends meanwhile. */
const RETRY_MS = 5_000

/** How long a store that answers late is left alone after it was asked, unless so many tasks end, of those that may be kept. */
const REST_MS = 100
const REST_SHARE = 0.05

/** So many at a time, so that a large eviction blocks nobody. */
const MAX_EVICTED = 1_000

export interface Retention {
  /** A task has ended. */
  noteEnd(): void
  /** Nothing is dropped any more. */
  stop(): void
}

export function createRetention(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly settings: Settings
  readonly counters: Counters
}): Retention {
  const { store, clock, deadlines, logger, settings, counters } = parts
  const maxWaiting = Math.max(1, settings.retention.maxFinished * REST_SHARE)
  let isPlanned = false
  /** Ends that nobody has asked the store about. */
  let waiting = 0
  let resting: Moment | undefined
  let nextPrune: Moment | undefined
  let isStopped = false

  const prune = async (): Promise<void> => {
    const { maxFinished, maxFinishedBytes, finishedMs } = settings.retention
    const limits = { maxFinished, maxFinishedBytes, finishedMs, now: clock.now(), maxEvicted: MAX_EVICTED }
    const answer = store.prune(limits)
    if (answer instanceof Promise) rest()
    const reply = await answer
    counters.evictedTasks += reply.evicted
    if (reply.evicted === MAX_EVICTED) return plan()
    planNext((reply.nextAt ?? Infinity) - clock.now())
  }

  const planNext = (delayMs: number): void => {
    nextPrune?.disarm()
    const aheadMs = Math.min(Math.max(1, delayMs), MAX_AHEAD_MS)
    nextPrune = delayMs === Infinity ? undefined : deadlines.idleAfter(aheadMs, plan, undefined)
  }

  const noteError = (error: unknown): void => {
    if (isStopped) return
    counters.storeErrors += 1
    logger.error({ error }, 'the store could not drop finished tasks; trying again')
    planNext(RETRY_MS)
  }

  const plan = (): void => {
    if (isPlanned || isStopped) return
    isPlanned = true
    clock.soon(pruneNow)
  }

  const pruneNow = (): void => {
    isPlanned = false
    waiting = 0
    if (!isStopped) prune().catch(noteError)
  }

  const rest = (): void => {
    resting?.disarm()
    resting = deadlines.idleAfter(REST_MS, stopResting, undefined)
  }

  const stopResting = (): void => {
    resting = undefined
    if (waiting > 0) plan()
  }

  return {
    noteEnd() {
      waiting += 1
      if (resting === undefined || waiting >= maxWaiting) plan()
    },
    stop() {
      isStopped = true
      nextPrune?.disarm()
      resting?.disarm()
    },
  }
}
