/** What becomes of a task whose attempt has failed, as its tool's policy or its call says. */
import type { ExhaustedLimit } from '../../machines/policies/retry.ts'
import type { TaskFailure } from '../../machines/vocabulary.ts'

/** How a task is tried again. All of it is optional: `{}` takes every default. */
export interface RetryPolicy {
  /** Attempts of one task, the first included: 1 to 1 000. @defaultValue 3 */
  readonly maxAttempts?: number
  /** The delay before the second attempt, in milliseconds. @defaultValue 500 */
  readonly baseMs?: number
  /** What each further delay is multiplied by, at least 1. @defaultValue 2 */
  readonly factor?: number
  /** No delay is longer than this, in milliseconds. @defaultValue 30 000 */
  readonly maxMs?: number
  /** `full` spreads a delay evenly between nothing and its whole length; `none` takes it as it is. @defaultValue 'full' */
  readonly jitter?: 'full' | 'none'
  /**
   * No attempt is made that would be due later than this after the start of the first, in milliseconds. It ends no attempt
   * that runs: that is `attemptTimeoutMs` and `timeoutMs`.
   * @defaultValue Infinity
   */
  readonly maxElapsedMs?: number
  /**
   * Whether a failure is worth another attempt. Called once per failed attempt, outside of any task, with the failure and
   * with what the code threw, or `undefined` where it threw nothing. Anything but `true` fails the task, and so does a
   * filter that throws; it is reported to the logger.
   * @defaultValue every failure but `result_unserialisable` and `result_too_large`
   */
  readonly retryIf?: (failure: TaskFailure, error: unknown) => boolean
  /**
   * Called once, when a task has failed because a limit was used up, after its end is public. Not called for a failure that
   * `retryIf` refuses, nor for a task that was stopped. What it throws or rejects with is reported to the logger.
   */
  readonly onExhausted?: (failure: TaskFailure, exhausted: RetryExhausted) => unknown
}

/** Which task has used up its attempts. */
export interface RetryExhausted {
  readonly taskId: string
  readonly owner: string
  readonly tool: string
  /** How many attempts were made. */
  readonly attempts: number
  /** `attempts`: `maxAttempts`. `elapsed`: `maxElapsedMs`, or all of `timeoutMs` has run. `restarts`: those of its parent's policy. */
  readonly limit: ExhaustedLimit
}
