/**
 * When an admitted task may run: once it holds the key it asked for, and then a slot. Most ask for no key where nothing
 * is limited; they run at once.
 */
import type { Deadlines } from '../../ports/deadlines.ts'
import { inItsContext } from '../ambient.ts'
import type { Keys } from './keys.ts'
import type { LiveTask } from '../live-task.ts'
import type { Place } from '../task-state.ts'
import type { Slots } from './slots.ts'

export interface Turns {
  /** Whether slots are limited at all. */
  readonly areLimited: boolean
  /** How many tasks wait. */
  queuedCount(): number
  /** Whether a new task would have to wait: for its key, for a slot, or not at all. @throws as `Keys.wouldWait` */
  wouldWaitFor(spec: LiveTask['spec'], parent: LiveTask | undefined): 'key' | 'slot' | undefined
  /** Gives a new task its place in the queues. `isOverdraft`: it gets a slot also beyond the limit. */
  enter(task: LiveTask, isOverdraft: boolean): void
  /** Calls back once an admitted task may run: at once, or later. */
  whenMayRun(task: LiveTask, run: () => void): void
  /**
   * The task waits for something else: others may have its slot until `takeBack` is called with what this gave. Both may
   * be nested.
   */
  lend(task: LiveTask): Place | undefined
  takeBack(task: LiveTask, lent: Place | undefined): void
  /** The next attempt of a task that has lent its slot begins: it has one again, also beyond the limit. */
  renew(task: LiveTask): void
  /** The task is final: it needs no slot any more. */
  noteFinal(task: LiveTask): void
  /** Its end is public, or it never came to be: its keys are free. */
  noteGone(task: LiveTask): void
  waitingForKeysOf(holder: LiveTask): Iterable<LiveTask>
}

export function createTurns(parts: {
  readonly keys: Keys
  readonly slots: Slots
  readonly deadlines: Deadlines
  readonly onQueueTimeout: (task: LiveTask) => void
}): Turns {
  const { keys, slots, deadlines } = parts

  return {
    areLimited: slots.areLimited,

    queuedCount: () => slots.queuedCount() + keys.waitingCount(),

    wouldWaitFor({ owner, concurrency }, parent) {
      if (concurrency !== undefined && keys.wouldWait({ owner, ...concurrency }, parent)) return 'key'
      return slots.wouldWait(owner) ? 'slot' : undefined
    },

    enter(task, isOverdraft) {
      // One that asks for a key gets its slot after it.
      if (task.spec.concurrency === undefined) slots.enter(task, isOverdraft)
      else keys.enter(task)
    },

    whenMayRun(task, run) {
      const { concurrency, policy } = task.spec
      if (concurrency === undefined && task.place === undefined) return run()
      let hasRun = false
      const leaveQueue = (): void => {
        hasRun = true
        task.deadline?.disarm()
        task.deadline = undefined
        run()
      }
      if (concurrency === undefined) slots.whenHeld(task, leaveQueue)
      else {
        const takeSlot = inItsContext(() => {
          if (task.finalStatus !== undefined) return
          slots.enter(task, false)
          slots.whenHeld(task, leaveQueue)
        })
        keys.whenHolding(task, takeSlot)
      }
      // It may even have ended by now.
      if (!hasRun && policy.queueMs !== undefined && task.finalStatus === undefined) {
        task.deadline = deadlines.after(policy.queueMs, parts.onQueueTimeout, task)
      }
    },

    lend: slots.lend,
    takeBack: slots.takeBack,
    renew: slots.renew,
    noteFinal: slots.release,
    noteGone: keys.release,
    waitingForKeysOf: keys.waitingFor,
  }
}
