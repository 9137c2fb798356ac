/**
 * One time for all simulated processes, which passes when it is told to. Each process has a clock of its own on it: its
 * wall clock may be wrong, and it may stand still.
 *
 * running: what is due happens. paused: it waits, and happens when the process goes on. dead: it never happens.
 *
 * 1. What is due at one moment happens in the order in which it was asked for.
 * 2. Between two things that are due, everything they cause without time passing happens.
 */
import type { Clock } from '../../ports/clock.ts'

export interface ProcessClock extends Clock {
  /** Calls back as soon as the process runs: now, after its pause, or never. */
  deliver(work: () => void): void
  /** Resolves after `ms`, as long as the process lives. */
  sleep(ms: number): Promise<void>
  /** Moves the wall clock of this process alone. */
  jump(ms: number): void
  /** Sets the wall clock right. */
  correct(): void
  pause(): void
  resume(): void
  /** Memory and timers are gone. */
  kill(): void
  state(): 'running' | 'paused' | 'dead'
}

export interface Timeline {
  /** Milliseconds since the start. */
  nowMs(): number
  createClock(): ProcessClock
  advance(ms: number): Promise<void>
  /** Lets everything happen that needs no time to pass. */
  settle(): Promise<void>
}

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly onDue: () => void
  readonly isGone: () => boolean
  isCancelled: boolean
}

/** The wall clock at the start. */
export const START_AT = Date.UTC(2026, 0, 1)

/** More of them than this while one step passes set each other, without end. */
const MAX_TIMERS = 100_000

export function createTimeline(): Timeline {
  /** By moment, then by order. */
  const timers: Timer[] = []
  let soon: (() => void)[] = []
  let nowMs = 0
  let order = 0

  const addTimer = (delayMs: number, onDue: () => void, isGone: () => boolean): Timer => {
    order += 1
    const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), order, onDue, isGone, isCancelled: false }
    let index = timers.length
    while (index > 0 && (timers[index - 1]?.dueMs ?? 0) > timer.dueMs) index -= 1
    timers.splice(index, 0, timer)
    return timer
  }

  const settle = async (): Promise<void> => {
    await nextTurn()
    while (soon.length > 0) {
      const turn = soon
      soon = []
      for (const work of turn) {
        work()
        await nextTurn()
      }
    }
  }

  return {
    nowMs: () => nowMs,
    createClock: () => createProcessClock({ nowMs: () => nowMs, addTimer, soon: (work) => void soon.push(work) }),
    settle,
    async advance(ms) {
      const untilMs = nowMs + ms
      // What was begun a moment ago may set timers that are due on the way.
      await settle()
      let fired = 0
      for (let next = timers[0]; next !== undefined && next.dueMs <= untilMs; next = timers[0]) {
        timers.shift()
        if (next.isCancelled || next.isGone()) continue
        nowMs = Math.max(nowMs, next.dueMs)
        next.onDue()
        await settle()
        fired += 1
        if (fired > MAX_TIMERS) throw new Error(`nothing comes to rest at ${nowMs} ms of the simulation`)
      }
      nowMs = untilMs
    },
  }
}

function createProcessClock(time: {
  readonly nowMs: () => number
  readonly addTimer: (delayMs: number, onDue: () => void, isGone: () => boolean) => Timer
  readonly soon: (work: () => void) => void
}): ProcessClock {
  let state: 'running' | 'paused' | 'dead' = 'running'
  let offsetMs = START_AT
  let held: (() => void)[] = []

  const deliver = (work: () => void): void => {
    if (state === 'running') work()
    else if (state === 'paused') held.push(work)
  }
  const isDead = (): boolean => state === 'dead'

  const startTimer = (delayMs: number, onDue: () => void): { cancel(): void } => {
    const timer = time.addTimer(delayMs, () => deliver(() => void (timer.isCancelled || onDue())), isDead)
    return { cancel: () => void (timer.isCancelled = true) }
  }

  return {
    now: () => offsetMs + time.nowMs(),
    monotonicMs: time.nowMs,
    startTimer: (delayMs, onDue) => ({
      ...startTimer(delayMs, onDue),
      hold: () => undefined,
      release: () => undefined,
    }),
    soon: (work) => time.soon(() => deliver(work)),
    deliver,
    sleep: (ms) => new Promise((resolve) => void startTimer(ms, resolve)),
    jump: (ms) => void (offsetMs += ms),
    correct: () => void (offsetMs = START_AT),
    pause: () => void (state = state === 'running' ? 'paused' : state),
    resume() {
      if (state !== 'paused') return
      state = 'running'
      const waiting = held
      held = []
      for (const work of waiting) time.soon(() => deliver(work))
    },
    kill() {
      state = 'dead'
      held = []
    },
    state: () => state,
  }
}

/** Every promise that can settle has settled, and what it caused. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
