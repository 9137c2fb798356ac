/**
 * Everything this library throws or rejects with, apart from a `TypeError` for bad options. One base, one stable
 * snake_case `code` each; a subclass exists only where callers read more than the code.
 */
import type { FailureCode, StopCause, TaskFailure } from '../machines/vocabulary.ts'

interface CodeDoc {
  readonly meaning: string
  readonly retryable: boolean
  readonly whatToDo: string
}

export const ERROR_DOCS = {
  task_not_found: {
    meaning: 'No task with this id exists for this owner. Unknown, foreign, evicted and malformed ids all answer so.',
    retryable: false,
    whatToDo: 'Use an id that this owner was given, while the task is still kept.',
  },
  task_failed: {
    meaning: 'The task ended as failed; `failure` says why.',
    retryable: false,
    whatToDo: 'Read `failure.code` and `failure.retryable`.',
  },
  task_cancelled: {
    meaning: 'The task ended as cancelled; `stopCause` says by whom.',
    retryable: false,
    whatToDo: 'Treat it as its own outcome, not as a failure.',
  },
  task_stopped: {
    meaning: "The `reason` of a task's AbortSignal: the task has to end now.",
    retryable: false,
    whatToDo: 'Stop working and settle; what is returned is kept as `partial`.',
  },
  task_final: {
    meaning: 'The task has ended, so the order came too late.',
    retryable: false,
    whatToDo: 'Read the result instead.',
  },
  wait_timeout: {
    meaning: 'The wait gave up after `waitMs`. The task goes on.',
    retryable: true,
    whatToDo: 'Wait again, or look at the task later.',
  },
  wait_cycle: {
    meaning: 'The task would wait for itself, for a task above it, or for one that waits for it.',
    retryable: false,
    whatToDo: 'Let the other task end first, or exchange the value another way.',
  },
  task_unreachable: {
    meaning: 'The process that runs the task does not answer, and nobody has taken the task over yet.',
    retryable: true,
    whatToDo: 'Try again; a process that is gone is noticed within one and a half times `leaseMs`.',
  },
  capacity_exceeded: {
    meaning: 'The supervisor holds as many live tasks as `limits.maxLive` allows.',
    retryable: true,
    whatToDo: 'Try again after `retryAfterMs`.',
  },
  queue_full: {
    meaning: 'As many tasks wait for their turn as `limits.maxQueued` allows.',
    retryable: true,
    whatToDo: 'Try again after `retryAfterMs`, or let calls run at once with `whenQueueFull: "inline"`.',
  },
  key_busy: {
    meaning: 'Another live task of this owner holds the concurrency key, and `onBusy` is `reject`.',
    retryable: true,
    whatToDo: 'Wait for the task that `taskId` names, or choose another `onBusy`.',
  },
  key_held_by_ancestor: {
    meaning: 'The task that holds the concurrency key waits for the one that asks for it, or stands above it.',
    retryable: false,
    whatToDo: 'Use another key below it, or let the holder end first.',
  },
  dedupe_conflict: {
    meaning: 'The dedupe key belongs to a task with another tool or another input.',
    retryable: false,
    whatToDo: 'Use a key of its own for each different call.',
  },
  depth_exceeded: {
    meaning: 'The new task would be deeper in its tree than `limits.maxDepth` allows.',
    retryable: false,
    whatToDo: 'Spawn less deeply, or raise the limit.',
  },
  children_exceeded: {
    meaning: 'The parent has as many live children as `limits.maxChildren` allows.',
    retryable: true,
    whatToDo: 'Wait for a child to end, or raise the limit.',
  },
  budget_exceeded: {
    meaning:
      'The budget of the task, or of one above it, is used up: its `spawns`, or its `tokens` or `cost` but for the reserve.',
    retryable: false,
    whatToDo: 'End the work and return what there is; `details` says what is used up.',
  },
  parent_stopping: {
    meaning:
      'A stop was accepted for the parent, for a task above it or for its run; nothing starts below it any more.',
    retryable: false,
    whatToDo: 'End the work; the signal has fired or is about to.',
  },
  name_taken: {
    meaning: 'Another live task of this owner has this name.',
    retryable: true,
    whatToDo: 'Choose another name, or wait until that task has ended.',
  },
  name_invalid: {
    meaning: 'A task name is a letter followed by up to 63 letters, digits, `_` or `-`, and is not a reserved word.',
    retryable: false,
    whatToDo: 'Choose another name.',
  },
  input_invalid: {
    meaning:
      "The input, an answer, a question, a message or an event's payload does not fit its schema or cannot be copied.",
    retryable: false,
    whatToDo: 'Correct the value; `details` lists what is wrong where a schema said so.',
  },
  target_invalid: {
    meaning: 'The delivery target is not of the form `channel` or `channel:id`, or no such channel is set up.',
    retryable: false,
    whatToDo: 'Use the name of a channel that the supervisor was given.',
  },
  delivery_not_found: {
    meaning: 'No dead letter with this id exists for this owner. Unknown, foreign and settled ones all answer so.',
    retryable: false,
    whatToDo: 'List the dead letters again; somebody may have sent it meanwhile.',
  },
  not_allowed: {
    meaning: 'The verb is not open to this caller or not in this state.',
    retryable: false,
    whatToDo: 'Read the message; it names what would be needed.',
  },
  inbox_full: {
    meaning: 'As many messages wait to be read as `inbox` allows, or they are as large.',
    retryable: true,
    whatToDo: 'Try again after `retryAfterMs`: whoever reads there makes room.',
  },
  question_closed: {
    meaning:
      'The question is not open: it has its answer, its time is over, its code has ended, or it was never asked. `details.reason` says which.',
    retryable: false,
    whatToDo: 'Look at the `questions` of the record: these are open.',
  },
  invalid_cursor: {
    meaning: 'The cursor is damaged, or belongs to another task, owner or list.',
    retryable: false,
    whatToDo: 'Start without a cursor, or with one that this stream gave.',
  },
  stream_lagged: {
    meaning: 'The consumer was slower than its buffer and was cut off; `cursor` says where it stood.',
    retryable: true,
    whatToDo: 'Subscribe again with `after: error.cursor`.',
  },
  supervisor_closed: {
    meaning: 'The supervisor is draining or stopped and takes no new work.',
    retryable: false,
    whatToDo: 'Use another supervisor.',
  },
  store_unavailable: {
    meaning: 'The store does not answer, or did not within `commitWaitMs`. Nothing was started.',
    retryable: true,
    whatToDo: 'Try again after `retryAfterMs`.',
  },
  store_full: {
    meaning: 'The store has no room, or more waits to be written to it than `maxUnsavedBytes` allows.',
    retryable: true,
    whatToDo: 'Try again after `retryAfterMs`; see to the store.',
  },
  store_unusable: {
    meaning:
      'The store cannot be used as it is: it is damaged, newer or older than this code needs, or holds something else; a right, the right password or a package is missing.',
    retryable: false,
    whatToDo: 'Read the message; it says what a person has to do. Nothing was changed.',
  },
} as const satisfies Record<string, CodeDoc>

