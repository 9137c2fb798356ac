/**
 * Stopping trees of tasks.
 *
 * accepted: every task in the trees is marked in one go; from now on nothing starts below them.
 * signalling: the charts are told and the signals fire, deepest first, in slices of `SLICE` tasks a turn. One slice is signalled
 * at once; more than that from the next turn on, as marking them has taken its time. A task that ends before its slice keeps
 * its outcome.
 * settling: a task becomes final once its own code has ended and its children are final. One that failed and is tried
 * again goes on to its next attempt instead; a stop that came meanwhile takes it there.
 * grace over: what has not settled is let go, deepest first.
 *
 * 1. A task takes its first stop and no other.
 * 2. Each live task of the trees gets its signal once.
 * 3. Children are final before their parent.
 * 4. One grace clock per accepted stop, from its acceptance.
 */
import { TaskStoppedError } from '../../errors.ts'
import { toldError } from '../../told-error.ts'
import type { StopCause, TaskChartEventType } from '../../../machines/vocabulary.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { Logger } from '../../ports/logger.ts'
import type { TaskContext } from '../../ports/tool.ts'
import type { Ambient } from '../ambient.ts'
import type { Counters } from '../counters.ts'
import { createFailure } from '../values/failure.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { Stop, StopOfTrees } from '../task-state.ts'
import { isStopping, isToBeRetried } from '../task-status.ts'
import type { SendToChart } from '../send-to-chart.ts'
import { deepestFirst } from '../tree-index.ts'

const SLICE = 1_000
/** Abandoned tasks that are reported one by one; the rest of a stop is reported as a number. */
const MAX_REPORTS = 10

export interface StopOrder {
  readonly roots: readonly LiveTask[]
  readonly cause: StopCause
  readonly rootEvent: TaskChartEventType
}

export interface AcceptedStop {
  /** The roots and everything below that is not final, deepest first. */
  readonly members: readonly LiveTask[]
  /** Calls back when every signal is out. */
  whenSignalled(done: () => void): void
}

export interface Stopping {
  accept(order: StopOrder): AcceptedStop
  /** Why a task is stopped that an accepted stop has reached. */
  causeOf(task: LiveTask, stop: Stop): StopCause
  /** Makes a stopping task final, or lets it go on to its next attempt, if nothing holds it any more. */
  settle(task: LiveTask): void
  /** Tells a task of the stop that was accepted for it, unless it is stopping already. */
  signal(task: LiveTask): void
  /** Fires the signal of a task's code. */
  abort(task: LiveTask, cause: StopCause): void
  /** Has to be called for every task that became final. */
  noteEnd(task: LiveTask): void
}

