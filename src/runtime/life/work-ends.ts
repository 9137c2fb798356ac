/**
 * How the code of a task ends, and what follows: its end, another attempt, or a teardown of what it owns.
 *
 * 1. Ends of code have their turns: many that come at once are worked through in slices. What comes meanwhile for such a
 *    task takes its end up first.
 * 2. An attempt that fails while its code may still run is torn down: the code is told, and gets its grace.
 */
import { decideWorkEnd } from '../../../machines/policies/work-end.ts'
import type { TaskFailure } from '../../../machines/vocabulary.ts'
import type { Settings } from '../../settings.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Callers } from '../callers.ts'
import type { Counters } from '../counters.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { CodeOutcome } from '../task-state.ts'
import { isStopping, isToBeRetried, workOf } from '../task-status.ts'
import type { Reports } from '../reports.ts'
import { createSlices } from '../slices.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import type { Turns } from '../turns/turns.ts'
import { createFailure, toFailure } from '../values/failure.ts'
import type { Attempts } from './attempts.ts'
import type { Children, FailedAttempt } from './children.ts'
import { keepResult } from './endings.ts'
import type { Resting } from './resting.ts'
import type { RunningTime } from './running-time.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { Stopping } from './stopping.ts'

/** A few milliseconds of work. */
const ENDS_PER_SLICE = 1_000

export interface WorkEnds {
  /** The code has ended. What follows has its turn. */
  endCode(task: LiveTask, outcome: CodeOutcome): void
  /** Works on the end of a task's code, if that waits for its turn. */
  takeUpEnd(task: LiveTask): void
  /** An attempt has failed though its code may still run: its time is over, or a child has failed. */
  failAttempt(task: LiveTask, failed: FailedAttempt): void
  /** The time of an attempt is over. */
  endAttemptTime(task: LiveTask): void
  /** Ends an attempt whose code may still run, so that another follows. */
  tearDown(task: LiveTask, failed: Pick<FailedAttempt, 'cause' | 'event'>, delayMs: number): void
  /** The attempt is over with all it owned. */
  tryLater(task: LiveTask): void
}

export function createWorkEnds(parts: {
  readonly clock: Clock
  readonly counters: Counters
  readonly retention: Settings['retention']
  readonly supervisor: SupervisorActor
  readonly journal: Journal
  readonly reports: Reports
  readonly turns: Turns
  readonly callers: Callers
  readonly stopping: Stopping
  readonly attempts: Attempts
  readonly runningTime: RunningTime
  readonly resting: Resting
  readonly children: Children
  readonly send: SendToChart
  /** The supervisor drains, so what is between two attempts does not go on here. */
  readonly handOver: (task: LiveTask) => void
}): WorkEnds {
  const { clock, counters, retention, supervisor, journal, reports, turns } = parts
  const { callers, stopping, attempts, runningTime, resting, children, send, handOver } = parts

  const succeed = (task: LiveTask, value: unknown): void => {
    const refusal = keepResult(task, value, retention)
    if (refusal !== undefined) return fail(task, refusal, undefined)
    task.value = value
    const toCancel = children.settle(task, true)
    const event = decideWorkEnd({ succeeded: true, ownsLiveChildren: task.childCount > 0, isRetried: false })
    if (event === 'work.completed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.completed') return
    // It has stood still if its code did not wait for an answer.
    runningTime.goOn(task)
    turns.lend(task)
    journal.append(task, 'task.finishing', { children: task.childCount })
    children.cancel(task, toCancel)
    // Nobody is left here to answer what they have asked.
    if (task.rare?.inbox !== undefined) children.passOnQuestions(task)
  }

  const fail = (task: LiveTask, failure: TaskFailure, thrown: unknown): void => {
    const next = attempts.decideNext(task, failure, thrown)
    if (next.kind === 'overtaken') return
    if (next.kind === 'retry') attempts.planNext(task, next.delayMs)
    task.failure ??= failure
    task.thrown = thrown
    const toCancel = children.settle(task, false)
    const isRetried = next.kind === 'retry'
    const event = decideWorkEnd({ succeeded: false, ownsLiveChildren: task.childCount > 0, isRetried })
    if (event === 'work.retry') return tryLater(task)
    if (event === 'work.failed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.failed') return
    if (isRetried) resting.rest(task)
    else turns.lend(task)
    journal.append(task, 'task.stopping', {})
    children.cancel(task, toCancel)
  }

  const failAttempt: WorkEnds['failAttempt'] = (task, { failure, cause, event }) => {
    const next = attempts.decideNext(task, failure, undefined)
    if (next.kind === 'overtaken') return
    task.failure ??= failure
    if (next.kind === 'fail') stopping.accept({ roots: [task], cause, rootEvent: event })
    else tearDown(task, { cause, event }, next.delayMs)
  }

  const tearDown: WorkEnds['tearDown'] = (task, { cause, event }, delayMs) => {
    attempts.planNext(task, delayMs)
    const attempt = task.attempts?.current
    const toCancel = children.settle(task, false)
    send(task, event)
    resting.stopClocks(task)
    attempts.armGrace(task, Object.freeze(cause))
    resting.release(task)
    journal.append(task, 'task.stopping', { stopCause: cause })
    children.cancel(task, toCancel, () => {
      if (attempt?.isOver === false && !task.ownCodeEnded) stopping.abort(task, cause)
      stopping.settle(task)
    })
  }

  const tryLater = (task: LiveTask): void => {
    resting.rest(task)
    send(task, 'work.retry')
    reports.flush(task)
    // Each of these is told to subscribers, who may stop the task.
    if (task.finalStatus !== undefined) return
    const failure = task.failure ?? createFailure('interrupted', 'The attempt was lost.')
    journal.append(task, 'task.retrying', attempts.toNext(task, failure))
    if (task.finalStatus !== undefined) return
    if (task.stop !== undefined) stopping.signal(task)
    else if (supervisor.phase() !== 'accepting') handOver(task)
  }

  const takeUpEnd = (task: LiveTask): void => {
    const { outcome } = task
    if (outcome === undefined) return
    task.outcome = undefined
    task.ownCodeEnded = true
    if (task.spec.attempts?.retry === undefined) task.input = undefined
    resting.release(task)
    if (task.finalStatus !== undefined) {
      counters.lateOutcomes += 1
      return
    }
    if (isStopping(task)) {
      // What a stopped task returned is kept if it can be; that it cannot is no failure of its own.
      if ('value' in outcome && !isToBeRetried(task)) keepResult(task, outcome.value, retention)
      stopping.settle(task)
    } else if ('value' in outcome) succeed(task, outcome.value)
    else fail(task, toFailure('tool_error', outcome.thrown), outcome.thrown)
  }

  const ends = createSlices({ clock, size: ENDS_PER_SLICE, work: takeUpEnd })

  return {
    endCode(task, outcome) {
      task.outcome = outcome
      ends.push(task)
    },
    takeUpEnd,
    failAttempt,
    endAttemptTime(task) {
      takeUpEnd(task)
      if (workOf(task) !== 'running' || task.stop !== undefined) return
      failAttempt(task, {
        failure: createFailure('timeout', 'The attempt took longer than it may.'),
        cause: { reason: 'timeout' },
        event: 'deadline.attempt',
      })
    },
    tearDown,
    tryLater,
  }
}
