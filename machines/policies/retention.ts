/** What is kept of tasks that have ended, and of events that are only interesting while fresh. */

export interface RetentionPolicy {
  /** Finished tasks kept in one store; the oldest go first. */
  readonly maxFinished: number
  /** Bytes of results kept in one store; the oldest tasks go first. */
  readonly maxFinishedBytes: number
  /** How long a finished task is kept, in milliseconds from its end. */
  readonly finishedMs: number
}

/** What is kept of finished tasks at this moment. */
export interface KeptTasks {
  readonly count: number
  readonly bytes: number
  /** When the oldest of them ended, in milliseconds of the wall clock. */
  readonly oldestEndedAt: number
  readonly now: number
}

/** Whether the oldest finished task has to go. */
export function mustEvictOldest(policy: RetentionPolicy, kept: KeptTasks): boolean {
  const isTooMuch = kept.count > policy.maxFinished || kept.bytes > policy.maxFinishedBytes
  return isTooMuch || kept.oldestEndedAt + policy.finishedMs <= kept.now
}

export interface FreshEventsPolicy {
  /** Progress, output and custom events kept for one task. */
  readonly maxProgressEvents: number
  /** Characters of output and of custom payloads kept for one task. */
  readonly maxEventChars: number
}

/** One kept event that may be trimmed, oldest first in its list. */
export interface FreshEvent {
  readonly seq: number
  /** Its output, or its payload as JSON. */
  readonly chars: number
}

/** The highest sequence number to trim so that both limits hold, or 0 when nothing has to go. */
export function decideTrim(
  policy: FreshEventsPolicy,
  kept: { readonly events: readonly FreshEvent[]; readonly chars: number },
): number {
  let trimTo = 0
  let remaining = kept.events.length
  let { chars } = kept
  for (const event of kept.events) {
    if (remaining <= policy.maxProgressEvents && chars <= policy.maxEventChars) break
    trimTo = event.seq
    remaining -= 1
    chars -= event.chars
  }
  return trimTo
}
