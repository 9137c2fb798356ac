/**
 * Tasks that another process may go on with: what this one does for them ends, and they live on in the store.
 *
 * 1. A task is left between two attempts, or before its first. Code that runs is torn down before.
 * 2. What may not run elsewhere, and is between two attempts while the supervisor drains, is cancelled.
 */
import type { Callers } from '../callers.ts'
import type { Counters } from '../counters.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import { isStopping, statusOf, workOf } from '../task-status.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import { createFailure } from '../values/failure.ts'
import type { Attempts } from './attempts.ts'
import type { FinalEnds } from './final-ends.ts'
import type { Stopping } from './stopping.ts'
import type { WorkEnds } from './work-ends.ts'

export interface HandOver {
  /** The supervisor drains, so what is between two attempts goes on in another process, or not at all. */
  handOver(task: LiveTask): void
  /** Ends what this process does for a task that another one may go on with. */
  handBack(task: LiveTask): void
  /** Cancels what is between two attempts, or hands it back, because the supervisor drains. */
  dropRetries(): void
}

export function createHandOver(parts: {
  readonly supervisor: SupervisorActor
  readonly counters: Counters
  readonly journal: Journal
  readonly callers: Callers
  readonly stopping: Stopping
  readonly attempts: Attempts
  readonly workEnds: Pick<WorkEnds, 'takeUpEnd' | 'tearDown'>
  readonly finalEnds: Pick<FinalEnds, 'dropUnstarted'>
  /** Whether another process may go on with what this one leaves. */
  readonly canHandBack: () => boolean
}): HandOver {
  const { supervisor, counters, journal, callers, stopping, attempts, workEnds, finalEnds, canHandBack } = parts

  const handOver = (task: LiveTask): void => {
    if (!mayHandBack(task)) return dropRetry(task)
    attempts.end(task)
    journal.whenKnown(task, () => {
      if (task.finalStatus === undefined && supervisor.live.has(task.taskId)) surrender(task)
    })
  }

  const mayHandBack = (task: LiveTask): boolean =>
    canHandBack() && task.spec.recovery !== undefined && task.log !== undefined && task.above.kind === 'owner'

  /** The task lives on, in the store, and not here. */
  const surrender = (task: LiveTask): void => {
    counters.handedBackTasks += 1
    journal.lose(task)
    task.deadline?.disarm()
    callers.giveUp(task)
    finalEnds.dropUnstarted(task)
  }

  const dropRetry = (task: LiveTask): void => {
    counters.droppedRetries += 1
    stopping.accept({ roots: [task], cause: { reason: 'shutdown' }, rootEvent: 'task.cancel' })
  }

  return {
    handOver,

    handBack(task) {
      workEnds.takeUpEnd(task)
      if (task.finalStatus !== undefined || task.stop !== undefined || !mayHandBack(task)) return
      const work = workOf(task)
      if (work === 'queued') return surrender(task)
      if (work === 'retrying') return handOver(task)
      if (isStopping(task)) return
      task.failure ??= createFailure('interrupted', 'The process that ran the task has stopped.')
      workEnds.tearDown(task, { cause: { reason: 'shutdown' }, event: 'child.failed' }, 0)
    },

    dropRetries() {
      for (const task of supervisor.live.values()) if (statusOf(task) === 'retrying') handOver(task)
    },
  }
}
