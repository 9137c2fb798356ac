/** What one owner may ask: the shapes of the gate. */
import type { Observable } from 'rxjs'
import type { TaskStatus } from '../../machines/vocabulary.ts'
import type { DeliveryEventType, OutboxEntry } from './delivery.ts'
import type { DeadLetters, OwnerInbox } from './inbox.ts'
import type { SendReceipt } from './message.ts'
import type { StreamItem, TaskEventType } from './task-event.ts'
import type {
  CancelOptions,
  CancelReport,
  RunCall,
  RunOutcome,
  SpawnCall,
  StreamOptions,
  TaskHandle,
  Ticket,
  WaitOptions,
} from './task-handle.ts'
import type { TaskRecord } from './task-record.ts'
import type { Tool } from './tool.ts'

/** Which tasks a list holds. All that is named has to fit. */
export interface ListFilter {
  readonly status?: TaskStatus | readonly TaskStatus[]
  /** The id of the parent. */
  readonly parent?: string
  /** The id of the root. */
  readonly tree?: string
  readonly tool?: string
  readonly name?: string
  readonly conversation?: string
  readonly correlation?: { readonly runId: string }
  /** The `next` of the page before. */
  readonly after?: string
  /** @defaultValue 100, at most 1 000 */
  readonly limit?: number
}

/** Which events a stream holds. Without a `taskId` it is the stream of all the owner's tasks. */
export interface StreamFilter extends StreamOptions {
  readonly taskId?: string
  /** The id of a root: only events of its tree. */
  readonly tree?: string
  readonly tool?: string
  readonly conversation?: string
  readonly type?: TaskEventType | DeliveryEventType | readonly (TaskEventType | DeliveryEventType)[]
}

/** How many tasks there are. */
export interface TaskStats {
  /** Kept tasks and live ones, ephemeral calls included, by status. */
  readonly byStatus: Readonly<Partial<Record<TaskStatus, number>>>
  /** Those that are not final. */
  readonly live: number
}

export interface SessionOptions {
  /** Whose tasks these are: an identity that the host has authenticated. At most 256 characters, compared exactly. */
  readonly owner: string
  /** Where the conversation comes from; results of its root tasks go there unless a call says otherwise. */
  readonly origin?: string
  /** The conversation that tasks of this session belong to. */
  readonly conversation?: string
  /**
   * A task of this owner, in this process or another one: what the session starts becomes a child of it. For a sub-agent
   * that works elsewhere than the agent which has asked for it. Such calls are tasks of record. Below a task that waits for its
   * turn, or for its next attempt, nothing starts: nobody is inside of it.
   */
  readonly parentId?: string
}

