/**
 * One task's way from its birth to its end: its chart, and the user's code beside it.
 *
 * start → the code is called → its end, a stop or a deadline → teardown → final → the end is public.
 *                ↑                                              ↓
 *                └────────────── the next attempt ← retrying ───┘
 *
 * 1. The code is called once per attempt, outside of any transition, and every way it can end becomes a value here.
 * 2. What ends after the task is final, or after its attempt is over, is counted and changes nothing.
 * 3. A parent hears of a child's end after the child's end is public, so parents end after their children everywhere.
 * 4. No attempt begins after a stop was accepted. A stop that comes between two attempts, or while one that failed is torn
 *    down, ends the task instead.
 * 5. Ends are worked through in a loop, never in a recursion: no tree is too deep.
 */
import { decideChildEnd, decideWorkEnd } from '../../machines/policies/work-end.ts'
import {
  TASK_CHART_EVENTS,
  type StopCause,
  type TaskChartEventType,
  type TaskFailure,
} from '../../machines/vocabulary.ts'
import type { Hub } from '../events/hub.ts'
import type { Settings } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import { finalEventType } from '../ports/task-event.ts'
import type { Durability } from '../ports/task-record.ts'
import type { QuestionMessage } from '../ports/message.ts'
import type { TaskContext } from '../ports/tool.ts'
import type { Ambient } from './ambient.ts'
import { createAttempts } from './attempts.ts'
import type { Budgets } from './budgets.ts'
import { createCallers, type Callers } from './callers.ts'
import type { Counters } from './counters.ts'
import { finalDataOf, keepResult, outboxOf } from './endings.ts'
import { createFailure, toFailure } from './values/failure.ts'
import type { Inboxes } from './messages/inboxes.ts'
import type { Journal } from './journal/journal.ts'
import {
  attemptOf,
  isAttached,
  isStopping,
  isToBeRetried,
  letGoOf,
  parentOf,
  statusOf,
  workOf,
  type CodeOutcome,
  type LiveTask,
} from './live-task.ts'
import { createQuestionDesk, type QuestionDesk } from './questions.ts'
import type { Reports } from './reports.ts'
import { createRunningTime } from './running-time.ts'
import { createSlices } from './slices.ts'
import { createStopping, type Stopping } from './stopping.ts'
import { toStoredRecord } from './stored-record.ts'
import type { SupervisorActor } from './supervisor-actor.ts'
import { childrenOf, type TreeIndex } from './tree-index.ts'
import type { Turns } from './turns/turns.ts'
import { callCode } from './user-code.ts'

/** Code that starts a task has that task's code on its own stack, this deep at most; deeper, code waits for its turn. */
const MAX_NESTED_STARTS = 32
/** A few milliseconds of work. */
const ENDS_PER_SLICE = 1_000

export interface TaskActors {
  readonly callers: Callers
  readonly stopping: Stopping
  readonly questions: QuestionDesk
  /** Tells the chart, and sees to everything that ends by it. */
  send(task: LiveTask, type: TaskChartEventType): void
  /** Makes the actor and calls the code. A task that was stopped meanwhile ends without its code being called. */
  start(task: LiveTask): void
  /** Takes a task up between two attempts; the next one is due at `dueAt`, and then has to wait for its turn. */
  tryAgain(task: LiveTask, lost: { readonly attempt: number; readonly dueAt: number }): void
  /** Ends a task whose admission came too late. */
  endUnstarted(task: LiveTask): void
  /** Ends a task that waited too long for its turn. */
  endQueued(task: LiveTask): void
  /** Takes a task out that the store did not admit, and tells everybody who counts on its end. */
  dropUnstarted(task: LiveTask): void
  /** Cancels what is between two attempts, or hands it back, because the supervisor drains. */
  dropRetries(): void
  /** Ends what this process does for a task that another one may go on with. */
  handBack(task: LiveTask): void
}

