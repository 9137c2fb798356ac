/**
 * How long tasks have run, over all their attempts: what the hard deadline `timeoutMs` is a limit of. It stands still
 * while a task is queued, waits for an answer or for its next attempt.
 */
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { LiveTask } from './live-task.ts'

export interface RunningTime {
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
      if (timeoutMs !== Infinity) task.hardDeadline = deadlines.after(task.leftMs ?? timeoutMs, onOver, task)
    },
    standStill(task) {
      const { hardDeadline } = task
      if (hardDeadline === undefined) return
      hardDeadline.disarm()
      task.hardDeadline = undefined
      task.leftMs = Math.max(0, hardDeadline.dueAtMs - clock.monotonicMs())
    },
    end: (task) => task.hardDeadline?.disarm(),
  }
}
