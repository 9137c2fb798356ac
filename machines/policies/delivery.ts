/** What follows a failed attempt to deliver something. Pure: time and randomness are arguments. */
import { backoffDelayMs, type BackoffPolicy } from './backoff.ts'

export interface DeliveryLimits extends BackoffPolicy {
  /** Attempts of one delivery, the first included. */
  readonly maxAttempts: number
  /** No attempt is made later than this after the delivery was asked for, in milliseconds. */
  readonly maxAgeMs: number
}

export interface FailedDelivery {
  /** Attempts that were made, this one included. */
  readonly attempts: number
  /** Since it was asked for, in milliseconds. */
  readonly ageMs: number
  /** When the receiver wants to be asked again, in milliseconds from now; absent where it does not say. */
  readonly retryAfterMs: number | undefined
  /** A number in [0, 1). */
  readonly random01: number
}

export type DeliveryDecision = { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: 'giveUp' }

/** Another attempt, no sooner than the receiver says and never later than `maxMs`, or none. */
export function decideDelivery(limits: DeliveryLimits, failed: FailedDelivery): DeliveryDecision {
  if (failed.attempts >= limits.maxAttempts) return { kind: 'giveUp' }
  const backoffMs = backoffDelayMs(limits, { failedAttempts: failed.attempts, random01: failed.random01 })
  const delayMs = Math.min(Math.max(backoffMs, failed.retryAfterMs ?? 0), limits.maxMs)
  return failed.ageMs + delayMs > limits.maxAgeMs ? { kind: 'giveUp' } : { kind: 'retry', delayMs }
}

/** Failures in a row after which a target counts as down. */
const BREAK_AFTER = 5

/**
 * How long a target is left alone before the next delivery to it may be tried, after so many failures in a row, whichever
 * deliveries they were of. Nothing while it does not count as down.
 */
export function breakMs(limits: BackoffPolicy, failuresInARow: number): number {
  if (failuresInARow < BREAK_AFTER) return 0
  return backoffDelayMs({ ...limits, jitter: 'none' }, { failedAttempts: failuresInARow, random01: 0 })
}
