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
      if (timeoutMs !== Infinity) task.deadline = deadlines.after(task.leftMs ?? timeoutMs, onOver, task)
    },
    standStill(task) {
      const { deadline } = task
      if (deadline === undefined) return
      deadline.disarm()
      task.deadline = undefined
      task.leftMs = Math.max(0, deadline.dueAtMs - clock.monotonicMs())
    },
    end: (task) => task.deadline?.disarm(),
  }
}
