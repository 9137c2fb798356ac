/** What a tool's code gets. Everything in it is about the one task. */
import { TaskStoppedError } from '../errors.ts'
import type { Correlation } from '../../machines/policies/lineage.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { RunCall, RunOutcome, SpawnCall, TaskHandle } from '../ports/task-handle.ts'
import type { TaskUsage } from '../ports/task-record.ts'
import type { AskOptions, ProgressReport, Tool, TaskContext } from '../ports/tool.ts'
import { isStopping, type LiveTask } from './live-task.ts'
import type { QuestionDesk } from './questions.ts'
import type { Reports } from './reports.ts'

export interface TaskContexts {
  contextOf(task: LiveTask): TaskContext
  /** The task behind a context that was made here. */
  taskOf(context: TaskContext | undefined): LiveTask | undefined
}

export function createTaskContexts(parts: {
  readonly reports: Reports
  readonly questions: () => QuestionDesk
  readonly door: () => TaskDoor
  readonly holdKey: (task: LiveTask, key: string) => Promise<void>
}): TaskContexts {
  /** A class, because every task has one: what all share stands on the prototype. */
  class Context implements TaskContext {
    readonly #task: LiveTask

    constructor(task: LiveTask) {
      this.#task = task
    }

    static taskOf(context: Context): LiveTask {
      return context.#task
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
      return 1
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
      const task = this.#task
      if (task.controller === undefined) {
        task.controller = new AbortController()
        if (task.cause !== undefined && (isStopping(task) || task.finalStatus !== undefined)) {
          task.controller.abort(new TaskStoppedError(task.taskId, task.cause))
        }
      }
      return task.controller.signal
    }

    progress(report: ProgressReport): void {
      parts.reports.progress(this.#task, report)
    }

    emit(name: string, payload?: unknown): void {
      parts.reports.emit(this.#task, name, payload)
    }

    output(chunk: string): void {
      parts.reports.output(this.#task, chunk)
    }

    holdKey(key: string): Promise<void> {
      return parts.holdKey(this.#task, key)
    }

    usage(used: Partial<TaskUsage>): void {
      parts.reports.usage(this.#task, used)
    }

    ask<Answer>(key: string, question: unknown, options?: AskOptions<Answer>): Promise<Answer> {
      return parts.questions().ask(this.#task, key, question, options) as Promise<Answer>
    }

    run<Input, Output>(
      tool: Tool<Input, Output>,
      input?: Input,
      options?: RunCall,
    ): Promise<RunOutcome<Awaited<Output>>> {
      const call = {
        parentId: this.#task.taskId,
        owner: this.#task.spec.owner,
        tool: tool as Tool<never, unknown>,
        input,
        options,
      }
      return parts.door().run(call) as Promise<RunOutcome<Awaited<Output>>>
    }

    spawn<Input, Output>(
      tool: Tool<Input, Output>,
      input?: Input,
      options?: SpawnCall,
    ): Promise<TaskHandle<Awaited<Output>>> {
      const call = {
        parentId: this.#task.taskId,
        owner: this.#task.spec.owner,
        tool: tool as Tool<never, unknown>,
        input,
        options,
      }
      return parts.door().spawn(call) as Promise<TaskHandle<Awaited<Output>>>
    }
  }

  // A task's code holds the context of its own task, never the means to make one for another.
  Object.defineProperty(Context.prototype, 'constructor', { value: Object })

  return {
    contextOf: (task) => new Context(task),
    taskOf: (context) => (context instanceof Context ? Context.taskOf(context) : undefined),
  }
}
