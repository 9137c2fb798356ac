/**
 * The slots that running tasks hold, where their number is limited: in all, and for each owner.
 *
 * queued: waits for a slot, in the order of the fair queue.
 * held: runs, or is about to.
 * lent: lives on without a slot, because it waits for another task, an answer, its next attempt or its children.
 *
 * 1. A slot that becomes free goes to the next in the queue at once; its code starts in a microtask of its own.
 * 2. Coming back takes a slot at once, also beyond the limit; what is queued starts when the number is below it again.
 *    So nothing that waits for something below it can keep it from running: every finite tree ends.
 * 3. Each attempt has a place of its own: what lent the slot of one has no say in that of the next.
 * 4. Where nothing is limited a task has no place here, and costs nothing.
 */
import type { AdmissionLimits } from '../../../machines/policies/admission.ts'
import type { Clock } from '../../ports/clock.ts'
import { inItsContext } from '../ambient.ts'
import { createFairQueue } from '../../fair-queue.ts'
import type { LiveTask } from '../live-task.ts'
import type { Place } from '../task-state.ts'
import { createSlices } from '../slices.ts'

/** A few milliseconds of work. */
const STARTS_PER_SLICE = 1_000

export interface Slots {
  readonly areLimited: boolean
  /** How many tasks wait. */
  queuedCount(): number
  /** Whether a new task of this owner would have to wait. */
  wouldWait(owner: string): boolean
  /** Gives a new task a slot or a place in the queue. `isOverdraft`: a slot, also beyond the limit. */
  enter(task: LiveTask, isOverdraft: boolean): void
  /** Calls back once the task has a slot: at once, or later. */
  whenHeld(task: LiveTask, start: () => void): void
  /** The task goes on without its slot, for one more reason. Gives the place that lends it. */
  lend(task: LiveTask): Place | undefined
  /** One reason less for that place. */
  takeBack(task: LiveTask, lent: Place | undefined): void
  /** The next attempt of a task takes a slot. */
  renew(task: LiveTask): void
  /** The task has ended. */
  release(task: LiveTask): void
}

export function createSlots(clock: Clock, limits: Pick<AdmissionLimits, 'maxRunning' | 'maxRunningPerOwner'>): Slots {
  const { maxRunning, maxRunningPerOwner } = limits
  const isLimited = maxRunning !== Infinity || maxRunningPerOwner !== Infinity
  let running = 0
  const runningOf = new Map<string, number>()
  const isOpen = (owner: string): boolean => (runningOf.get(owner) ?? 0) < maxRunningPerOwner
  const queue = createFairQueue<LiveTask>(isOpen)
  const starts = createSlices<() => void>({ clock, size: STARTS_PER_SLICE, work: (start) => start() })
  let granted: LiveTask[] = []

  const count = (owner: string, by: 1 | -1): void => {
    running += by
    const ofOwner = (runningOf.get(owner) ?? 0) + by
    if (ofOwner === 0) runningOf.delete(owner)
    else runningOf.set(owner, ofOwner)
    if (by === -1 && ofOwner < maxRunningPerOwner) queue.reopen(owner)
  }

  const startGranted = (): void => {
    const tasks = granted
    granted = []
    for (const { place } of tasks) if (place?.state === 'held' && place.start !== undefined) starts.push(place.start)
  }

  const grant = (task: LiveTask): void => {
    const { place } = task
    if (place === undefined) return
    place.state = 'held'
    place.leaveQueue = undefined
    count(task.spec.owner, 1)
    if (granted.length === 0) queueMicrotask(startGranted)
    granted.push(task)
  }

  const giveFree = (): void => {
    for (let free = maxRunning - running; free > 0; free -= 1) {
      const next = queue.take()
      if (next === undefined) return
      grant(next)
    }
  }

  const wouldWait = (owner: string): boolean => isLimited && (running >= maxRunning || !isOpen(owner))

  return {
    areLimited: isLimited,

    queuedCount: queue.size,

    wouldWait,

    enter(task, isOverdraft) {
      if (!isLimited) return
      const { owner, priority } = task.spec
      const place: Place = { state: 'held', start: undefined, leaveQueue: undefined, reasons: 0, isOverdraft }
      task.place = place
      if (isOverdraft || !wouldWait(owner)) return count(owner, 1)
      place.state = 'queued'
      place.leaveQueue = queue.add(owner, priority, task)
    },

    whenHeld({ place }, start) {
      if (place === undefined || place.state === 'held') {
        start()
        return
      }
      place.start = inItsContext(start)
    },

    lend(task) {
      const { place } = task
      if (place === undefined) return undefined
      place.reasons += 1
      if (place.state !== 'held') return place
      place.state = 'lent'
      count(task.spec.owner, -1)
      giveFree()
      return place
    },

    takeBack(task, place) {
      if (place === undefined || place !== task.place || place.reasons === 0) return
      place.reasons -= 1
      if (place.state !== 'lent' || place.reasons > 0) return
      place.state = 'held'
      count(task.spec.owner, 1)
    },

    renew(task) {
      const { place } = task
      if (place === undefined || place.state !== 'lent') return
      place.state = 'gone'
      task.place = {
        state: 'held',
        start: undefined,
        leaveQueue: undefined,
        reasons: 0,
        isOverdraft: place.isOverdraft,
      }
      count(task.spec.owner, 1)
    },

    release(task) {
      const { place } = task
      if (place === undefined) return
      const { state } = place
      place.state = 'gone'
      place.start = undefined
      if (state === 'queued') place.leaveQueue?.()
      if (state !== 'held') return
      count(task.spec.owner, -1)
      giveFree()
    },
  }
}
