/** What a tool's code gets. Everything in it is about the one task. */
import { ParentStoppingError, TaskStoppedError } from '../errors.ts'
import type { Correlation } from '../../machines/policies/lineage.ts'
import type { BudgetAmounts } from '../../machines/policies/budget.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { TaskInbox } from '../ports/inbox.ts'
import type { Recipient, SendReceipt } from '../ports/message.ts'
import type { RunCall, RunOutcome, SpawnCall, TaskHandle } from '../ports/task-handle.ts'
import type { TaskUsage } from '../ports/task-record.ts'
import type { AskOptions, ProgressReport, Tool, TaskContext } from '../ports/tool.ts'
import { leftIn } from './budgets.ts'
import type { Inboxes } from './messages/inboxes.ts'
import type { Attempt, LiveTask } from './live-task.ts'
import { currentCauseOf, isStopping } from './task-status.ts'
import type { QuestionDesk } from './questions/question-desk.ts'
import type { Reports } from './reports.ts'

export interface TaskContexts {
  contextOf(task: LiveTask): TaskContext
  /** The task behind a context that was made here. */
  taskOf(context: TaskContext | undefined): LiveTask | undefined
  /** Whether it belongs to an attempt that is over, though its task may live. */
  isOver(context: TaskContext | undefined): boolean
}

export interface ContextParts {
  readonly reports: Reports
  readonly questions: () => QuestionDesk
  readonly inboxes: () => Inboxes
  readonly door: () => TaskDoor
  readonly holdKey: (task: LiveTask, key: string) => Promise<void>
}

/** A class, because every task has one: what all share stands on the prototype. */
class Context implements TaskContext {
  /** The task, or its attempt where it has those. */
  readonly #of: LiveTask | Attempt
  readonly #parts: ContextParts

  constructor(of: LiveTask | Attempt, parts: ContextParts) {
    this.#of = of
    this.#parts = parts
  }

  get #task(): LiveTask {
    return this.#of.kind === 'attempt' ? this.#of.task : this.#of
  }

  get #isOver(): boolean {
    return this.#of.kind === 'attempt' && this.#of.isOver
  }

  static taskOf(context: unknown, parts: ContextParts): LiveTask | undefined {
    return context instanceof Context && context.#parts === parts ? context.#task : undefined
  }

  static isOver(context: unknown, parts: ContextParts): boolean {
    return context instanceof Context && context.#parts === parts && context.#isOver
  }

  get taskId(): string {
    return this.#task.taskId
  }

  get owner(): string {
    return this.#task.spec.owner
  }

  get depth(): number {
    return this.#task.depth
  }

  get attempt(): number {
    return this.#of.kind === 'attempt' ? this.#of.number : 1
  }

  get parentId(): string | undefined {
    return this.#task.parentId
  }

  get rootId(): string {
    return this.#task.rootId
  }

  get correlation(): Correlation | undefined {
    return this.#task.correlation
  }

  get signal(): AbortSignal {
    if (this.#of.kind === 'attempt' && this.#of.isOver) return signalOfOver(this.#of)
    const task = this.#task
    if (task.controller === undefined) {
      const cause = currentCauseOf(task)
      task.controller = new AbortController()
      if (cause !== undefined && (isStopping(task) || task.finalStatus !== undefined)) {
        task.controller.abort(new TaskStoppedError(task.taskId, cause))
      }
    }
    return task.controller.signal
  }

  get budget(): BudgetAmounts | undefined {
    return leftIn(this.#task.rare?.budget)
  }

  progress(report: ProgressReport): void {
    if (this.#isOver) return this.#parts.reports.noteLate()
    this.#parts.reports.progress(this.#task, report)
  }

  emit(name: string, payload?: unknown): void {
    if (this.#isOver) return this.#parts.reports.noteLate()
    this.#parts.reports.emit(this.#task, name, payload)
  }

  output(chunk: string): void {
    if (this.#isOver) return this.#parts.reports.noteLate()
    this.#parts.reports.output(this.#task, chunk)
  }

  holdKey(key: string): Promise<void> {
    if (this.#isOver) return Promise.reject(new ParentStoppingError(this.taskId))
    return this.#parts.holdKey(this.#task, key)
  }

  usage(used: Partial<TaskUsage>): void {
    if (this.#isOver) return this.#parts.reports.noteLate()
    this.#parts.reports.usage(this.#task, used)
  }

  ask<Answer>(key: string, question: unknown, options?: AskOptions<Answer>): Promise<Answer> {
    if (this.#isOver) return Promise.reject(new ParentStoppingError(this.taskId))
    return this.#parts.questions().ask(this.#task, key, question, options) as Promise<Answer>
  }

  async answer(childId: string, key: string, value: unknown): Promise<void> {
    if (this.#isOver) throw new ParentStoppingError(this.taskId)
    const { taskId, spec } = this.#task
    await this.#parts.door().answer({ parentId: taskId, owner: spec.owner, childId, key, value })
  }

  get inbox(): TaskInbox {
    return this.#parts.inboxes().of(this.#task, () => this.#isOver)
  }

  async send(to: Recipient, message: unknown): Promise<SendReceipt> {
    if (this.#isOver) throw new ParentStoppingError(this.taskId)
    return this.#parts.door().send({ taskId: this.#task.taskId, to, message })
  }

  /** A call as the door takes it. */
  #callBelow<Options>(tool: unknown, input: unknown, options: Options) {
    const { taskId, spec } = this.#task
    return { parentId: taskId, owner: spec.owner, tool: tool as Tool<never, unknown>, input, options }
  }

  run<Input, Output>(
    tool: Tool<Input, Output>,
    input?: Input,
    options?: RunCall,
  ): Promise<RunOutcome<Awaited<Output>>> {
    if (this.#isOver) return Promise.reject(new ParentStoppingError(this.taskId))
    return this.#parts.door().run(this.#callBelow(tool, input, options)) as Promise<RunOutcome<Awaited<Output>>>
  }

  spawn<Input, Output>(
    tool: Tool<Input, Output>,
    input?: Input,
    options?: SpawnCall,
  ): Promise<TaskHandle<Awaited<Output>>> {
    if (this.#isOver) return Promise.reject(new ParentStoppingError(this.taskId))
    return this.#parts.door().spawn(this.#callBelow(tool, input, options)) as Promise<TaskHandle<Awaited<Output>>>
  }
}

// A task's code holds the context of its own task, never the means to make one for another.
Object.defineProperty(Context.prototype, 'constructor', { value: Object })

export function createTaskContexts(parts: ContextParts): TaskContexts {
  return {
    contextOf: (task) => new Context(task.attempts === undefined ? task : task.attempts.current, parts),
    taskOf: (context) => Context.taskOf(context, parts),
    isOver: (context) => Context.isOver(context, parts),
  }
}

/** The signal of an attempt that is over: it has fired if the attempt was stopped, and never will if it ended by itself. */
function signalOfOver(attempt: Attempt): AbortSignal {
  if (attempt.controller === undefined) {
    attempt.controller = new AbortController()
    if (attempt.cause !== undefined) attempt.controller.abort(new TaskStoppedError(attempt.task.taskId, attempt.cause))
  }
  return attempt.controller.signal
}
