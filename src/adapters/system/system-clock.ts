import type { Clock } from '../../ports/clock.ts'

/** The clock and timers of the process. */
export const systemClock: Clock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  startTimer(delayMs, onDue) {
    const timer = setTimeout(onDue, delayMs)
    timer.unref()
    return {
      cancel: () => clearTimeout(timer),
      hold: () => void timer.ref(),
      release: () => void timer.unref(),
    }
  },
  soon: (work) => void setImmediate(work),
}
