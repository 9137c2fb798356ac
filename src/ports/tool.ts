/** What a task runs: a function, alone or with a name, a schema and a policy. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { OnBusy } from '../../machines/policies/busy-key.ts'
import type { BudgetAmounts } from '../../machines/policies/budget.ts'
import type { Correlation, OnChildFailure, OnParentEnd } from '../../machines/policies/lineage.ts'
import type { RestartIntensity } from '../../machines/policies/restarts.ts'
import type { RetryPolicy } from './retry-policy.ts'
import type { TaskInbox } from './inbox.ts'
import type { Recipient, SendReceipt } from './message.ts'
import type { RunCall, RunOutcome, SpawnCall, TaskHandle } from './task-handle.ts'
import type { TaskUsage } from './task-record.ts'

/** What a key may be made from, besides the input of the call. */
export interface KeyPlace {
  readonly conversation: string | undefined
}

/**
 * A key for a call, or nothing when it needs none. Declared as a method, so that a tool of any input is a tool.
 */
export type KeyFunction<Input> = { key(input: Input, place: KeyPlace): string | undefined }['key']

/**
 * How a tool's calls behave. Calls may override what they name.
 */
export interface ToolPolicy<Input = never> {
  /**
   * How long a call is awaited inline before it goes to the background, from the call, in milliseconds. 0: at once.
   * @defaultValue the supervisor's `inlineMs`, 10 000
   */
  readonly inlineMs?: number
  /**
   * The hard deadline of the running time, in milliseconds.
   * @defaultValue the supervisor's `timeoutMs`, 1 800 000
   */
  readonly timeoutMs?: number
  /**
   * The limit of one attempt, in milliseconds: it stops like any stopped work, and has failed with code `timeout`.
   * @defaultValue Infinity
   */
  readonly attemptTimeoutMs?: number
  /**
   * How a task is tried again when an attempt of it has failed; `false` is never. The input is copied for each attempt,
   * unless a schema made it.
   * @defaultValue false
   */
  readonly retry?: RetryPolicy | false
  /**
   * How often the children of a task of this tool may be tried again, all together, within any `withinMs`. Beyond that the
   * child fails at once and its parent with it, whatever `onChildFailure` says.
   * @defaultValue no limit
   */
  readonly restarts?: RestartIntensity
  /**
   * What becomes of a task whose process is gone, with a store that outlives it. `fail`: it has failed with code
   * `interrupted`. `rerun`: another process runs it again, as a further attempt with the same input: only for tools whose
   * effects may happen twice, that are among the supervisor's `tools`, with input that is JSON. A task below another one
   * that has not ended fails in either case, and what is above it decides.
   * @defaultValue 'fail'
   */
  readonly recovery?: 'fail' | 'rerun'
  /** How often a task with `recovery: 'rerun'` may lose its process while its code runs, before it fails. @defaultValue 3 */
  readonly maxInterruptions?: number
  /**
   * `auto` follows `inlineMs`; `never` awaits inline for ever; `always` goes to the background at once.
   * @defaultValue 'auto'
   */
  readonly background?: 'auto' | 'never' | 'always'
  /**
   * What happens to a live child of this tool when its parent's code has succeeded: the parent waits for it, it is
   * cancelled, or it goes on as a tree of its own.
   * @defaultValue 'wait'
   */
  readonly onParentEnd?: OnParentEnd
  /**
   * What the failure of a child does to a task of this tool: nothing, or it fails as well and its other children stop.
   * @defaultValue 'isolate'
   */
  readonly onChildFailure?: OnChildFailure
  /**
   * Keep every call in the store from its start, quick ones too.
   * @defaultValue false
   */
  readonly durable?: boolean
  /**
   * How long a call may wait for its turn, in milliseconds; then it fails with `queue_timeout`.
   * @defaultValue the supervisor's `queueMs`, Infinity
   */
  readonly queueMs?: number
  /**
   * Of one owner's calls with the same key, one runs at a time: a text of at most 256 characters, or a function that
   * gives one. `(_input, { conversation }) => conversation` is one task per conversation.
   */
  readonly concurrencyKey?: string | KeyFunction<Input>
  /**
   * What a call does whose concurrency key another task holds. `reject`: it gets `key_busy`. `queue`: it waits for its
   * turn. `replace`: it cancels what came before it, and starts when that has ended. `keepLatest`: it waits for the
   * holder, and cancels what waited before it.
   * @defaultValue 'reject'
   */
  readonly onBusy?: OnBusy
  /**
   * Of one owner's calls with the same key, the first becomes a task; the others get that task, running or finished, as
   * long as it is kept. A call with another tool or input gets `dedupe_conflict`. At most 256 characters.
   */
  readonly dedupeKey?: string | KeyFunction<Input>
  /**
   * A model may send its own call of this tool to the background at once. Goes with `background: 'auto'` only.
   * @defaultValue false
   */
  readonly modelMayChoose?: boolean
  /**
   * The tool changes nothing. A model that may only read is given no others to start.
   * @defaultValue false
   */
  readonly readOnly?: boolean
  /**
   * What the tool does may not be undone. A model is told so.
   * @defaultValue false
   */
  readonly destructive?: boolean
}

export type ToolFunction<Input, Output> = (input: Input, ctx: TaskContext) => Output | PromiseLike<Output>

export interface ToolDefinition<Input, Output> {
  readonly name: string
  readonly description?: string
  /** Checks the input before anything starts; its output is what `run` gets. */
  readonly input?: StandardSchemaV1<unknown, Input>
  readonly policy?: ToolPolicy<Input>
  readonly run: ToolFunction<Input, Output>
}

