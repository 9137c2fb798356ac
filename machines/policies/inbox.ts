/** What a bounded inbox takes, and when its owner is woken. */

export interface InboxLimits {
  readonly maxMessages: number
  /** Of the JSON of all that waits. */
  readonly maxBytes: number
}

export interface InboxFill {
  readonly count: number
  readonly bytes: number
}

/** Whether one more message fits. */
export function hasRoom(limits: InboxLimits, fill: InboxFill, messageBytes: number): boolean {
  return fill.count < limits.maxMessages && fill.bytes + messageBytes <= limits.maxBytes
}

/** How many quiet times somebody who never falls quiet may hold a wake back. */
const MAX_QUIET_TIMES = 10

/** The moment of a wake, for messages of which the first and the last came at these moments. */
export function decideWakeAt(news: {
  readonly firstAt: number
  readonly lastAt: number
  readonly quietMs: number
}): number {
  return Math.min(news.lastAt + news.quietMs, news.firstAt + MAX_QUIET_TIMES * news.quietMs)
}
