/**
 * The end of a task: its chart is final, nothing decides about it any more, and it only has to become known.
 *
 * 1. An end is published once it is kept, or once that takes too long.
 * 2. A parent hears of a child's end after that end is public.
 */
import type { FinalStatus } from '../../../machines/vocabulary.ts'
import type { Hub } from '../../events/hub.ts'
import type { Clock } from '../../ports/clock.ts'
import type { IdSource } from '../../ports/id-source.ts'
import { finalEventType } from '../../ports/task-event.ts'
import type { Budgets } from '../budgets.ts'
import type { Callers } from '../callers.ts'
import type { Journal } from '../journal/journal.ts'
import { letGoOf, type LiveTask } from '../live-task.ts'
import { parentOf } from '../task-status.ts'
import type { Inboxes } from '../messages/inboxes.ts'
import type { Reports } from '../reports.ts'
import { toStoredRecord } from '../stored-record.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import type { TreeIndex } from '../tree-index.ts'
import type { Turns } from '../turns/turns.ts'
import type { Attempts } from './attempts.ts'
import type { Children } from './children.ts'
import { finalDataOf, outboxOf } from './endings.ts'
import type { RunningTime } from './running-time.ts'
import type { Stopping } from './stopping.ts'

export interface FinalEnds {
  /** Has to be called once for every task whose chart became final. */
  finalise(task: LiveTask): void
  /** Writes the end of a task that the store has taken only after the supervisor has stopped, which has no actor for it. */
  endInLog(task: LiveTask): void
  /** Takes a task out that does not live here any more, or never did, and tells everybody who counts on its end. */
  dropUnstarted(task: LiveTask): void
}

export function createFinalEnds(parts: {
  readonly clock: Clock
  readonly createId: IdSource
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly hub: Hub
  readonly journal: Journal
  readonly reports: Reports
  readonly turns: Turns
  readonly budgets: Budgets
  readonly inboxes: Inboxes
  readonly callers: Callers
  readonly stopping: Stopping
  readonly attempts: Attempts
  readonly runningTime: RunningTime
  readonly children: Pick<Children, 'hearOfEnd'>
}): FinalEnds {
  const { clock, createId, supervisor, tree, hub, journal, reports, turns, budgets, inboxes } = parts
  const { callers, stopping, attempts, runningTime, children } = parts

  const appendEnd = (task: LiveTask, status: FinalStatus): void =>
    journal.appendFinal(task, finalEventType(status), finalDataOf(task), outboxOf(task, createId))

  const publishEnd = (task: LiveTask, isSaved: boolean): void => {
    const parent = takeOut(task)
    // It was let go of, and runs again elsewhere: this end is nobody's business.
    const goesOn = task.log?.refusal !== undefined && task.spec.recovery !== undefined
    if (goesOn) callers.giveUp(task)
    callers.answerAll(task, isSaved)
    if (!isSaved && !goesOn && task.log !== undefined) hub.releaseEnd(toStoredRecord(task, task.log.version))
    hub.leave(task.taskId, task.spec.owner)
    tellEnd(task, parent)
    attempts.tellExhausted(task)
    if (isSaved || task.log === undefined) letGoOf(task)
  }

  /** Takes a task out of the live ones. Gives its parent, if that still owns it. */
  const takeOut = (task: LiveTask): LiveTask | undefined => {
    const parent = parentOf(task)
    supervisor.forget(task)
    tree.unlink(task)
    if (parent !== undefined) journal.endAfter(parent, task)
    turns.noteGone(task)
    return parent
  }

  const tellEnd = (task: LiveTask, parent: LiveTask | undefined): void => {
    const listeners = task.endListeners
    task.endListeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener()
    if (parent !== undefined) children.hearOfEnd(parent, task)
  }

  return {
    finalise(task) {
      if (task.finalStatus === undefined) return
      task.endedAt = clock.now()
      runningTime.end(task)
      attempts.end(task)
      task.input = undefined
      // Only an attempt has failed.
      if (task.finalStatus === 'cancelled') task.failure = undefined
      reports.flush(task)
      inboxes.bounce(task)
      stopping.noteEnd(task)
      turns.noteFinal(task)
      appendEnd(task, task.finalStatus)
      journal.whenKnown(task, (isSaved) => publishEnd(task, isSaved))
    },

    endInLog(task) {
      task.finalStatus = 'cancelled'
      task.cause = { reason: 'shutdown' }
      task.endedAt = clock.now()
      appendEnd(task, 'cancelled')
    },

    dropUnstarted(task) {
      const parent = takeOut(task)
      stopping.noteEnd(task)
      turns.noteFinal(task)
      budgets.leave(task)
      inboxes.bounce(task)
      task.stop = undefined
      hub.leave(task.taskId, task.spec.owner)
      tellEnd(task, parent)
    },
  }
}