export function createStopping(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly logger: Logger
  readonly counters: Counters
  readonly graceMs: number
  readonly ambient: Ambient
  readonly contextOf: (task: LiveTask) => TaskContext
  readonly send: SendToChart
  /** Works on the end of a task's code, if that waits for its turn: it came before whatever comes now. */
  readonly takeUpEnd: (task: LiveTask) => void
  /** Lets the code of a stopped task go on that waits for an answer or a message. */
  readonly release: (task: LiveTask) => void
  /** Goes on to the next attempt of a task whose last one is over. */
  readonly tryLater: (task: LiveTask) => void
}): Stopping {
  const { clock, deadlines, journal, logger, counters, send } = parts

  const letGo = (task: LiveTask): void => {
    task.abandoned = true
    counters.abandonedTasks += 1
    const trees = task.stop?.ofTrees
    if (trees === undefined) return
    trees.abandonedCount += 1
    if (trees.abandonedCount > MAX_REPORTS) return
    logger.warn(
      { taskId: task.taskId, tool: task.spec.tool, owner: task.spec.owner, reason: task.cause?.reason },
      'the work ignores its signal; the task was let go',
    )
  }

  const settle = (task: LiveTask): void => {
    if (!isStopping(task) || task.childCount > 0 || task.outcome !== undefined) return
    const isGraceOver = task.stop?.ofTrees.isGraceOver === true || task.attempts?.isGraceOver === true
    if (!task.ownCodeEnded && !isGraceOver) return
    if (isToBeRetried(task)) return parts.tryLater(task)
    if (task.ownCodeEnded) return send(task, 'teardown.finished')
    letGo(task)
    send(task, 'grace.expired')
  }

  /** Listeners of the signal are the task's code, so they run as it does. */
  const abort = (task: LiveTask, cause: StopCause): void => {
    const { controller } = task
    if (controller === undefined) return
    const reason = toldError(() => new TaskStoppedError(task.taskId, cause))
    parts.ambient.enter(parts.contextOf(task), () => controller.abort(reason))
  }

  const causeOf = ({ parentId }: LiveTask, { isRoot, ofTrees }: Stop): StopCause => {
    if (isRoot) return ofTrees.cause
    if (ofTrees.causeBelow === undefined || ofTrees.causeBelow.actor !== parentId) {
      ofTrees.causeBelow = Object.freeze({ reason: 'parent', ...(parentId === undefined ? {} : { actor: parentId }) })
    }
    return ofTrees.causeBelow
  }

  const signal = (task: LiveTask): void => {
    parts.takeUpEnd(task)
    const { stop } = task
    if (stop === undefined || task.actor === undefined || isStopping(task)) return
    task.cause = causeOf(task, stop)
    if (task.cause.reason === 'timeout') task.failure ??= createFailure('timeout', 'The hard deadline has passed.')
    send(task, stop.isRoot ? stop.ofTrees.rootEvent : 'task.cancel')
    if (!isStopping(task)) return
    journal.appendSoon(task, 'task.stopping', { stopCause: task.cause })
    parts.release(task)
    abort(task, task.cause)
    settle(task)
  }

  /** Works through tasks from the first to the last, a slice a turn. What is only one slice is done at once. */
  const inSlices = (tasks: readonly LiveTask[], work: (task: LiveTask) => void, done: () => void): void => {
    let index = 0
    const turn = (): void => {
      const end = Math.min(index + SLICE, tasks.length)
      for (; index < end; index += 1) {
        const task = tasks[index]
        if (task !== undefined) work(task)
      }
      if (index < tasks.length) clock.soon(turn)
      else done()
    }
    if (tasks.length > SLICE) clock.soon(turn)
    else turn()
  }

  const expireGrace = (due: { readonly trees: StopOfTrees; readonly members: readonly LiveTask[] }): void => {
    due.trees.isGraceOver = true
    inSlices(due.members, settle, () => undefined)
  }

  /** Marks all tasks of the trees that no stop has reached before. The walk that finds them touches each of them anyway. */
  const mark = (roots: readonly LiveTask[], ofTrees: StopOfTrees): AcceptedStop['members'] => {
    const asRoot: Stop = { isRoot: true, ofTrees }
    const below: Stop = { isRoot: false, ofTrees }
    return deepestFirst(roots, (task, isTop) => {
      if (task.finalStatus !== undefined || task.stop?.ofTrees === ofTrees) return false
      if (task.stop !== undefined) return true
      task.stop = isTop ? asRoot : below
      ofTrees.liveCount += 1
      return true
    })
  }

  const reportRest = ({ abandonedCount }: StopOfTrees): void => {
    const unreported = abandonedCount - MAX_REPORTS
    if (unreported > 0) logger.warn({ count: unreported }, 'more work ignores its signal; the tasks were let go')
  }

  return {
    accept({ roots, cause, rootEvent }) {
      const trees: StopOfTrees = {
        cause: Object.freeze(cause),
        rootEvent,
        isGraceOver: false,
        liveCount: 0,
        causeBelow: undefined,
        grace: undefined,
        abandonedCount: 0,
      }
      const members = mark(roots, trees)
      const reached =
        trees.liveCount === members.length ? members : members.filter(({ stop }) => stop?.ofTrees === trees)
      if (reached.length > 0) {
        trees.grace = deadlines.after(parts.graceMs, expireGrace, { trees, members: reached })
      }

      const listeners: (() => void)[] = []
      let isSignalled = false
      inSlices(reached, signal, () => {
        isSignalled = true
        for (const listener of listeners) listener()
      })
      return {
        members,
        whenSignalled: (done) => void (isSignalled ? done() : listeners.push(done)),
      }
    },

    causeOf,

    settle,

    signal,

    abort,

    noteEnd({ stop }) {
      if (stop === undefined) return
      const { ofTrees } = stop
      ofTrees.liveCount -= 1
      if (ofTrees.liveCount > 0) return
      ofTrees.grace?.disarm()
      reportRest(ofTrees)
    },
  }
}
