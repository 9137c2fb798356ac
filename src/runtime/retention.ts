/** Keeps what is kept of finished tasks within its limits: after ends, a batch a turn, and when the oldest gets too old. */
import type { Settings } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { Counters } from './counters.ts'

/** No prune is planned further ahead than a day; a later one plans the next. */
const MAX_AHEAD_MS = 86_400_000

/** So many at a time, so that a large eviction blocks nobody. */
const MAX_EVICTED = 1_000

export interface Retention {
  /** A task has ended. */
  noteEnd(): void
}

export function createRetention(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly settings: Settings
  readonly counters: Counters
  readonly reportError: (error: unknown) => void
}): Retention {
  const { store, clock, deadlines, settings, counters } = parts
  let isPlanned = false
  let nextPrune: Moment | undefined

  const prune = async (): Promise<void> => {
    const { maxFinished, maxFinishedBytes, finishedMs } = settings.retention
    const policy = { maxFinished, maxFinishedBytes, finishedMs }
    const reply = await store.prune({ ...policy, now: clock.now(), maxEvicted: MAX_EVICTED })
    counters.evictedTasks += reply.evicted
    nextPrune?.disarm()
    nextPrune = undefined
    if (reply.evicted === MAX_EVICTED) return noteEnd()
    if (reply.nextAt === undefined || reply.nextAt === Infinity) return
    const delayMs = Math.min(Math.max(1, reply.nextAt - clock.now()), MAX_AHEAD_MS)
    nextPrune = deadlines.idleAfter(delayMs, noteEnd, undefined)
  }

  const noteEnd = (): void => {
    if (isPlanned) return
    isPlanned = true
    clock.soon(() => {
      isPlanned = false
      prune().catch(parts.reportError)
    })
  }

  return { noteEnd }
}
