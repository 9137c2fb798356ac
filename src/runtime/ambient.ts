/**
 * Which task's code is running, told by the async context. It is entered only around a task's code, and left for
 * everything that other people's code does on its behalf.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { TaskContext } from '../ports/tool.ts'

const contexts = new AsyncLocalStorage<TaskContext | undefined>()

export interface Ambient {
  readonly isAmbient: boolean
  enter<Result>(context: TaskContext, work: () => Result): Result
  current(): TaskContext | undefined
  /** Runs work that belongs to no task. */
  runOutside(work: () => void): void
}

/** Ambient lineage: a task's code is found however deep it runs. */
export const ambient: Ambient = {
  isAmbient: true,
  enter: (context, work) => contexts.run(context, work),
  current: () => contexts.getStore(),
  runOutside: (work) => (contexts.getStore() === undefined ? work() : contexts.run(undefined, work)),
}

/** Explicit lineage: the async context is never touched, so a parent is found through its context object only. */
export const explicit: Ambient = {
  isAmbient: false,
  enter: (_context, work) => work(),
  current: () => undefined,
  runOutside: (work) => work(),
}

/** Work that is done later as if it were done now: the host's own async contexts, too, are those of this moment. */
export function inItsContext(work: () => void): () => void {
  // `AsyncResource.bind` makes a property that warns, each time: it costs ten times as much.
  const moment = new AsyncResource('outlive.waiting')
  return () => moment.runInAsyncScope(work)
}

/**
 * The context of the task whose code is running, or nothing outside of one and under explicit lineage.
 *
 * @example
 * ```ts
 * import { createTaskSupervisor, currentTask } from 'outlive'
 *
 * const tasks = createTaskSupervisor()
 * await tasks.run(() => currentTask()?.progress(0.5), undefined)
 * await tasks.shutdown()
 * ```
 */
export function currentTask(): TaskContext | undefined {
  return contexts.getStore()
}
