/** Whether a failed attempt is followed by another, and after which delay. Pure: time and randomness are arguments. */
import type { FailureCode } from '../vocabulary.ts'
import { backoffDelayMs, type BackoffPolicy } from './backoff.ts'

export interface RetryLimits extends BackoffPolicy {
  /** Attempts of one task, the first included. */
  readonly maxAttempts: number
  /** No attempt is made that is due later than this after the start of the first, in milliseconds. */
  readonly maxElapsedMs: number
}

export interface FailedAttempt {
  /** From 1. */
  readonly attempt: number
  /** Since the start of the first attempt, in milliseconds. */
  readonly elapsedMs: number
  /** What is left of the task's running time, in milliseconds. */
  readonly runMsLeft: number
  /** What the filter of failures says. */
  readonly isRetryable: boolean
  /** A number in [0, 1). */
  readonly random01: number
}

/** Which limit is used up. `elapsed` is time of either kind, `restarts` is the parent's. */
export type ExhaustedLimit = 'attempts' | 'elapsed' | 'restarts'

export type RetryDecision =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fail'; readonly exhausted: ExhaustedLimit | undefined }

const NOT_RETRYABLE: RetryDecision = { kind: 'fail', exhausted: undefined }

/** What follows a failed attempt. A failure that the filter refuses has exhausted nothing. */
export function decideRetry(limits: RetryLimits, failed: FailedAttempt): RetryDecision {
  if (!failed.isRetryable) return NOT_RETRYABLE
  if (failed.attempt >= limits.maxAttempts) return { kind: 'fail', exhausted: 'attempts' }
  const delayMs = backoffDelayMs(limits, { failedAttempts: failed.attempt, random01: failed.random01 })
  const isTooLate = failed.elapsedMs + delayMs > limits.maxElapsedMs || failed.runMsLeft <= 0
  if (isTooLate) return { kind: 'fail', exhausted: 'elapsed' }
  return { kind: 'retry', delayMs }
}

/** Whether a failure is worth another attempt where no filter says so: a result that cannot be kept will not fit next time. */
export function isRetryableByDefault(code: FailureCode): boolean {
  return code !== 'result_unserialisable' && code !== 'result_too_large'
}
