/**
 * How long tasks have run, over all their attempts: what the hard deadline `timeoutMs` is a limit of. It stands still
 * while a task is queued, waits for an answer or for its next attempt.
 */
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import { rareOf, type LiveTask } from '../live-task.ts'

export interface RunningTime {
  /** Does nothing when it goes on already. */
  goOn(task: LiveTask): void
  /** Does nothing when it stands still already. */
  standStill(task: LiveTask): void
  /** It will not go on any more. */
  end(task: LiveTask): void
}

export function createRunningTime(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly onOver: (task: LiveTask) => void
}): RunningTime {
  const { clock, deadlines, onOver } = parts
  return {
    goOn(task) {
      const { timeoutMs } = task.spec.policy
      if (timeoutMs === Infinity || task.deadline !== undefined) return
      const stood = task.rare?.stood
      if (stood !== undefined) stood.wentOnAt = clock.now()
      task.deadline = deadlines.after(stood?.leftMs ?? timeoutMs, onOver, task)
    },
    standStill(task) {
      const { deadline } = task
      if (deadline === undefined) return
      deadline.disarm()
      task.deadline = undefined
      rareOf(task).stood = { leftMs: Math.max(0, deadline.dueAtMs - clock.monotonicMs()), wentOnAt: undefined }
    },
    end: (task) => task.deadline?.disarm(),
  }
}