/** A page of tasks, oldest first. */
export interface TaskPage {
  readonly tasks: readonly TaskRecord[]
  /** Pass it as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** One notice on its way to one target, with the log of what became of it. */
export type DeliveryRecord = Omit<OutboxEntry, 'owner' | 'version' | 'node'>

/** A page of deliveries, in the order of their ids. */
export interface DeliveryPage {
  readonly deliveries: readonly DeliveryRecord[]
  /** Pass it as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** Which delivery is meant. A `DeliveryRecord` will do. */
export interface DeliveryRef {
  readonly taskId: string
  readonly deliveryId: string
}

/** Results that could not be delivered, as long as their tasks are kept. */
export interface DeadDeliveries {
  /** @throws TypeError */
  list(options?: { readonly after?: string; readonly limit?: number }): Promise<DeliveryPage>
  /**
   * Sends one again, from the first part that the receiver does not have, with the id it had. `asNew`: all of it under a new
   * id, for a receiver that has thrown the first one away.
   * @throws `delivery_not_found` when it is no dead letter of this owner, or not any more; `store_unavailable` when the store
   * takes longer than `commitWaitMs`: it is sent all the same, once that answers
   */
  replay(delivery: DeliveryRef, options?: { readonly asNew?: boolean }): Promise<void>
  /** Puts one away for good. @throws as `replay` */
  clear(delivery: DeliveryRef): Promise<void>
}

/** What one owner may do. */
export interface Session {
  readonly owner: string
  /**
   * Calls a tool and waits for it as long as `inlineMs`. Resolves with the value if the call was quick, else with a
   * ticket for the task that goes on. Use `spawn` for work that is known to be slow.
   * @throws the tool's own error if it fails while the caller waits; `task_failed` for a hard deadline; `task_cancelled`;
   * `input_invalid`, `name_taken`, `name_invalid`, `target_invalid`, `capacity_exceeded`, `depth_exceeded`,
   * `budget_exceeded`, `children_exceeded`, `parent_stopping`, `supervisor_closed`, `store_unavailable`; the reason of `signal`
   */
  run<Input, Output>(tool: Tool<Input, Output>, input: Input, options?: RunCall): Promise<RunOutcome<Awaited<Output>>>
  run<Output>(tool: Tool<undefined, Output>): Promise<RunOutcome<Awaited<Output>>>
  /**
   * Starts a task of record in the background. Resolves once the store has it.
   * @throws as `run`, but for what the tool itself does
   */
  spawn<Input, Output>(
    tool: Tool<Input, Output>,
    input: Input,
    options?: SpawnCall,
  ): Promise<TaskHandle<Awaited<Output>>>
  spawn<Output>(tool: Tool<undefined, Output>): Promise<TaskHandle<Awaited<Output>>>
  /** A copy of what is known of a task, or `undefined`. */
  get(taskId: string): Promise<TaskRecord | undefined>
  /** The verbs on one task. Whether it exists is told by the first of them. */
  handle(taskId: string): TaskHandle
  /** Tasks of record in the order of their creation, at most 100 a page. @throws `invalid_cursor` */
  list(filter?: ListFilter): Promise<TaskPage>
  /** The final record. @throws `task_not_found`, `wait_timeout`, `wait_cycle`, the reason of `signal` */
  wait(taskId: string, options?: WaitOptions): Promise<TaskRecord>
  /** The final record of whichever ends first. @throws as `wait` */
  waitAny(taskIds: readonly string[], options?: WaitOptions): Promise<TaskRecord>
  /** The final records of all, in the order of the ids. @throws as `wait` */
  waitAll(taskIds: readonly string[], options?: WaitOptions): Promise<readonly TaskRecord[]>
  /** The value of a task, once it has ended. @throws as `wait`, and `task_failed`, `task_cancelled` */
  result(taskId: string, options?: WaitOptions): Promise<unknown>
  /**
   * Stops a task and everything below it. Resolves when all of it is final, and says how each ended; a task that is
   * final already is left as it is. Called from inside what it stops, it resolves when the signals are out.
   * @throws `task_not_found`
   */
  cancel(taskId: string, options?: CancelOptions): Promise<CancelReport>
  /** Stops all tasks of the owner, or of one run; nothing starts under that run any more. */
  cancelAll(options?: CancelOptions & { readonly runId?: string }): Promise<CancelReport>
  /**
   * Sends the result to another target: that of a task which lives to this one alone, that of one which has ended to this
   * one as well, once, unless it is wanted `again`.
   * @throws `task_not_found`, `target_invalid`; `not_allowed` when the host's policy refuses it, and after 100 of them;
   * `store_unavailable` when the store takes longer than `commitWaitMs`: what has ended goes there all the same, once that
   * answers, so who wants it `again` looks at `deliveries` first
   */
  redirect(taskId: string, target: string, options?: { readonly again?: boolean }): Promise<void>
  /**
   * Answers an open question of a task. Resolves once the answer is accepted and kept; the first that is accepted counts.
   * The answer is copied as JSON of at most 64 KiB; the log keeps it up to 4 KiB.
   * @throws `input_invalid` with `details` when it does not fit, and the question stays open; `question_closed` when the
   * question has its answer, its time is over or nobody asked it; `task_final`, `task_not_found`
   */
  answer(taskId: string, key: string, value: unknown): Promise<void>
  /**
   * Puts a message into the inbox of a task. What its code has not read before its end is a dead letter then; the log says
   * `task.message` with `read` or `bounced`.
   * @throws `task_final` when its code has ended; `inbox_full`, `task_not_found`; `input_invalid` when the message is no
   * JSON of at most 64 KiB; TypeError when there is none
   */
  send(taskId: string, message: unknown): Promise<SendReceipt>
  /** The ends of background tasks, their questions, and what they send. One for all sessions of the owner. */
  readonly inbox: OwnerInbox
  /** Messages that bounced. One list for all sessions of the owner, in the memory of this process. */
  readonly deadLetters: DeadLetters
  /**
   * Waits until the owner has nothing live, inline calls included: how a turn is held until all it started has ended. In
   * the code of a task, that task and those above it do not count.
   * @throws `wait_timeout`, `wait_cycle`, the reason of `signal`
   */
  whenIdle(options?: WaitOptions): Promise<void>
  /** Gives whoever waits for the call inline a ticket now. @throws `task_not_found` */
  background(taskId: string): Promise<Ticket>
  /**
   * Calls what has ended once more, with the same input, as a new task in the background; its record says `retryOf`. For tools
   * with `recovery: 'rerun'`, whose input is kept, in a process that has them among its `tools`. Options of the call are as they
   * were, but for the dedupe key, which names the task that has ended.
   * @throws `not_allowed` for a task that lives, and for one that cannot be called again; as `spawn`; `task_not_found`
   */
  retry(taskId: string): Promise<TaskHandle>
  /** Waits inline for a task again, as `run` does. @throws as `run` */
  attach(taskId: string, options?: WaitOptions): Promise<RunOutcome<unknown>>
  /** What happens to the owner's tasks, or to one of them. @throws `invalid_cursor`; iterating: `task_not_found`, `stream_lagged` */
  events(options?: StreamFilter): AsyncIterableIterator<StreamItem>
  events$(options?: StreamFilter): Observable<StreamItem>
  /** The live tasks, whole, at once and after each change. */
  readonly live$: Observable<readonly TaskRecord[]>
  /** Where the result of a task went, and what came of it. @throws `task_not_found` */
  deliveries(taskId: string): Promise<readonly DeliveryRecord[]>
  /** What could not be delivered, to be sent again or put away. */
  readonly deadDeliveries: DeadDeliveries
  /** How many tasks there are of each status, those kept and those live. */
  stats(): Promise<TaskStats>
  /** Whether any task of the owner lives. */
  hasRunning(): Promise<boolean>
}
