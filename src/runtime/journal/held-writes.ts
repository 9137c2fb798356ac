/** Tasks whose events are written a moment later than they were numbered, so that what mostly follows is in the same commit. */
import type { Clock } from '../../ports/clock.ts'
import type { LiveTask, TaskLog } from '../live-task.ts'

export interface HeldWrites {
  /** Writes a turn later, at the earliest need. */
  writeSoon(task: LiveTask): void
  /** Writes with the end of code that has nothing to wait for. */
  writeStart(task: LiveTask, log: TaskLog): void
  /** Writes the starts that are held. */
  flushStarts(): void
}

export function createHeldWrites(parts: {
  readonly clock: Clock
  readonly flush: (task: LiveTask, log: TaskLog) => void
}): HeldWrites {
  const { clock, flush } = parts
  let soon: LiveTask[] = []
  let starts: LiveTask[] = []

  const flushSoon = (): void => {
    const tasks = soon
    soon = []
    for (const task of tasks) if (task.log !== undefined) flush(task, task.log)
  }

  const flushStarts = (): void => {
    const started = starts
    starts = []
    for (const task of started) {
      if (task.log === undefined) continue
      task.log.isStarting = false
      flush(task, task.log)
    }
  }

  return {
    writeSoon(task) {
      soon.push(task)
      if (soon.length === 1) clock.soon(flushSoon)
    },

    // Code that awaits nothing has ended after one microtask, and whoever gets the ticket goes on after more than two.
    writeStart(task, log) {
      log.isStarting = true
      starts.push(task)
      if (starts.length === 1) queueMicrotask(() => queueMicrotask(flushStarts))
    },

    flushStarts,
  }
}
