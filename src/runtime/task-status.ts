/** Where a live task stands: read from its chart, and from the data beside it. Nothing here changes anything. */
import {
  toTaskStatus,
  type StopCause,
  type TaskStateValue,
  type TaskStatus,
  type WorkState,
} from '../../machines/vocabulary.ts'
import type { LiveTask } from './live-task.ts'

/** Where the chart stands; `queued` as long as the task has none. */
function stateOf(task: LiveTask): TaskStateValue {
  if (task.finalStatus !== undefined) return task.finalStatus
  return task.actor === undefined
    ? { live: { work: 'queued', caller: task.lastCaller } }
    : task.actor.getSnapshot().value
}

export function statusOf(task: LiveTask): TaskStatus {
  return toTaskStatus(stateOf(task))
}

/** The state of the work region, or nothing when the task is final. */
export function workOf(task: LiveTask): WorkState | undefined {
  const state = stateOf(task)
  return typeof state === 'string' ? undefined : state.live.work
}

/** Whether somebody awaits the call inline, or did when it ended. */
export function isAttached(task: LiveTask): boolean {
  const state = stateOf(task)
  return (typeof state === 'string' ? task.lastCaller : state.live.caller) === 'attached'
}

export function isStopping(task: LiveTask): boolean {
  return statusOf(task) === 'stopping'
}

/** The last attempt that has begun, from 1. */
export function attemptOf(task: LiveTask): number {
  return task.attempts === undefined ? 1 : task.attempts.current.number
}

/** Raised with each attempt and with each process. */
export function epochOf(task: LiveTask): number {
  return attemptOf(task) + (task.rare?.recovery?.epochsAhead ?? 0)
}

/** Why its code has to stop: because the task does, or only the attempt. */
export function currentCauseOf({ cause, attempts }: LiveTask): StopCause | undefined {
  if (cause !== undefined || attempts === undefined || attempts.current.isOver) return cause
  return attempts.current.cause
}

/** Whether another attempt follows as soon as the current one is over. */
export function isToBeRetried(task: LiveTask): boolean {
  return task.attempts?.nextAtMs !== undefined
}

/** Whether none of its code runs, or will run in another attempt. That its end waits for its turn changes nothing. */
export function hasEnded(task: LiveTask): boolean {
  if (task.finalStatus !== undefined) return true
  if (task.outcome !== undefined) return task.spec.attempts?.retry === undefined
  return task.ownCodeEnded && !isToBeRetried(task) && workOf(task) !== 'retrying'
}

/** The task above, if it still owns this one. */
export function parentOf(task: LiveTask): LiveTask | undefined {
  return task.above.kind === 'task' ? (task.above as LiveTask) : undefined
}

/** Whether it runs here, instead of standing for one that does not. */
export function isNoShadow({ spec }: LiveTask): boolean {
  return spec.shadowOf === undefined
}

/** The moment of the hard deadline; `Infinity` while the running time stands still, and when it has no limit. */
export function hardDeadlineAt({ spec, rare }: LiveTask, startedAt: number): number {
  const { timeoutMs } = spec.policy
  if (rare?.stood === undefined) return startedAt + timeoutMs
  const { leftMs, wentOnAt } = rare.stood
  return (wentOnAt ?? Infinity) + leftMs
}
