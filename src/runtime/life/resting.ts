/** A task whose code waits for somebody else: its clocks stand still, and its slot is lent, until it goes on. */
import type { Inboxes } from '../messages/inboxes.ts'
import type { LiveTask } from '../live-task.ts'
import type { Turns } from '../turns/turns.ts'
import type { Attempts } from './attempts.ts'
import type { RunningTime } from './running-time.ts'

export interface Resting {
  /** The task runs from now on, after a rest if it had one. */
  goOn(task: LiveTask): void
  /** The task does not run any more, for the time being: its clocks stand still, and others may have its slot. */
  rest(task: LiveTask): void
  stopClocks(task: LiveTask): void
  /** What its code waits for does not come any more. */
  release(task: LiveTask): void
}

export function createResting(parts: {
  readonly turns: Turns
  readonly runningTime: RunningTime
  readonly attempts: Attempts
  readonly inboxes: Inboxes
  readonly closeQuestions: (task: LiveTask) => void
}): Resting {
  const { turns, runningTime, attempts, inboxes, closeQuestions } = parts

  const stopClocks = (task: LiveTask): void => {
    runningTime.standStill(task)
    attempts.standStill(task)
  }

  return {
    goOn(task) {
      turns.takeBack(task, task.place)
      runningTime.goOn(task)
      attempts.goOn(task)
    },
    rest(task) {
      stopClocks(task)
      turns.lend(task)
    },
    stopClocks,
    release(task) {
      closeQuestions(task)
      inboxes.release(task)
    },
  }
}