/** Most tasks have one attempt, and share that they say so. */
const FIRST_ATTEMPT = Object.freeze({ attempt: 1 })

/** The way of a chart to where it stands between two attempts, with nobody attached. */
const TO_RETRYING = ['task.background', 'work.started', 'work.retry'] as const

const CHART_EVENTS = Object.fromEntries(TASK_CHART_EVENTS.map((type) => [type, Object.freeze({ type })])) as {
  readonly [Type in TaskChartEventType]: { readonly type: Type }
}

export function createTaskActors(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly journal: Journal
  readonly hub: Hub
  readonly logger: Logger
  readonly counters: Counters
  readonly settings: Settings
  readonly durability: () => Durability
  readonly createId: IdSource
  readonly random01: () => number
  readonly ambient: Ambient
  readonly reports: Reports
  readonly graceMs: number
  readonly turns: Turns
  readonly budgets: Budgets
  readonly inboxes: Inboxes
  readonly tellOwner: (owner: string, message: QuestionMessage, bytes: number) => void
  readonly contextOf: (task: LiveTask) => TaskContext
  /** Whether another process may go on with what this one leaves. */
  readonly canHandBack: () => boolean
}): TaskActors {
  const { clock, deadlines, supervisor, tree, journal, hub, counters, reports, turns, inboxes } = parts
  const { retention } = parts.settings
  let isEnding = false
  let startsUnderWay = 0

  const send = (task: LiveTask, type: TaskChartEventType): void => {
    const { actor } = task
    if (actor === undefined) return
    task.lastCaller = isAttached(task) ? 'attached' : 'detached'
    actor.send(CHART_EVENTS[type])
    if (isEnding) return
    isEnding = true
    try {
      for (let ended = supervisor.takeEnded(); ended !== undefined; ended = supervisor.takeEnded()) finalise(ended)
    } finally {
      isEnding = false
    }
  }

  const callers = createCallers({ deadlines, journal, durability: parts.durability, send })
  const stopping = createStopping({
    ...parts,
    send,
    takeUpEnd: (task) => takeUpEnd(task),
    release: (task) => release(task),
    tryLater: (task) => tryLater(task),
  })
  const attempts = createAttempts({
    ...parts,
    onDue: (task) => awaitTurn(task),
    onTimeout: (task) => endAttemptTime(task),
    onGraceOver: stopping.settle,
  })

  /** What children do when their parent's code has succeeded or failed. */
  const settleChildren = (task: LiveTask, hasSucceeded: boolean): LiveTask[] => {
    if (task.childCount === 0) return []
    const toCancel: LiveTask[] = []
    for (const child of childrenOf(task)) {
      if (child.spec.policy.onParentEnd === 'detach') {
        tree.detach(child)
        questions.passOn(child)
      } else if (!hasSucceeded || child.spec.policy.onParentEnd === 'cancel') toCancel.push(child)
    }
    return toCancel
  }

  /** Calls back once the signals are out. */
  const cancelChildren = (
    task: LiveTask,
    children: readonly LiveTask[],
    whenSignalled = (): void => undefined,
  ): void => {
    if (children.length === 0) return whenSignalled()
    stopping
      .accept({ roots: children, cause: { reason: 'parent', actor: task.taskId }, rootEvent: 'task.cancel' })
      .whenSignalled(whenSignalled)
  }

  const succeed = (task: LiveTask, value: unknown): void => {
    const refusal = keepResult(task, value, retention)
    if (refusal !== undefined) return fail(task, refusal, undefined)
    task.value = value
    const toCancel = settleChildren(task, true)
    const event = decideWorkEnd({ succeeded: true, ownsLiveChildren: task.childCount > 0, isRetried: false })
    if (event === 'work.completed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.completed') return
    // It has stood still if its code did not wait for an answer.
    runningTime.goOn(task)
    turns.lend(task)
    journal.append(task, 'task.finishing', { children: task.childCount })
    cancelChildren(task, toCancel)
    // Nobody is left here to answer what they have asked.
    if (task.rare?.inbox !== undefined) for (const child of childrenOf(task)) questions.passOn(child)
  }

  const fail = (task: LiveTask, failure: TaskFailure, thrown: unknown): void => {
    const next = attempts.decideNext(task, failure, thrown)
    if (next.kind === 'overtaken') return
    if (next.kind === 'retry') attempts.planNext(task, next.delayMs)
    task.failure ??= failure
    task.thrown = thrown
    const toCancel = settleChildren(task, false)
    const isRetried = next.kind === 'retry'
    const event = decideWorkEnd({ succeeded: false, ownsLiveChildren: task.childCount > 0, isRetried })
    if (event === 'work.retry') return tryLater(task)
    if (event === 'work.failed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.failed') return
    if (isRetried) rest(task)
    else turns.lend(task)
    journal.append(task, 'task.stopping', {})
    cancelChildren(task, toCancel)
  }

  /** An attempt has failed though its code may still run: its time is over, or a child has failed. */
  const failAttempt = (
    task: LiveTask,
    failed: { readonly failure: TaskFailure; readonly cause: StopCause; readonly event: TaskChartEventType },
  ): void => {
    const { failure, cause, event } = failed
    const next = attempts.decideNext(task, failure, undefined)
    if (next.kind === 'overtaken') return
    task.failure ??= failure
    if (next.kind === 'fail') stopping.accept({ roots: [task], cause, rootEvent: event })
    else tearDown(task, { cause, event }, next.delayMs)
  }

  /** Ends an attempt whose code may still run, so that another follows. */
  const tearDown = (
    task: LiveTask,
    { cause, event }: { readonly cause: StopCause; readonly event: TaskChartEventType },
    delayMs: number,
  ): void => {
    attempts.planNext(task, delayMs)
    const attempt = task.attempts?.current
    const toCancel = settleChildren(task, false)
    send(task, event)
    stopClocks(task)
    attempts.armGrace(task, Object.freeze(cause))
    release(task)
    journal.append(task, 'task.stopping', { stopCause: cause })
    cancelChildren(task, toCancel, () => {
      if (attempt?.isOver === false && !task.ownCodeEnded) stopping.abort(task, cause)
      stopping.settle(task)
    })
  }

  /** The attempt is over with all it owned. */
  const tryLater = (task: LiveTask): void => {
    rest(task)
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

  /** The supervisor drains, so what is between two attempts goes on in another process, or not at all. */
  const handOver = (task: LiveTask): void => {
    if (!mayHandBack(task)) return dropRetry(task)
    attempts.end(task)
    journal.whenKnown(task, () => {
      if (task.finalStatus === undefined && supervisor.live.has(task.taskId)) surrender(task)
    })
  }

  const mayHandBack = (task: LiveTask): boolean =>
    parts.canHandBack() && task.spec.recovery !== undefined && task.log !== undefined && task.above.kind === 'owner'

  /** The task lives on, in the store, and not here. */
  const surrender = (task: LiveTask): void => {
    counters.handedBackTasks += 1
    journal.lose(task)
    task.deadline?.disarm()
    callers.giveUp(task)
    dropUnstarted(task)
  }

  const handBack = (task: LiveTask): void => {
    takeUpEnd(task)
    if (task.finalStatus !== undefined || task.stop !== undefined || !mayHandBack(task)) return
    const work = workOf(task)
    if (work === 'queued') return surrender(task)
    if (work === 'retrying') return handOver(task)
    if (isStopping(task)) return
    task.failure ??= createFailure('interrupted', 'The process that ran the task has stopped.')
    tearDown(task, { cause: { reason: 'shutdown' }, event: 'child.failed' }, 0)
  }

  const dropRetry = (task: LiveTask): void => {
    counters.droppedRetries += 1
    stopping.accept({ roots: [task], cause: { reason: 'shutdown' }, rootEvent: 'task.cancel' })
  }

  const endAttemptTime = (task: LiveTask): void => {
    takeUpEnd(task)
    if (workOf(task) !== 'running' || task.stop !== undefined) return
    failAttempt(task, {
      failure: createFailure('timeout', 'The attempt took longer than it may.'),
      cause: { reason: 'timeout' },
      event: 'deadline.attempt',
    })
  }

  /** Ends of code have their turns: many that come at once are worked through in slices. */
  const endCode = (task: LiveTask, outcome: CodeOutcome): void => {
    task.outcome = outcome
    ends.push(task)
  }

  const takeUpEnd = (task: LiveTask): void => {
    const { outcome } = task
    if (outcome === undefined) return
    task.outcome = undefined
    task.ownCodeEnded = true
    if (task.spec.attempts?.retry === undefined) task.input = undefined
    release(task)
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

  const runningTime = createRunningTime({
    deadlines,
    clock,
    onOver: (task) => stopping.accept({ roots: [task], cause: { reason: 'timeout' }, rootEvent: 'deadline.hard' }),
  })

  /** The task runs from now on, after a rest if it had one. */
  const goOn = (task: LiveTask): void => {
    turns.takeBack(task, task.place)
    runningTime.goOn(task)
    attempts.goOn(task)
  }

  /** The task does not run any more, for the time being: its clocks stand still, and others may have its slot. */
  const rest = (task: LiveTask): void => {
    stopClocks(task)
    turns.lend(task)
  }

  const stopClocks = (task: LiveTask): void => {
    runningTime.standStill(task)
    attempts.standStill(task)
  }

  const questions = createQuestionDesk({ ...parts, callers, send, rest, goOn, takeUpEnd })

  /** What its code waits for does not come any more. */
  const release = (task: LiveTask): void => {
    questions.close(task)
    inboxes.release(task)
  }

  const start = (task: LiveTask): void => {
    journal.begin(task)
    supervisor.spawn(task)
    if (task.lastCaller === 'detached') {
      send(task, 'task.background')
      callers.answerLeaving(task)
    } else if (task.spec.inlineMs === 0 && task.place?.isOverdraft !== true) callers.detach(task, 'deadline')
    // Most need no turn: they make no closure for it.
    if (task.place === undefined && task.spec.concurrency === undefined) beginHere(task)
    else turns.whenMayRun(task, () => beginHere(task))
  }

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

  const tryAgain: TaskActors['tryAgain'] = (task, lost) => {
    supervisor.spawn(task)
    for (const step of TO_RETRYING) send(task, step)
    attempts.restore(task, lost)
  }

  const awaitTurn = (task: LiveTask): void => {
    const recovery = task.rare?.recovery
    if (recovery?.needsTurn !== true) return beginNext(task)
    recovery.needsTurn = false
    turns.enter(task, false)
    turns.whenMayRun(task, () => beginNext(task))
  }

  /** The delay after a failed attempt has passed. */
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
    goOn(task)
    if ((task.rare?.recovery?.epochsAhead ?? 0) > 0) callOnceKept(task)
    else call(task)
  }

  /** A task that has lost a process may have ended it. Its start is kept first, so that it does not come back for ever. */
  const callOnceKept = (task: LiveTask): void => {
    const attempt = task.attempts?.current
    journal.whenKnown(task, () => {
      if (attempt?.isOver === true || task.finalStatus !== undefined) return
      if (!isStopping(task)) return call(task)
      task.ownCodeEnded = true
      stopping.settle(task)
    })
  }

  const call = (task: LiveTask): void => {
    startsUnderWay += 1
    try {
      callCode(task, parts.ambient, parts.contextOf(task), endOf(task))
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

  const endQueued = (task: LiveTask): void => {
    task.failure ??= createFailure('queue_timeout', 'The task waited for its turn longer than `queueMs`.')
    send(task, 'deadline.queue')
  }

  /** The chart is final: nothing decides about the task any more, it only has to become known. */
  const finalise = (task: LiveTask): void => {
    if (task.finalStatus === undefined) return
    task.endedAt = clock.now()
    runningTime.end(task)
    attempts.end(task)
    task.input = undefined
    // Only an attempt has failed.
    if (task.finalStatus === 'cancelled') task.failure = undefined
    reports.flush(task)
    inboxes.bounce(task)
    stopping.noteEnd(task)
    turns.noteFinal(task)
    journal.appendFinal(task, finalEventType(task.finalStatus), finalDataOf(task), outboxOf(task, parts.createId))
    journal.whenKnown(task, (isSaved) => publishEnd(task, isSaved))
  }

  const publishEnd = (task: LiveTask, isSaved: boolean): void => {
    const parent = takeOut(task)
    // It was let go of, and runs again elsewhere: this end is nobody's business.
    const goesOn = task.log?.refusal !== undefined && task.spec.recovery !== undefined
    if (goesOn) callers.giveUp(task)
    callers.answerAll(task, isSaved)
    if (!isSaved && !goesOn && task.log !== undefined) hub.releaseEnd(toStoredRecord(task, task.log.version))
    tellEnd(task, parent)
    attempts.tellExhausted(task)
    if (isSaved || task.log === undefined) letGoOf(task)
  }

  const dropUnstarted = (task: LiveTask): void => {
    const parent = takeOut(task)
    stopping.noteEnd(task)
    turns.noteFinal(task)
    parts.budgets.leave(task)
    inboxes.bounce(task)
    task.stop = undefined
    tellEnd(task, parent)
  }

  /** Takes a task out of the live ones. Gives its parent, if that still owns it. */
  const takeOut = (task: LiveTask): LiveTask | undefined => {
    const parent = parentOf(task)
    supervisor.forget(task)
    tree.unlink(task)
    if (parent !== undefined) journal.endAfter(parent, task)
    turns.noteGone(task)
    return parent
  }

  const tellEnd = (task: LiveTask, parent: LiveTask | undefined): void => {
    const listeners = task.endListeners
    task.endListeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener()
    if (parent !== undefined) hearOfChild(parent, task)
  }

  const hearOfChild = (parent: LiveTask, child: LiveTask): void => {
    const work = workOf(parent)
    if (work === undefined) return
    const event = decideChildEnd({
      work,
      childFailed: child.finalStatus === 'failed',
      // Restarts that are too many are not for a parent to ignore.
      onChildFailure: child.attempts?.exhausted === 'restarts' ? 'fail' : parent.spec.policy.onChildFailure,
      ownsLiveChildren: parent.childCount > 0,
      ownCodeEnded: parent.ownCodeEnded,
    })
    // Its own code may still run; whether it is let go is a matter of the grace.
    if (event === undefined || event === 'teardown.finished') return stopping.settle(parent)
    if (event === 'child.failed') {
      // What its code has ended with came first.
      takeUpEnd(parent)
      if (workOf(parent) !== work) return hearOfChild(parent, child)
      // A stop that was accepted before goes first, though its signal may still be on its way.
      if (parent.stop !== undefined) return
      return failAttempt(parent, {
        failure: createFailure('child_failed', 'A child has failed.', child.failure),
        cause: { reason: 'child_failed', actor: child.taskId },
        event,
      })
    }
    if (event === 'children.settled') callers.reattachBeforeEnd(parent)
    send(parent, event)
  }

  return {
    callers,
    stopping,
    questions,
    send,
    start,
    tryAgain,
    endQueued,
    endUnstarted,
    dropUnstarted,
    dropRetries: () => {
      for (const task of supervisor.live.values()) if (statusOf(task) === 'retrying') handOver(task)
    },
    handBack,
  }
}
