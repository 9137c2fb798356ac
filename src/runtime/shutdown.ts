/**
 * The end of a supervisor, in this order: refuse new roots, let live tasks end by themselves for `graceMs`, cancel what
 * is left and wait for it as long as its own grace, flush the store, stop.
 */
import { TaskError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { TaskRuntime } from './task-runtime.ts'

/** What became of the tasks that were live when the shutdown began, and of those that started below them meanwhile. */
export interface ShutdownReport {
  /** Tasks, of those that were live then, that ended by themselves in time, however they ended. */
  readonly completed: number
  /** Tasks that were cancelled because the grace was over. */
  readonly cancelled: number
  /** Those of the cancelled whose code ignored its signal. */
  readonly abandoned: number
  /** Commits that the store had not answered when it was closed. */
  readonly unsaved: number
}

export function createShutdown(parts: {
  readonly runtime: TaskRuntime
  readonly deadlines: Deadlines
  readonly settings: Settings
  readonly whenDelivered: () => Promise<void>
  readonly closeStore: () => void | Promise<void>
}): (graceMs: number) => Promise<ShutdownReport> {
  const { runtime, deadlines, settings } = parts
  const { supervisor, writer, counters } = runtime
  let underWay: Promise<ShutdownReport> | undefined

  /** Waits for work, but no longer than the limit. */
  const within = async (limitMs: number, work: Promise<unknown>): Promise<void> => {
    let limit: Moment | undefined
    const over = new Promise<void>((resolve) => {
      limit = deadlines.after(limitMs, resolve, undefined)
    })
    await Promise.race([work, over])
    limit?.disarm()
  }

  const whenAllEnded = async (): Promise<void> => {
    while (supervisor.live.size > 0) {
      await Promise.all(
        [...supervisor.live.values()].map(
          (task) => new Promise<void>((resolve) => (task.endListeners ??= []).push(resolve)),
        ),
      )
    }
  }

  const whenFlushed = (): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (writer.unansweredCount() === 0) resolve()
        else deadlines.after(10, look, undefined)
      }
      look()
    })

  const shutDown = async (graceMs: number): Promise<ShutdownReport> => {
    supervisor.drain()
    const liveAtStart = [...supervisor.live.keys()]
    const abandonedBefore = counters.abandonedTasks
    if (liveAtStart.length > 0) await within(graceMs, whenAllEnded())

    const completed = liveAtStart.filter((taskId) => !supervisor.live.has(taskId)).length
    const cancelled = supervisor.live.size
    // The youngest first, as everywhere in a stop.
    const roots = [...supervisor.live.values()].filter((task) => task.above.kind === 'owner').reverse()
    // Twice the wait for the store: once for what children write, once for their parents.
    const limitMs = settings.graceMs + 2 * settings.commitWaitMs
    await within(limitMs, runtime.cancel(roots, { reason: 'shutdown' }, undefined))
    await within(settings.commitWaitMs, Promise.all([whenFlushed(), parts.whenDelivered()]))
    const unsaved = writer.unansweredCount()

    supervisor.stop()
    deadlines.close()
    await parts.closeStore()
    return {
      completed,
      cancelled,
      abandoned: counters.abandonedTasks - abandonedBefore,
      unsaved,
    }
  }

  return (graceMs) => {
    if (runtime.isInside()) {
      throw new TaskError('not_allowed', "A task's own code cannot shut its supervisor down: it would wait for itself.")
    }
    underWay ??= shutDown(graceMs)
    return underWay
  }
}
