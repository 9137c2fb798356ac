/** Whose code is running now, as far as the async context tells. */
import { ParentStoppingError } from '../errors.ts'
import type { Ambient } from './ambient.ts'
import type { LiveTask } from './live-task.ts'
import type { TaskContexts } from './task-context.ts'

export interface RunningTask {
  /** The task whose code is running now. @throws `parent_stopping` when that task, or its attempt, has ended */
  runningTask(): LiveTask | undefined
  /** Whether a live task's code is running now. */
  isInside(): boolean
}

export function createRunningTask(parts: {
  readonly ambient: Ambient
  readonly contexts: TaskContexts
  readonly live: ReadonlyMap<string, LiveTask>
}): RunningTask {
  const { ambient, contexts, live } = parts
  return {
    runningTask() {
      const context = ambient.current()
      const task = contexts.taskOf(context)
      if (task === undefined) return undefined
      if (task.finalStatus !== undefined && !live.has(task.taskId)) throw new ParentStoppingError(task.taskId)
      if (contexts.isOver(context)) throw new ParentStoppingError(task.taskId)
      return live.has(task.taskId) ? task : undefined
    },

    isInside() {
      const task = contexts.taskOf(ambient.current())
      return task !== undefined && live.has(task.taskId)
    },
  }
}