/** A definition of which nobody needs to know what it takes and gives. */
export type AnyToolDefinition = Omit<ToolDefinition<never, unknown>, 'input'> & { readonly input?: StandardSchemaV1 }

/** Anything that can be called as a task. */
export type Tool<Input, Output> = ToolFunction<Input, Output> | ToolDefinition<Input, Output>

/** How a task says how far it is: a fraction between 0 and 1, or numbers and a note. */
export type ProgressReport = number | { readonly done?: number; readonly total?: number; readonly note?: string }

/** The options of a question. */
export interface AskOptions<Answer> {
  /** What an answer has to fit. An answer that does not is refused, and the question stays open. */
  readonly schema?: StandardSchemaV1<unknown, Answer>
  /** How long the question is open, in milliseconds. @defaultValue 86 400 000 */
  readonly answerWithinMs?: number
  /**
   * Who is told. `parent`: the code of the parent, by a message of kind `question` in its inbox; it answers with
   * `ctx.answer`. The owner may answer all the same, and is told when that code ends without an answer. A root's parent is
   * the owner.
   * @defaultValue 'owner'
   */
  readonly to?: 'owner' | 'parent'
  /** What is taken when nobody has answered by then. It is not checked. Absent: the question fails. */
  readonly default?: NoInfer<Answer>
}

/** What a tool's code gets besides its input. Everything in it is about the task that runs. */
export interface TaskContext {
  readonly taskId: string
  readonly owner: string
  /** 0 for a root. */
  readonly depth: number
  /** From 1. What the code of an attempt that is over still reports is counted and goes nowhere. */
  readonly attempt: number
  readonly parentId: string | undefined
  readonly rootId: string
  readonly correlation: Correlation | undefined
  /**
   * Aborts when the task, or this attempt of it, has to stop; its `reason` is a `TaskStoppedError`. Each attempt has its
   * own. Made when first read.
   */
  readonly signal: AbortSignal
  /**
   * Says how far the task is. At most ten a second are kept; the last one always is.
   * @throws TypeError when a number is not finite, or a fraction is outside 0 to 1
   */
  progress(report: ProgressReport): void
  /**
   * Publishes an event of your own: `{ type: 'task.custom', name, payload }`. The payload is copied as JSON.
   * @throws `input_invalid` when the payload cannot be kept as JSON or is larger than 64 KiB
   */
  emit(name: string, payload?: unknown): void
  /** Publishes a piece of output. The store keeps a bounded tail of it. */
  output(chunk: string): void
  /**
   * Takes one more concurrency key, until the end of the task: for what is only known once it runs, as the id of a new
   * conversation.
   * @throws `key_busy`, `key_held_by_ancestor`
   */
  holdKey(key: string): Promise<void>
  /** What this task and everything below it may still spend, Infinity where nothing is limited; absent without a budget. */
  readonly budget: BudgetAmounts | undefined
  /**
   * Adds to what the task has used, and draws it on the budgets above.
   * @throws `budget_exceeded` when one of these had nothing left before; the record has what was used all the same
   */
  usage(used: Partial<TaskUsage>): void
  /**
   * Asks whoever may answer for the owner (`session.answer`), and resolves with the first answer that fits. Until then
   * the task is `waiting`, whether the promise is awaited or not: its caller has a ticket, and its running time stands
   * still. Several questions may be open at once. `approval` is the schema of a plain yes or no.
   *
   * A key is used once in a task, and no question outlives the code that asked it. Nothing is said about an answer that
   * nobody waits for any more.
   * @throws `question_closed` when its time is over without a default, or the code has ended; `task_stopped` when the task
   * is stopped; `not_allowed` for a key that was used, more than 32 open questions or 256 in all, and code that has ended;
   * `task_final`; `input_invalid` when the question cannot be kept as JSON of at most 4 KiB; TypeError
   */
  ask<Answer>(
    key: string,
    question: unknown,
    options: AskOptions<Answer> & { readonly schema: StandardSchemaV1<unknown, Answer> },
  ): Promise<Answer>
  ask(key: string, question: unknown, options?: AskOptions<unknown> & { readonly schema?: never }): Promise<unknown>
  /**
   * Answers a question of a child of this task. Resolves once the answer is accepted and kept.
   * @throws `input_invalid`, `question_closed`, `task_final`; `task_not_found` when there is no such child
   */
  answer(childId: string, key: string, value: unknown): Promise<void>
  /** What others have sent this task. In another attempt, what was not read in the one before is still there. */
  readonly inbox: TaskInbox
  /**
   * Sends a message inside the tree: to the parent, to a child by its name or id, to another child of the parent, or to the
   * owner. Resolves once it is in an inbox; if nobody reads it before the end of its task, it is a dead letter of the owner.
   * @throws `task_not_found` when there is no such task in the tree; `task_final` when its code has ended, or this task;
   * `inbox_full`; `input_invalid` when the message is no JSON of at most 64 KiB; TypeError
   */
  send(to: Recipient, message: unknown): Promise<SendReceipt>
  /** Calls a tool as a child of this task and waits as long as its inline time. */
  run<Input, Output>(tool: Tool<Input, Output>, input: Input, options?: RunCall): Promise<RunOutcome<Awaited<Output>>>
  run<Output>(tool: Tool<undefined, Output>): Promise<RunOutcome<Awaited<Output>>>
  /** Starts a child of this task in the background. */
  spawn<Input, Output>(
    tool: Tool<Input, Output>,
    input: Input,
    options?: SpawnCall,
  ): Promise<TaskHandle<Awaited<Output>>>
  spawn<Output>(tool: Tool<undefined, Output>): Promise<TaskHandle<Awaited<Output>>>
}
