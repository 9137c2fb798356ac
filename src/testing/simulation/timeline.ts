/**
 * One time for all simulated processes, which passes when it is told to. Each process has a clock of its own on it: its
 * wall clock may be wrong, and it may stand still.
 *
 * running: what is due happens. paused: it waits, and happens when the process goes on. dead: it never happens.
 *
 * 1. What is due at one moment happens in the order in which it was asked for.
 * 2. Between two things that are due, everything they cause without time passing happens: every promise that can settle has
 *    settled. A turn of the real loop, which takes longer, is left to whoever passes the time.
 */
import type { Clock, ClockTimer } from '../../ports/clock.ts'

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
  /** Lets everything happen that needs no time to pass. Called from what a promise has brought about. */
  settle(): Promise<void>
}

/** What a timer asks of the clock that set it. */
interface TimerHost {
  readonly deliver: (work: () => void) => void
  readonly isDead: () => boolean
}

class Timer implements ClockTimer {
  readonly dueMs: number
  readonly host: TimerHost
  readonly onDue: () => void
  isCancelled = false

  constructor(dueMs: number, host: TimerHost, onDue: () => void) {
    this.dueMs = dueMs
    this.host = host
    this.onDue = onDue
  }

  /** The process may stand still, and the timer may be cancelled until it goes on. */
  fire(): void {
    this.host.deliver(() => void (this.isCancelled || this.onDue()))
  }

  cancel(): void {
    this.isCancelled = true
  }

  /** A simulation goes on as long as its time does, whoever waits. */
  hold(): void {}

  release(): void {}
}

/** The wall clock at the start. */
export const START_AT = Date.UTC(2026, 0, 1)

/** More of them than this while one step passes set each other, without end. */
const MAX_TIMERS = 100_000

export function createTimeline(): Timeline {
  /** By moment, then in the order in which they were set. */
  const timers: Timer[] = []
  let soon: (() => void)[] = []
  let nowMs = 0

  const addTimer = (delayMs: number, host: TimerHost, onDue: () => void): Timer => {
    const timer = new Timer(nowMs + Math.max(0, delayMs), host, onDue)
    let index = timers.length
    while (index > 0 && (timers[index - 1]?.dueMs ?? 0) > timer.dueMs) index -= 1
    if (index === timers.length) timers.push(timer)
    else timers.splice(index, 0, timer)
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
        if (next.isCancelled || next.host.isDead()) continue
        nowMs = Math.max(nowMs, next.dueMs)
        next.fire()
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
  readonly addTimer: (delayMs: number, host: TimerHost, onDue: () => void) => Timer
  readonly soon: (work: () => void) => void
}): ProcessClock {
  let state: 'running' | 'paused' | 'dead' = 'running'
  let offsetMs = START_AT
  let held: (() => void)[] = []

  const deliver = (work: () => void): void => {
    if (state === 'running') work()
    else if (state === 'paused') held.push(work)
  }
  const host: TimerHost = { deliver, isDead: () => state === 'dead' }

  return {
    now: () => offsetMs + time.nowMs(),
    monotonicMs: time.nowMs,
    startTimer: (delayMs, onDue) => time.addTimer(delayMs, host, onDue),
    soon: (work) => time.soon(() => deliver(work)),
    deliver,
    sleep: (ms) => new Promise((resolve) => void time.addTimer(ms, host, resolve)),
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

/**
 * Every promise that can settle has settled, and what it caused: what is asked for here comes when no promise has anything
 * left to do.
 */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
