/**
 * When what goes to a target goes there.
 *
 * 1. At one target one job runs at a time, in the order in which they came: what has to wait holds up what came after it,
 *    and nothing else.
 * 2. At most `maxSending` jobs run at once; among targets that could go on, owners take turns.
 * 3. A target that has failed several times in a row is left alone for ever longer, whichever jobs that were.
 * 4. A job that is over before its turn costs its target nothing.
 */
import { breakMs } from '../../machines/policies/delivery.ts'
import type { BackoffPolicy } from '../../machines/policies/backoff.ts'
import { createFairQueue } from '../fair-queue.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'

/** What became of one run of a job. */
export type LaneVerdict =
  /** Nothing more has to be done. */
  | { readonly kind: 'done'; readonly target: 'up' | 'down' | 'unknown' }
  /** It has to run again, and stays the first at its target. */
  | { readonly kind: 'later'; readonly delayMs: number; readonly target: 'down' | 'unknown' }

export interface LaneJob<Job> {
  readonly owner: string
  /** Not to be run before, by the monotonic clock. */
  readonly notBeforeMs: number
  /** Whether there is nothing left to run. */
  isOver(): boolean
  /** Never rejects. `behind` gives what waits at the same target, in order. */
  run(behind: () => Iterable<Job>): Promise<LaneVerdict>
}

export interface Lanes<Job> {
  add(target: string, job: Job): void
  /** Resolves when nothing runs or could run now; what waits for a moment is not waited for. */
  whenIdle(): Promise<void>
  /**
   * Nothing waits any more: what comes from now on runs once, at once. Says how many jobs are left, those that run included.
   */
  stop(): number
}

interface Lane<Job> {
  readonly target: string
  jobs: Job[]
  /** The first job in `jobs` that is not over. */
  head: number
  failuresInARow: number
  /** By the monotonic clock. */
  notBeforeMs: number
  moment: Moment | undefined
  state: 'resting' | 'ready' | 'running'
}

/** Targets without jobs of which is remembered how often they failed. */
const MAX_RESTING = 10_000
/** Jobs that have run are taken out of their lane so many at a time. */
const SWEEP_AT = 64

export function createLanes<Job extends LaneJob<Job>>(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly maxSending: number
  readonly pause: BackoffPolicy
}): Lanes<Job> {
  const { clock, deadlines } = parts
  const lanes = new Map<string, Lane<Job>>()
  const ready = createFairQueue<Lane<Job>>(() => true)
  let running = 0
  let isStopped = false
  let idle: (() => void)[] = []

  const requireLane = (target: string): Lane<Job> => {
    const known = lanes.get(target)
    if (known !== undefined) return known
    const lane: Lane<Job> = {
      target,
      jobs: [],
      head: 0,
      failuresInARow: 0,
      notBeforeMs: 0,
      moment: undefined,
      state: 'resting',
    }
    lanes.set(target, lane)
    return lane
  }

  /** The first job that has still something to do. */
  const firstOf = (lane: Lane<Job>): Job | undefined => {
    while (lane.jobs[lane.head]?.isOver() === true) lane.head += 1
    if (lane.head >= SWEEP_AT || lane.head === lane.jobs.length) {
      lane.jobs = lane.jobs.slice(lane.head)
      lane.head = 0
    }
    return lane.jobs[lane.head]
  }

  /** A target that works is forgotten when nothing waits for it. */
  const leave = (lane: Lane<Job>): void => {
    lane.state = 'resting'
    if (lane.failuresInARow === 0) lanes.delete(lane.target)
    else if (lanes.size > MAX_RESTING) forgetOldest()
  }

  const forgetOldest = (): void => {
    for (const lane of lanes.values()) {
      if (lane.jobs.length > 0) continue
      lanes.delete(lane.target)
      return
    }
  }

  const consider = (lane: Lane<Job>): void => {
    if (isStopped || lane.state !== 'resting') return
    lane.moment?.disarm()
    lane.moment = undefined
    const first = firstOf(lane)
    if (first === undefined) return leave(lane)
    const waitMs = Math.max(lane.notBeforeMs, first.notBeforeMs) - clock.monotonicMs()
    if (waitMs > 0) {
      lane.moment = deadlines.after(waitMs, consider, lane)
      return
    }
    lane.state = 'ready'
    ready.add(first.owner, 0, lane)
    goOn()
  }

  const goOn = (): void => {
    while (running < parts.maxSending) {
      const lane = isStopped ? undefined : ready.take()
      if (lane === undefined) break
      void runFirst(lane)
    }
    if (running > 0 || ready.size() > 0) return
    const waiting = idle
    idle = []
    for (const tell of waiting) tell()
  }

  const runFirst = async (lane: Lane<Job>): Promise<void> => {
    lane.state = 'running'
    running += 1
    const first = firstOf(lane)
    if (first !== undefined) note(lane, await first.run(() => lane.jobs.slice(lane.head + 1)))
    running -= 1
    lane.state = 'resting'
    consider(lane)
    goOn()
  }

  const note = (lane: Lane<Job>, verdict: LaneVerdict): void => {
    if (verdict.kind === 'done') lane.head += 1
    if (verdict.target === 'up') lane.failuresInARow = 0
    if (verdict.target === 'down') lane.failuresInARow += 1
    const pauseMs = verdict.target === 'down' ? breakMs(parts.pause, lane.failuresInARow) : 0
    const delayMs = Math.max(pauseMs, verdict.kind === 'later' ? verdict.delayMs : 0)
    lane.notBeforeMs = delayMs === 0 ? 0 : clock.monotonicMs() + delayMs
  }

  return {
    add(target, job) {
      if (isStopped) return void job.run(() => [])
      const lane = requireLane(target)
      lane.jobs.push(job)
      consider(lane)
    },
    whenIdle: () =>
      new Promise((resolve) => {
        if (running === 0 && ready.size() === 0) resolve()
        else idle.push(resolve)
      }),
    stop() {
      isStopped = true
      let left = 0
      for (const lane of lanes.values()) {
        lane.moment?.disarm()
        left += lane.jobs.slice(lane.head).filter((job) => !job.isOver()).length
      }
      for (const tell of idle.splice(0)) tell()
      return left
    },
  }
}
