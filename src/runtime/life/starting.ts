/**
 * How the code of a task comes to be called: at once or in its turn, for its first attempt and for each one that follows.
 *
 * 1. The code is called once per attempt, outside of any transition.
 * 2. No attempt begins after a stop was accepted.
 */
import type { StopCause } from '../../../machines/vocabulary.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TaskContext } from '../../ports/tool.ts'
import type { Ambient } from '../ambient.ts'
import type { Callers } from '../callers.ts'
import type { Counters } from '../counters.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { CodeOutcome } from '../task-state.ts'
import { attemptOf, isStopping } from '../task-status.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import type { Turns } from '../turns/turns.ts'
import { createFailure } from '../values/failure.ts'
import type { Attempts } from './attempts.ts'
import type { Resting } from './resting.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { Stopping } from './stopping.ts'
import { callCode } from './user-code.ts'

/** Code that starts a task has that task's code on its own stack, this deep at most; deeper, code waits for its turn. */
const MAX_NESTED_STARTS = 32

/** Most tasks have one attempt, and share that they say so. */
const FIRST_ATTEMPT = Object.freeze({ attempt: 1 })

const LOST: StopCause = Object.freeze({ reason: 'interrupted', note: 'Another process has the task.' })

/** The way of a chart to where it stands between two attempts, with nobody attached. */
const TO_RETRYING = ['task.background', 'work.started', 'work.retry'] as const

export interface Starting {
  /** Makes the actor and calls the code. A task that was stopped meanwhile ends without its code being called. */
  start(task: LiveTask): void
  /** Takes a task up between two attempts; the next one is due at `dueAt`, and then has to wait for its turn. */
  tryAgain(task: LiveTask, lost: { readonly attempt: number; readonly dueAt: number }): void
  /** The delay after a failed attempt has passed. */
  awaitTurn(task: LiveTask): void
  /** Ends a task whose admission came too late. */
  endUnstarted(task: LiveTask): void
  /** Ends a task that waited too long for its turn. */
  endQueued(task: LiveTask): void
}

export function createStarting(parts: {
  readonly clock: Clock
  readonly counters: Counters
  readonly ambient: Ambient
  readonly contextOf: (task: LiveTask) => TaskContext
  readonly supervisor: SupervisorActor
  readonly journal: Journal
  readonly turns: Turns
  readonly callers: Callers
  readonly stopping: Stopping
  readonly attempts: Attempts
  readonly resting: Resting
  readonly send: SendToChart
  readonly endCode: (task: LiveTask, outcome: CodeOutcome) => void
}): Starting {
  const { clock, counters, ambient, contextOf, supervisor, journal, turns } = parts
  const { callers, stopping, attempts, resting, send, endCode } = parts
  let startsUnderWay = 0

  const beginHere = (task: LiveTask): void => {
    if (startsUnderWay < MAX_NESTED_STARTS) begin(task)
    else queueMicrotask(() => begin(task))
  }

  const begin = (task: LiveTask): void => {
    // Cancelled while it was queued, by a subscriber or by the code above.
    if (task.finalStatus !== undefined) return
    if (task.stop !== undefined) return endUnstarted(task)
    callAttempt(task)
  }

  const beginNext = (task: LiveTask): void => {
    // A stop that was accepted is on its way.
    if (task.finalStatus !== undefined || task.stop !== undefined) return
    task.failure = undefined
    task.thrown = undefined
    task.value = undefined
    task.result = undefined
    task.ownCodeEnded = false
    turns.renew(task)
    callAttempt(task)
  }

  const callAttempt = (task: LiveTask): void => {
    attempts.begin(task)
    send(task, 'work.started')
    task.startedAt ??= clock.now()
    journal.appendStart(task, task.attempts === undefined ? FIRST_ATTEMPT : { attempt: attemptOf(task) })
    // A subscriber may have stopped it on hearing of its start.
    if (isStopping(task)) {
      task.ownCodeEnded = true
      return stopping.settle(task)
    }
    resting.goOn(task)
    if ((task.rare?.recovery?.epochsAhead ?? 0) > 0) callOnceKept(task)
    else call(task)
  }

  /**
   * A task that has lost a process may have ended it. Its start is kept first, so that it does not come back for ever. Where the store
   * has refused it, the task is another one's.
   */
  const callOnceKept = (task: LiveTask): void => {
    const attempt = task.attempts?.current
    journal.whenKnown(task, () => {
      if (attempt?.isOver === true || task.finalStatus !== undefined) return
      if (task.log?.refusal !== undefined) stopping.accept({ roots: [task], cause: LOST, rootEvent: 'task.interrupt' })
      if (!isStopping(task)) return call(task)
      task.ownCodeEnded = true
      stopping.settle(task)
    })
  }

  const call = (task: LiveTask): void => {
    startsUnderWay += 1
    try {
      callCode(task, ambient, contextOf(task), endOf(task))
    } finally {
      startsUnderWay -= 1
    }
  }

  /** Where the end of an attempt's code goes: nowhere once that attempt is over. */
  const endOf = ({ attempts: counted }: LiveTask): typeof endCode => {
    if (counted === undefined) return endCode
    const { current } = counted
    return (task, outcome) => {
      if (current.isOver) counters.lateOutcomes += 1
      else endCode(task, outcome)
    }
  }

  const endUnstarted = (task: LiveTask): void => {
    if (task.actor === undefined) supervisor.spawn(task)
    task.ownCodeEnded = true
    const { stop } = task
    if (stop === undefined) task.cause = { reason: 'superseded', note: 'The store answered too late.' }
    else task.cause = stopping.causeOf(task, stop)
    send(task, 'task.cancel')
  }

  return {
    start(task) {
      journal.begin(task)
      supervisor.spawn(task)
      if (task.lastCaller === 'detached') {
        send(task, 'task.background')
        callers.answerLeaving(task)
      } else if (task.spec.inlineMs === 0 && task.place?.isOverdraft !== true) callers.detach(task, 'deadline')
      // Most need no turn: they make no closure for it.
      if (task.place === undefined && task.spec.concurrency === undefined) beginHere(task)
      else turns.whenMayRun(task, () => beginHere(task))
    },

    tryAgain(task, lost) {
      supervisor.spawn(task)
      for (const step of TO_RETRYING) send(task, step)
      attempts.restore(task, lost)
    },

    awaitTurn(task) {
      const recovery = task.rare?.recovery
      if (recovery?.needsTurn !== true) return beginNext(task)
      recovery.needsTurn = false
      turns.enter(task, false)
      turns.whenMayRun(task, () => beginNext(task))
    },

    endUnstarted,

    endQueued(task) {
      task.failure ??= createFailure('queue_timeout', 'The task waited for its turn longer than `queueMs`.')
      send(task, 'deadline.queue')
    },
  }
}
