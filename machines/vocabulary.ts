/**
 * The words of the product, as types: what a task is called while it lives, why it ended, and which orders its chart
 * understands. Nothing here runs.
 */

/** What the outside sees of a task. `stopping` covers every state in which the outcome is decided but work still ends. */
export type TaskStatus =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'retrying'
  | 'finishing'
  | 'stopping'
  | 'completed'
  | 'failed'
  | 'cancelled'

/** The statuses of a task that has not ended. */
export const LIVE_STATUSES = ['queued', 'running', 'waiting', 'retrying', 'finishing', 'stopping'] as const

/** The statuses of one that has. */
export const FINAL_STATUSES = ['completed', 'failed', 'cancelled'] as const

export const TASK_STATUSES: readonly TaskStatus[] = [...LIVE_STATUSES, ...FINAL_STATUSES]

/** A status no event leaves. */
export type FinalStatus = 'completed' | 'failed' | 'cancelled'

/** The states of the `work` region of the task chart. */
export type WorkState =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'retrying'
  | 'finishing'
  | 'failing'
  | 'cancelling'
  | 'timingOut'
  | 'interrupting'

/** The states of the `caller` region: somebody awaits the call inline, or a ticket is out. */
export type CallerState = 'attached' | 'detached'

/** The value of a task chart's snapshot. */
export type TaskStateValue = FinalStatus | { readonly live: { readonly work: WorkState; readonly caller: CallerState } }

/** Why a task was stopped. The first cause wins and is never replaced. */
export interface StopCause {
  readonly reason: 'user' | 'parent' | 'shutdown' | 'superseded' | 'budget' | 'child_failed' | 'timeout' | 'interrupted'
  /** Who asked: an owner, an operator or the id of a task. Absent when the library itself did. */
  readonly actor?: string
  readonly note?: string
}

/** Why a task failed, as plain capped data. It never carries a stack. */
export interface TaskFailure {
  readonly code: FailureCode
  /** The `name` of the error the tool threw. */
  readonly name: string
  readonly message: string
  readonly retryable: boolean
  readonly details?: unknown
  readonly cause?: TaskFailure
}

export const FAILURE_CODES = [
  'tool_error',
  'timeout',
  'queue_timeout',
  'interrupted',
  'child_failed',
  'result_unserialisable',
  'result_too_large',
] as const

export type FailureCode = (typeof FAILURE_CODES)[number]

/** The orders and reports the task chart understands. All data travels beside the chart, in the task's record. */
export type TaskChartEvent = { readonly type: TaskChartEventType }

export const TASK_CHART_EVENTS = [
  'work.started',
  'work.completed',
  'work.completedWithChildren',
  'work.failed',
  'work.failedWithChildren',
  'work.retry',
  'question.asked',
  'question.answered',
  'questions.settled',
  'child.failed',
  'children.settled',
  'teardown.finished',
  'grace.expired',
  'task.cancel',
  'task.interrupt',
  'deadline.queue',
  'deadline.hard',
  'deadline.attempt',
  'deadline.inline',
  'task.background',
  'task.redirect',
  'task.attach',
] as const

export type TaskChartEventType = (typeof TASK_CHART_EVENTS)[number]

/** The phases of a supervisor. */
export type SupervisorPhase = 'accepting' | 'draining' | 'stopped'

export const SUPERVISOR_CHART_EVENTS = ['supervisor.drain', 'supervisor.stop'] as const

export type SupervisorChartEvent = { readonly type: (typeof SUPERVISOR_CHART_EVENTS)[number] }

/** The states of the delivery chart. */
export type DeliveryPhase =
  | 'pending'
  | 'sending'
  | 'waitingToRetry'
  | 'shown'
  | 'deadLettered'
  | 'delivered'
  | 'withdrawn'

export const DELIVERY_CHART_EVENTS = [
  'delivery.send',
  'delivery.accepted',
  'delivery.shown',
  'delivery.failed',
  'delivery.giveUp',
  'delivery.interrupted',
  'delivery.withdraw',
  'delivery.replay',
] as const

export type DeliveryChartEventType = (typeof DELIVERY_CHART_EVENTS)[number]

export type DeliveryChartEvent = { readonly type: DeliveryChartEventType }

/** What the outside sees of a delivery: while it is on its way, it is `pending`. */
export type DeliveryState = 'pending' | 'delivered' | 'deadLettered' | 'withdrawn'

const STATE_OF_PHASE: Readonly<Record<DeliveryPhase, DeliveryState>> = {
  pending: 'pending',
  sending: 'pending',
  waitingToRetry: 'pending',
  shown: 'pending',
  deadLettered: 'deadLettered',
  delivered: 'delivered',
  withdrawn: 'withdrawn',
}

/** The outside state of a delivery chart's value. */
export function toDeliveryState(phase: DeliveryPhase): DeliveryState {
  return STATE_OF_PHASE[phase]
}

const STATUS_OF_WORK: Readonly<Record<WorkState, TaskStatus>> = {
  queued: 'queued',
  running: 'running',
  waiting: 'waiting',
  retrying: 'retrying',
  finishing: 'finishing',
  failing: 'stopping',
  cancelling: 'stopping',
  timingOut: 'stopping',
  interrupting: 'stopping',
}

/** The outside status of a chart value. */
export function toTaskStatus(value: TaskStateValue): TaskStatus {
  return typeof value === 'string' ? value : STATUS_OF_WORK[value.live.work]
}

/** Whether a status is one that no event leaves. */
export function isFinalStatus(status: TaskStatus): status is FinalStatus {
  return status === 'completed' || status === 'failed' || status === 'cancelled'
}
