/** How long to wait before the next attempt. Pure: the randomness is an argument. */

export interface BackoffPolicy {
  /** The delay before the second attempt, in milliseconds. */
  readonly baseMs: number
  /** What each further delay is multiplied by. */
  readonly factor: number
  /** No delay is longer than this, in milliseconds. */
  readonly maxMs: number
  /** `full` spreads a delay evenly between nothing and its whole length; `none` takes it as it is. */
  readonly jitter: 'full' | 'none'
}

export interface BackoffMoment {
  /** How many attempts have failed so far, from 1. */
  readonly failedAttempts: number
  /** A number in [0, 1). */
  readonly random01: number
}

/** The delay in whole milliseconds, never above `maxMs` and never below zero. */
export function backoffDelayMs(policy: BackoffPolicy, { failedAttempts, random01 }: BackoffMoment): number {
  // Held finite: nothing times infinity is not a number.
  const growth = Math.min(policy.factor ** Math.max(0, failedAttempts - 1), Number.MAX_VALUE)
  const ceilingMs = Math.min(policy.baseMs * growth, policy.maxMs, Number.MAX_SAFE_INTEGER)
  return Math.floor(policy.jitter === 'full' ? ceilingMs * random01 : ceilingMs)
}
