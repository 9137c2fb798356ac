/** Those who wait until what was appended to the log of a task is kept, or until that takes too long. */
import type { Deadlines } from '../../ports/deadlines.ts'
import type { LiveTask, TaskLog } from '../live-task.ts'
import type { StoreWriter } from './store-writer.ts'

type Waiting = TaskLog['waiting'][number]

export interface LogWaits {
  /** Calls back once all that was appended so far is kept, or is known to take too long. */
  whenKnown(task: LiveTask, onKnown: (isSaved: boolean) => void): void
  /** Tells those who wait for what is kept by now. */
  settle(log: TaskLog): void
  /** Tells all who wait that nothing more will be kept. */
  giveUp(log: TaskLog): void
}

export function createLogWaits(parts: {
  readonly deadlines: Deadlines
  readonly writer: Pick<StoreWriter, 'isPaused'>
  readonly commitWaitMs: number
}): LogWaits {
  const { deadlines, writer, commitWaitMs } = parts
  return {
    whenKnown(task, onKnown) {
      const { log } = task
      if (log === undefined) return onKnown(false)
      if (log.committedSeq >= task.lastSeq && !log.isInFlight) return onKnown(true)
      if (writer.isPaused() || log.refusal !== undefined) return onKnown(false)
      const waiting: Waiting = { seq: task.lastSeq, onKnown, patience: undefined }
      log.waiting.push(waiting)
      waiting.patience = deadlines.after(
        commitWaitMs,
        () => {
          log.waiting.splice(log.waiting.indexOf(waiting), 1)
          onKnown(false)
        },
        undefined,
      )
    },

    settle(log) {
      while (log.waiting[0] !== undefined && log.waiting[0].seq <= log.committedSeq) {
        const waiting = log.waiting.shift()
        waiting?.patience?.disarm()
        waiting?.onKnown(true)
      }
    },

    giveUp(log) {
      for (const waiting of log.waiting.splice(0)) {
        waiting.patience?.disarm()
        waiting.onKnown(false)
      }
    },
  }
}