/** The stable code of a `TaskError`. */
export type ErrorCode = keyof typeof ERROR_DOCS

export const ERROR_CODES = Object.keys(ERROR_DOCS) as readonly ErrorCode[]

/** What each code of a `TaskFailure` means. */
export const FAILURE_DOCS: Readonly<Record<FailureCode, string>> = {
  tool_error: "The tool's own code threw or rejected.",
  timeout: 'The hard deadline `timeoutMs` passed, or the last attempt took longer than `attemptTimeoutMs`.',
  queue_timeout: 'The task waited in the queue longer than its limit.',
  interrupted: 'The process that ran the task lost it.',
  child_failed: 'A child failed, and the tool asked for `onChildFailure: "fail"`, or its `restarts` were used up.',
  result_unserialisable: 'The result cannot be kept as JSON.',
  result_too_large:
    'The result is larger than `retention.maxResultBytes`, and is no string that `retention.oversizeResult` lets be cut.',
}

interface TaskErrorFields {
  readonly taskId?: string | undefined
  readonly retryAfterMs?: number | undefined
  readonly details?: unknown
  readonly cause?: unknown
}

/** The base of every error with a code. Prefer `isTaskError` to `instanceof`. */
export class TaskError extends Error {
  readonly code: ErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  readonly taskId?: string
  /** A hint, in milliseconds, for errors that are retryable. */
  readonly retryAfterMs?: number
  readonly details?: unknown

