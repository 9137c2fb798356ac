/** What a task runs: a function, alone or with a name, a schema and a policy. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Correlation, OnChildFailure, OnParentEnd } from '../../machines/policies/lineage.ts'
import type { RunCall, RunOutcome, SpawnCall, TaskHandle } from './task-handle.ts'
import type { TaskUsage } from './task-record.ts'

/**
 * How a tool's calls behave. Calls may override what they name.
 */
export interface ToolPolicy {
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
}

export type ToolFunction<Input, Output> = (input: Input, ctx: TaskContext) => Output | PromiseLike<Output>

export interface ToolDefinition<Input, Output> {
  readonly name: string
  readonly description?: string
  /** Checks the input before anything starts; its output is what `run` gets. */
  readonly input?: StandardSchemaV1<unknown, Input>
  readonly policy?: ToolPolicy
  readonly run: ToolFunction<Input, Output>
}

/** Anything that can be called as a task. */
export type Tool<Input, Output> = ToolFunction<Input, Output> | ToolDefinition<Input, Output>

/** How a task says how far it is: a fraction between 0 and 1, or numbers and a note. */
export type ProgressReport = number | { readonly done?: number; readonly total?: number; readonly note?: string }

/** What a tool's code gets besides its input. Everything in it is about the task that runs. */
export interface TaskContext {
  readonly taskId: string
  readonly owner: string
  /** 0 for a root. */
  readonly depth: number
  /** From 1. */
  readonly attempt: number
  readonly parentId: string | undefined
  readonly rootId: string
  readonly correlation: Correlation | undefined
  /** Aborts when the task has to stop; its `reason` is a `TaskStoppedError`. Made when first read. */
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
  /** Adds to what the task has used. */
  usage(used: Partial<TaskUsage>): void
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
