/** What becomes of a task whose process is gone. Pure: everything it weighs is an argument. */
import type { StopCause, TaskStatus } from '../vocabulary.ts'
import { backoffDelayMs, type BackoffPolicy } from './backoff.ts'

/** A task that has not ended, and that no living process runs. */
export interface Orphan {
  readonly status: TaskStatus
  /** Why it, or its attempt, was being stopped. */
  readonly stopReason: StopCause['reason'] | undefined
  /** Its tool wants it to run again, and no task that has not ended owns it. */
  readonly mayRunAgain: boolean
  /** The tool is known here, with an input that fits. */
  readonly canRunHere: boolean
  /** How often its process was lost before while its code ran. */
  readonly interruptions: number
  readonly maxInterruptions: number
  /** What is left of its running time, in milliseconds. */
  readonly leftMs: number
  readonly orphanedForMs: number
}

export type RecoveryDecision =
  /** It goes on where it stood: none of its code ran. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'rerun'; readonly delayMs: number }
  | { readonly kind: 'close'; readonly as: 'cancelled' | 'timeout' | 'interrupted' }
  /** Another process may know its tool. */
  | { readonly kind: 'leave' }

/** How long a task waits for a process that knows its tool. */
export const ORPHAN_PATIENCE_MS = 60_000

/** The first time it runs again at once; a task that takes its process down with it comes back ever more slowly. */
const SLOWER: BackoffPolicy = { baseMs: 1_000, factor: 4, maxMs: 60_000, jitter: 'none' }

export function decideRecovery(orphan: Orphan): RecoveryDecision {
  const { status, stopReason, interruptions } = orphan
  if (status === 'stopping' && isCancelled(stopReason)) return { kind: 'close', as: 'cancelled' }
  if (orphan.leftMs <= 0) return { kind: 'close', as: 'timeout' }
  const ranThen = status !== 'queued' && status !== 'retrying'
  if (!orphan.mayRunAgain || (ranThen && interruptions >= orphan.maxInterruptions)) {
    return { kind: 'close', as: stopReason === 'timeout' ? 'timeout' : 'interrupted' }
  }
  if (!orphan.canRunHere) {
    return orphan.orphanedForMs < ORPHAN_PATIENCE_MS ? { kind: 'leave' } : { kind: 'close', as: 'interrupted' }
  }
  if (!ranThen) return { kind: 'resume' }
  const delayMs = interruptions === 0 ? 0 : backoffDelayMs(SLOWER, { failedAttempts: interruptions, random01: 0 })
  return { kind: 'rerun', delayMs }
}

/** Attempts alone are stopped by their time and by their children; everything else stops the task. */
function isCancelled(reason: StopCause['reason'] | undefined): boolean {
  return (
    reason === 'user' || reason === 'parent' || reason === 'shutdown' || reason === 'superseded' || reason === 'budget'
  )
}
