/**
 * Everything that has to happen later.
 *
 * Moments of one duration come due in the order in which they were armed, so each duration has one queue and one timer,
 * and arming, disarming and expiring cost the same however many there are. A duration beyond the first
 * `MAX_QUEUES` shares one heap instead.
 *
 * 1. A moment is never early by the monotonic clock, whatever the wall clock does.
 * 2. Delays of any length work: a timer that is shorter than its moment is armed again.
 * 3. At most `MAX_PER_TURN` moments expire in one turn of the loop.
 * 4. The process is held alive exactly while a moment is armed that was not armed as `isIdle`.
 */
import type { Clock, ClockTimer } from '../ports/clock.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'

const MAX_QUEUES = 64
const MAX_PER_TURN = 500
const MAX_TIMER_MS = 2 ** 31 - 1

interface Source {
  remove(moment: ArmedMoment): void
}

interface Agenda extends Source {
  add(moment: ArmedMoment): void
  earliest(): ArmedMoment | undefined
}

/** A moment in its agenda. A class, because every call arms one or two: methods on a prototype cost no memory. */
class ArmedMoment implements Moment {
  readonly dueAtMs: number
  readonly onDue: (subject: never) => void
  readonly subject: unknown
  readonly isIdle: boolean
  source: Source | undefined
  previous: ArmedMoment | undefined = undefined
  next: ArmedMoment | undefined = undefined
  heapIndex = 0

  constructor(dueAtMs: number, onDue: (subject: never) => void, subject: unknown, isIdle: boolean, source: Source) {
    this.dueAtMs = dueAtMs
    this.onDue = onDue
    this.subject = subject
    this.isIdle = isIdle
    this.source = source
  }

  disarm(): void {
    const { source } = this
    this.source = undefined
    source?.remove(this)
  }
}

export function createDeadlines(clock: Clock, reportError: (error: unknown) => void): Deadlines {
  const queues = new Map<number, Schedule>()
  let isClosed = false

  /** One agenda and the timer that watches its earliest moment. */
  interface Schedule extends Source {
    arm(moment: ArmedMoment): void
    close(): void
  }

  const createSchedule = (agenda: Agenda, onIdle: () => void): Schedule => {
    let timer: ClockTimer | undefined
    let timerDueMs = Infinity
    let holding = 0

    const watch = (): void => {
      const first = agenda.earliest()
      if (first === undefined || (timer !== undefined && timerDueMs <= first.dueAtMs)) return
      timer?.cancel()
      timerDueMs = first.dueAtMs
      const delayMs = Math.max(0, Math.ceil(first.dueAtMs - clock.monotonicMs()))
      timer = clock.startTimer(Math.min(delayMs, MAX_TIMER_MS), expire)
      if (holding > 0) timer.hold()
    }

    const letGo = (moment: ArmedMoment): void => {
      if (moment.isIdle) return
      holding -= 1
      if (holding === 0) timer?.release()
    }

    const dropTimer = (): void => {
      timer?.cancel()
      timer = undefined
      timerDueMs = Infinity
    }

    const expire = (): void => {
      timer = undefined
      timerDueMs = Infinity
      const nowMs = clock.monotonicMs()
      for (let count = 0; count < MAX_PER_TURN; count += 1) {
        const moment = agenda.earliest()
        if (moment === undefined || moment.dueAtMs > nowMs) break
        moment.source = undefined
        agenda.remove(moment)
        letGo(moment)
        try {
          moment.onDue(moment.subject as never)
        } catch (error) {
          reportError(error)
        }
      }
      if (agenda.earliest() !== undefined) return watch()
      // What was armed and disarmed meanwhile has left its timer: it must not find this schedule again.
      dropTimer()
      onIdle()
    }

    const schedule: Schedule = {
      arm(moment) {
        agenda.add(moment)
        if (!moment.isIdle) {
          holding += 1
          if (holding === 1) timer?.hold()
        }
        if (timer === undefined || moment.dueAtMs < timerDueMs) watch()
      },
      remove(moment) {
        agenda.remove(moment)
        letGo(moment)
      },
      close: () => timer?.cancel(),
    }
    return schedule
  }

  const others = createSchedule(createHeap(), () => undefined)

  const scheduleFor = (delayMs: number): Schedule => {
    const known = queues.get(delayMs)
    if (known !== undefined) return known
    if (queues.size >= MAX_QUEUES) return others
    const schedule = createSchedule(createQueue(), () => queues.delete(delayMs))
    queues.set(delayMs, schedule)
    return schedule
  }

  const arm = (delayMs: number, onDue: (subject: never) => void, subject: unknown, isIdle: boolean): Moment => {
    const schedule = scheduleFor(delayMs)
    const moment = new ArmedMoment(clock.monotonicMs() + delayMs, onDue, subject, isIdle, schedule)
    if (isClosed) moment.source = undefined
    else schedule.arm(moment)
    return moment
  }

  return {
    after: (delayMs, onDue, subject) => arm(delayMs, onDue, subject, false),
    idleAfter: (delayMs, onDue, subject) => arm(delayMs, onDue, subject, true),
    close() {
      isClosed = true
      for (const schedule of queues.values()) schedule.close()
      queues.clear()
      others.close()
    },
  }
}

/** Moments of one duration: first armed, first due. */
function createQueue(): Agenda {
  let first: ArmedMoment | undefined
  let last: ArmedMoment | undefined
  return {
    add(moment) {
      moment.previous = last
      if (last === undefined) first = moment
      else last.next = moment
      last = moment
    },
    remove(moment) {
      if (moment.previous === undefined) first = moment.next
      else moment.previous.next = moment.next
      if (moment.next === undefined) last = moment.previous
      else moment.next.previous = moment.previous
      moment.previous = undefined
      moment.next = undefined
    },
    earliest: () => first,
  }
}

/** Moments of any duration, as a binary heap in an array. */
function createHeap(): Agenda {
  const heap: ArmedMoment[] = []

  const place = (moment: ArmedMoment, index: number): void => {
    heap[index] = moment
    moment.heapIndex = index
  }

  const rise = (moment: ArmedMoment, from: number): void => {
    let index = from
    while (index > 0) {
      const aboveIndex = (index - 1) >> 1
      const above = heap[aboveIndex]
      if (above === undefined || above.dueAtMs <= moment.dueAtMs) break
      place(above, index)
      index = aboveIndex
    }
    place(moment, index)
  }

  const sink = (moment: ArmedMoment, from: number): void => {
    let index = from
    for (;;) {
      const left = heap[2 * index + 1]
      const right = heap[2 * index + 2]
      const below = right !== undefined && left !== undefined && right.dueAtMs < left.dueAtMs ? right : left
      if (below === undefined || below.dueAtMs >= moment.dueAtMs) break
      const belowIndex = below.heapIndex
      place(below, index)
      index = belowIndex
    }
    place(moment, index)
  }

  return {
    add: (moment) => rise(moment, heap.length),
    remove(moment) {
      const tail = heap.pop()
      if (tail === undefined || tail === moment) return
      sink(tail, moment.heapIndex)
      rise(tail, tail.heapIndex)
    },
    earliest: () => heap[0],
  }
}
