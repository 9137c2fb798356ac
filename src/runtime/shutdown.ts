/**
 * The end of a supervisor. Each step has a limit of its own:
 *
 * draining: new roots are refused and live tasks may end by themselves, for the `graceMs` of the call. What is between two
 * attempts, or would be, is cancelled at once.
 * handing back: what may run again in another process is stopped and left to the others, for the supervisor's `graceMs` and
 * `commitWaitMs`. Only with a store that outlives the process.
 * cancelling: what is left is cancelled, for the supervisor's `graceMs` and twice `commitWaitMs`: once for what children
 * write, once for their parents.
 * flushing: the store answers what it was given and channels take what is on its way, for `commitWaitMs`.
 * closing: the lease is given back and the store closes, for `commitWaitMs`.
 *
 * 1. A shutdown resolves within the sum of these limits, whatever tasks, channels and the store do.
 * 2. What a limit cut short is counted in the report; a store that does not close is logged.
 * 3. Once it has resolved, no timer is set any more.
 */
import { TaskError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import { createDeadlines } from './deadlines.ts'
import { onEnd } from './end-listeners.ts'
import type { TaskRuntime } from './task-runtime.ts'

/** How often the end of a flush is looked for. */
const LOOK_MS = 10

/** What became of the tasks that were live when the shutdown began, and of those that started below them meanwhile. */
export interface ShutdownReport {
  /** Tasks, of those that were live then, that ended by themselves in time, however they ended. */
  readonly completed: number
  /** Tasks that were cancelled because the grace was over, or instead of their next attempt. */
  readonly cancelled: number
  /** Tasks that other processes go on with. */
  readonly handedBack: number
  /** Those of the cancelled whose code ignored its signal. */
  readonly abandoned: number
  /** Commits that the store had not answered when it was closed. */
  readonly unsaved: number
  /** Deliveries that had no outcome when the store was closed. They stay `pending`. */
  readonly undelivered: number
}

export function createShutdown(parts: {
  readonly runtime: TaskRuntime
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly settings: Settings
  readonly reportError: (error: unknown) => void
  readonly whenDelivered: () => Promise<void>
  /** Gives the number of deliveries that were on their way. */
  readonly stopDeliveries: () => number
  readonly closeStore: () => void | Promise<void>
}): (graceMs: number) => Promise<ShutdownReport> {
  const { runtime, deadlines, settings } = parts
  const { supervisor, writer, counters } = runtime
  // Those of the tasks are closed while the last step still needs one.
  const limits = createDeadlines(parts.clock, parts.reportError)
  let underWay: Promise<ShutdownReport> | undefined

  /** Waits for work, but no longer than the limit; gives whether the work was done by then. */
  const within = async (limitMs: number, work: Promise<unknown>): Promise<boolean> => {
    let limit: Moment | undefined
    const over = new Promise<boolean>((resolve) => {
      limit = limits.after(limitMs, resolve, false)
    })
    const isDone = await Promise.race([work.then(() => true), over])
    limit?.disarm()
    return isDone
  }

  /** One listener for all tasks, and one round for each generation that started meanwhile. */
  const whenAllEnded = (): Promise<void> =>
    new Promise((resolve) => {
      let left = 0
      const noteEnd = (): void => {
        left -= 1
        if (left === 0) waitForLive()
      }
      const waitForLive = (): void => {
        left = supervisor.live.size
        if (left === 0) return resolve()
        for (const task of supervisor.live.values()) onEnd(task, noteEnd)
      }
      waitForLive()
    })

  const whenFlushed = (): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (writer.unansweredCount() === 0) resolve()
        else limits.after(LOOK_MS, look, undefined)
      }
      look()
    })

  const closeStore = async (): Promise<void> => {
    try {
      await runtime.membership.leave()
      await parts.closeStore()
    } catch (error) {
      parts.logger.error({ error }, 'the store could not be closed')
    }
  }

  const shutDown = async (graceMs: number): Promise<ShutdownReport> => {
    supervisor.drain()
    const liveAtStart = [...supervisor.live.values()]
    const abandonedBefore = counters.abandonedTasks
    const droppedBefore = counters.droppedRetries
    const handedBackBefore = counters.handedBackTasks
    runtime.membership.stop()
    runtime.dropRetries()
    await within(graceMs, whenAllEnded())

    const gone = liveAtStart.filter(({ taskId }) => !supervisor.live.has(taskId))
    const surrendered = counters.handedBackTasks - handedBackBefore
    const completed = gone.filter(({ cause }) => cause?.reason !== 'shutdown').length - surrendered
    await within(settings.graceMs + settings.commitWaitMs, runtime.handBack())
    const handedBack = counters.handedBackTasks - handedBackBefore
    const cancelled = supervisor.live.size + counters.droppedRetries - droppedBefore
    // The youngest first, as everywhere in a stop.
    const roots = [...supervisor.live.values()].filter((task) => task.above.kind === 'owner').reverse()
    const cancelling = runtime.cancel(roots, { reason: 'shutdown' }, undefined)
    await within(settings.graceMs + 2 * settings.commitWaitMs, cancelling)

    await within(settings.commitWaitMs, Promise.all([whenFlushed(), parts.whenDelivered()]))
    const unsaved = writer.unansweredCount()
    const undelivered = parts.stopDeliveries()
    supervisor.stop()
    runtime.ownerInboxes.close()
    runtime.retention.stop()
    deadlines.close()

    const isClosed = await within(settings.commitWaitMs, closeStore())
    if (!isClosed) parts.logger.error({ limitMs: settings.commitWaitMs }, 'the store did not close in time')
    limits.close()
    return {
      completed,
      cancelled,
      handedBack,
      abandoned: counters.abandonedTasks - abandonedBefore,
      unsaved,
      undelivered,
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
