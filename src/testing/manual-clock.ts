/**
 * A clock that stands still until it is told to go on. Timers fire in the order in which they are due, and whatever they
 * cause is let happen before the next one.
 */
import type { Clock } from '../ports/clock.ts'

export interface ManualClock extends Clock {
  /** Lets `ms` pass, timer by timer. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock alone, as a correction of the system time does. */
  jump(ms: number): void
  /** Timers that are set. */
  timerCount(): number
  /** Timers that hold the process alive. */
  heldTimerCount(): number
  /** Work handed to `soon` that has not run. */
  pendingTurns(): number
}

interface ManualTimer {
  readonly dueMs: number
  readonly order: number
  readonly onDue: () => void
  isHeld: boolean
}

/** `settle` is awaited after each timer; by default three turns of the loop. */
export function createManualClock(
  options: { readonly startAt?: number; readonly settle?: () => Promise<void> } = {},
): ManualClock {
  const timers = new Set<ManualTimer>()
  let elapsedMs = 0
  let wallMs = options.startAt ?? Date.UTC(2026, 0, 1)
  let order = 0
  let turns = 0
  const settle = options.settle ?? (() => passTurns(3))

  const nextDue = (untilMs: number): ManualTimer | undefined => {
    let next: ManualTimer | undefined
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue
      const isEarlier = next === undefined || timer.dueMs < next.dueMs
      if (isEarlier || (timer.dueMs === next?.dueMs && timer.order < next.order)) next = timer
    }
    return next
  }

  const moveTo = (ms: number): void => {
    if (ms <= elapsedMs) return
    wallMs += ms - elapsedMs
    elapsedMs = ms
  }

  return {
    now: () => wallMs,
    monotonicMs: () => elapsedMs,
    startTimer(delayMs, onDue) {
      order += 1
      const timer: ManualTimer = { dueMs: elapsedMs + delayMs, order, onDue, isHeld: false }
      timers.add(timer)
      return {
        cancel: () => void timers.delete(timer),
        hold: () => void (timer.isHeld = true),
        release: () => void (timer.isHeld = false),
      }
    },
    soon(work) {
      turns += 1
      setImmediate(() => {
        turns -= 1
        work()
      })
    },
    async advance(ms) {
      const untilMs = elapsedMs + ms
      await settle()
      for (let timer = nextDue(untilMs); timer !== undefined; timer = nextDue(untilMs)) {
        moveTo(timer.dueMs)
        timers.delete(timer)
        timer.onDue()
        await settle()
      }
      moveTo(untilMs)
      await settle()
    },
    jump: (ms) => void (wallMs += ms),
    timerCount: () => timers.size,
    heldTimerCount: () => [...timers].filter((timer) => timer.isHeld).length,
    pendingTurns: () => turns,
  }
}

/** Lets the loop turn, so that promises and immediates run. */
export async function passTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
