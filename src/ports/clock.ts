/** The time, as the library sees it. Durations are measured on the monotonic side, moments are told on the other. */
export interface Clock {
  /** The moment, in epoch milliseconds. It may jump. */
  now(): number
  /** A reading that never goes back, in milliseconds from an unknown start. */
  monotonicMs(): number
  /**
   * Calls `onDue` once, about `delayMs` later. `delayMs` is between 0 and 2^31 - 1. The timer does not hold the process
   * alive until `hold` is called.
   */
  startTimer(delayMs: number, onDue: () => void): ClockTimer
  /** Calls `work` in a turn of the loop of its own, soon, and holds the process alive until then. */
  soon(work: () => void): void
}

export interface ClockTimer {
  cancel(): void
  /** Holds the process alive until the timer is due, cancelled or released. */
  hold(): void
  release(): void
}
