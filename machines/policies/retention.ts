/** What is kept of tasks that have ended, and of events that are only interesting while fresh. */

export interface RetentionPolicy {
  /** Finished tasks kept in one store; the oldest go first. */
  readonly maxFinished: number
  /** How long a finished task is kept, in milliseconds from its end. */
  readonly finishedMs: number
}

export interface FinishedTask {
  readonly endedAt: number
}

/**
 * How many of the finished tasks, given oldest first, have to go now.
 * Stops at the first that may stay, so the cost is the number that goes.
 */
export function countToEvict(
  policy: RetentionPolicy,
  finished: { readonly count: number; readonly oldestFirst: Iterable<FinishedTask>; readonly now: number },
): number {
  let evicted = 0
  for (const { endedAt } of finished.oldestFirst) {
    const isOverCount = finished.count - evicted > policy.maxFinished
    const isTooOld = endedAt + policy.finishedMs <= finished.now
    if (!isOverCount && !isTooOld) break
    evicted += 1
  }
  return evicted
}

export interface FreshEventsPolicy {
  /** Progress, output and custom events kept for one task. */
  readonly maxProgressEvents: number
  /** Characters of output kept for one task. */
  readonly maxOutputChars: number
}

/** One kept event that may be trimmed, oldest first in its list. */
export interface FreshEvent {
  readonly seq: number
  /** The characters of an output event; 0 for any other. */
  readonly outputChars: number
}

/** The highest sequence number to trim so that both limits hold, or 0 when nothing has to go. */
export function decideTrim(
  policy: FreshEventsPolicy,
  kept: { readonly events: readonly FreshEvent[]; readonly outputChars: number },
): number {
  let trimTo = 0
  let remaining = kept.events.length
  let chars = kept.outputChars
  for (const event of kept.events) {
    if (remaining <= policy.maxProgressEvents && chars <= policy.maxOutputChars) break
    trimTo = event.seq
    remaining -= 1
    chars -= event.outputChars
  }
  return trimTo
}