  constructor(code: ErrorCode, message: string, fields: TaskErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'TaskError'
    this.code = code
    this.retryable = ERROR_DOCS[code].retryable
    if (fields.taskId !== undefined) this.taskId = fields.taskId
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs
    if (fields.details !== undefined) this.details = fields.details
  }
}

/** The one answer to every id that is not a kept task of this owner. It carries nothing that tells the cases apart. */
export class TaskNotFoundError extends TaskError {
  constructor() {
    super('task_not_found', 'There is no such task.')
    this.name = 'TaskNotFoundError'
  }
}

/** A task whose result was asked for has failed. */
export class TaskFailedError extends TaskError {
  readonly failure: TaskFailure

  constructor(taskId: string, failure: TaskFailure) {
    super('task_failed', `The task failed: ${failure.message}`, { taskId })
    this.name = 'TaskFailedError'
    this.failure = failure
  }
}

/** A task whose result was asked for was cancelled. */
export class TaskCancelledError extends TaskError {
  readonly stopCause: StopCause

  constructor(taskId: string, stopCause: StopCause) {
    super('task_cancelled', `The task was cancelled (${stopCause.reason}).`, { taskId })
    this.name = 'TaskCancelledError'
    this.stopCause = stopCause
  }
}

/** The `reason` of a task's signal. */
export class TaskStoppedError extends TaskError {
  readonly stopCause: StopCause

  constructor(taskId: string, stopCause: StopCause) {
    super('task_stopped', `The task has to stop (${stopCause.reason}).`, { taskId })
    this.name = 'TaskStoppedError'
    this.stopCause = stopCause
  }
}

/** A wait gave up; the task goes on. */
export class WaitTimeoutError extends TaskError {
  constructor(waitMs: number) {
    super('wait_timeout', `The wait gave up after ${waitMs} ms. The task goes on.`)
    this.name = 'WaitTimeoutError'
  }
}

/** Nothing starts below a task that is stopping. */
export class ParentStoppingError extends TaskError {
  constructor(taskId?: string) {
    super('parent_stopping', 'Nothing can start below a task that is stopping.', { taskId })
    this.name = 'ParentStoppingError'
  }
}

/** A consumer was cut off because its buffer was full. */
export class StreamLaggedError extends TaskError {
  /** Where to resume: `events({ after: error.cursor })`. Absent when the stream had not reached its first event. */
  readonly cursor?: string

  constructor(cursor: string | undefined) {
    super('stream_lagged', 'The consumer was slower than its buffer and was cut off.')
    this.name = 'StreamLaggedError'
    if (cursor !== undefined) this.cursor = cursor
  }
}

/** What a thrown value says. Nothing that is thrown, however odd, makes this throw. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    // Whatever its getters threw says nothing about the error.
    return 'a value that cannot be shown'
  }
}

/**
 * Whether a value is an error of this family, with this code if one is given. Works across copies of the package.
 *
 * @example
 * ```ts no-run
 * try {
 *   await task.result()
 * } catch (error) {
 *   if (isTaskError(error, 'wait_timeout')) return 'still running'
 *   throw error
 * }
 * ```
 */
export function isTaskError(value: unknown, code?: ErrorCode): value is TaskError {
  if (!(value instanceof Error) || !('code' in value) || !('retryable' in value)) return false
  return code === undefined ? Object.hasOwn(ERROR_DOCS, String(value.code)) : value.code === code
}

/** Whether the same call may succeed later: what a store says in an outage, and any error that says nothing of the kind. */
export function mayPass(error: unknown): boolean {
  return !isTaskError(error) || error.retryable
}
