/** What may be asked of one task, and what the answers look like. */
import type { Observable } from 'rxjs'
import type { OnBusy } from '../../machines/policies/busy-key.ts'
import type { Correlation, OnParentEnd } from '../../machines/policies/lineage.ts'
import type { TaskStatus } from '../../machines/vocabulary.ts'
import type { RetryPolicy } from './retry-policy.ts'
import type { SendReceipt } from './message.ts'
import type { StreamItem } from './task-event.ts'
import type { Durability, TaskRecord } from './task-record.ts'

/** What a call may say about how it runs. */
export interface CallPolicy {
  readonly inlineMs?: number
  readonly timeoutMs?: number
  /** The limit of one attempt, in milliseconds. @defaultValue the tool's */
  readonly attemptTimeoutMs?: number
  /** How this task is tried again, instead of what the tool's policy says; `false` is never. */
  readonly retry?: RetryPolicy | false
  readonly onParentEnd?: OnParentEnd
  readonly durable?: boolean
  readonly queueMs?: number
  readonly concurrencyKey?: string
  readonly onBusy?: OnBusy
  readonly dedupeKey?: string
}

/** What a caller, and the model behind it, gets when a call went to the background. */
export interface Ticket {
  readonly taskId: string
  readonly tool: string
  readonly status: TaskStatus
  /** What a model reads. */
  readonly text: string
  /** Where the result will be delivered, if anywhere. */
  readonly target?: string
  /** Whether the task is kept past the end of the process. */
  readonly persisted: boolean
  readonly durability: Durability
}

/** How a call ended for its caller: with the value, or with a ticket for work that goes on. */
export type RunOutcome<Value> =
  | {
      readonly kind: 'inline'
      readonly value: Value
      readonly persisted: boolean
      /** What finds the record; absent when the call left no trace. */
      readonly taskId?: string
    }
  | { readonly kind: 'background'; readonly ticket: Ticket }

/**
 * What a task and everything below it may spend; at least one of the three limits. A child with a budget of its own gets at
 * most what is left above it, and draws on both; one without shares its parent's.
 */
export interface BudgetOptions {
  /** As `ctx.usage` reports them. */
  readonly tokens?: number
  readonly cost?: number
  /** Tasks that start below this one, however long they live. */
  readonly spawns?: number
  /**
   * The part of the tokens and of the cost that is kept for handing back: the tree is stopped when the rest is spent, and
   * has the grace to return what it has. From 0 to below 1.
   * @defaultValue 0.1
   */
  readonly reserve?: number
}

/** What any call may name. */
export interface CallOptions extends CallPolicy {
  /** Unique among the owner's live tasks, `^[a-z][a-z0-9_-]{0,63}$` after folding to lower case. */
  readonly name?: string
  readonly description?: string
  /** Kept with the record as JSON of at most 16 KiB. */
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly correlation?: Correlation
  /** @defaultValue none, but for the parent's */
  readonly budget?: BudgetOptions
  /** Among the queued tasks of its owner, the highest goes first: a whole number from -100 to 100. @defaultValue 0 */
  readonly priority?: number
  /** Where the result goes when the call went to the background; `[]` means nowhere. At most 100 targets. */
  readonly deliverTo?: string | readonly string[]
}

/** The options of `spawn`. */
export interface SpawnCall extends Omit<CallOptions, 'inlineMs'> {
  /** Aborted beforehand: nothing is started. */
  readonly signal?: AbortSignal
}

/** The options of `run`. */
export interface RunCall extends CallOptions {
  /** Stops the wait: the call rejects with the signal's reason, the task goes on in the background. */
  readonly signal?: AbortSignal
  /** Cancels the task. */
  readonly cancelSignal?: AbortSignal
}

/** The options of a wait. Giving up never touches the task. */
export interface WaitOptions {
  /**
   * In milliseconds.
   * @defaultValue the supervisor's `waitMs`, 300 000
   */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

/** The options of a stream. */
export interface StreamOptions {
  /**
   * Goes on right after a cursor, or after a sequence number in the stream of one task. `now` is live only. Absent:
   * everything that is kept, then live.
   */
  readonly after?: string | number
  /** Ends the stream. */
  readonly signal?: AbortSignal
  /** Yields `stream.heartbeat` whenever nothing else came for so long, in milliseconds. @defaultValue none */
  readonly heartbeatMs?: number
}

export interface CancelOptions {
  /** @defaultValue 'user' */
  readonly reason?: 'user' | 'superseded'
  readonly note?: string
}

/** What a cancel stopped, deepest first. */
export interface CancelReport {
  /** How many tasks were live when the cancel was accepted. */
  readonly count: number
  readonly tasks: readonly { readonly taskId: string; readonly status: TaskStatus }[]
}

/** A task of record in the caller's hands. It holds no state: every verb goes through the owner's gate. */
export interface TaskHandle<Value = unknown> {
  readonly taskId: string
  /** @throws `task_not_found` */
  record(): Promise<TaskRecord>
  /**
   * Waits for the end and gives the value.
   * @throws `task_failed`, `task_cancelled`, `wait_timeout`, `wait_cycle`, `task_not_found`
   */
  result(options?: WaitOptions): Promise<Value>
  /**
   * Waits for the end and gives the final record, whatever the outcome.
   * @throws `wait_timeout`, `wait_cycle`, `task_not_found`
   */
  wait(options?: WaitOptions): Promise<TaskRecord>
  /** Resolves when the whole tree below and the task itself are final. */
  cancel(options?: CancelOptions): Promise<CancelReport>
  /** Sends the result to another target from now on; on a final task, delivers it once more to that target. */
  redirect(target: string, options?: { readonly again?: boolean }): Promise<void>
  /** Answers an open question. @throws `input_invalid`, `question_closed`, `task_final`, `task_not_found` */
  answer(key: string, value: unknown): Promise<void>
  /** Puts a message into the inbox of the task. @throws `task_final`, `inbox_full`, `input_invalid`, `task_not_found` */
  send(message: unknown): Promise<SendReceipt>
  /** Gives the waiting caller its ticket now. */
  background(): Promise<Ticket>
  /** Waits inline again, as `run` does. */
  attach(options?: WaitOptions): Promise<RunOutcome<Value>>
  events(options?: StreamOptions): AsyncIterableIterator<StreamItem>
  readonly events$: Observable<StreamItem>
}
