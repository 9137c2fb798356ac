/**
 * One task's way from its birth to its end: its chart, and the user's code beside it.
 *
 * start → the code is called → its end, a stop or a deadline → teardown → final → the end is public.
 *
 * 1. The code is called once per attempt, outside of any transition, and every way it can end becomes a value here.
 * 2. What ends after the task is final is counted and changes nothing.
 * 3. A parent hears of a child's end after the child's end is public, so parents end after their children everywhere.
 * 4. Ends are worked through in a loop, never in a recursion: no tree is too deep.
 */
import { decideChildEnd, decideWorkEnd } from '../../machines/policies/work-end.ts'
import { TASK_CHART_EVENTS, type TaskChartEventType } from '../../machines/vocabulary.ts'
import type { Hub } from '../events/hub.ts'
import type { Settings } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import { finalEventType, type TaskEventData } from '../ports/task-event.ts'
import type { Durability } from '../ports/task-record.ts'
import type { OutboxEntry } from '../ports/task-store.ts'
import type { TaskContext } from '../ports/tool.ts'
import type { Ambient } from './ambient.ts'
import { createCallers, type Callers } from './callers.ts'
import type { Counters } from './counters.ts'
import { createFailure, toFailure } from './failure.ts'
import type { Journal } from './journal.ts'
import { encodeJson } from './json.ts'
import { isAttached, isStopping, parentOf, workOf, type LiveTask } from './live-task.ts'
import type { Reports } from './reports.ts'
import { createStopping, type Stopping } from './stopping.ts'
import { toStoredRecord } from './stored-record.ts'
import type { SupervisorActor } from './supervisor-actor.ts'
import { childrenOf, type TreeIndex } from './tree-index.ts'

export interface TaskActors {
  readonly callers: Callers
  readonly stopping: Stopping
  /** Tells the chart, and sees to everything that ends by it. */
  send(task: LiveTask, type: TaskChartEventType): void
  /** Makes the actor and calls the code. A task that was stopped meanwhile ends without its code being called. */
  start(task: LiveTask): void
  /** Ends a task whose admission came too late. */
  endUnstarted(task: LiveTask): void
}

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
  readonly durability: Durability
  readonly createId: IdSource
  readonly ambient: Ambient
  readonly reports: Reports
  readonly graceMs: number
  readonly contextOf: (task: LiveTask) => TaskContext
}): TaskActors {
  const { clock, deadlines, supervisor, tree, journal, hub, counters, settings, reports } = parts
  let isEnding = false

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
  const stopping = createStopping({ ...parts, send })

  /** Keeps the result of a task of record as JSON. Gives why it cannot be kept. */
  const keepResult = (task: LiveTask, value: unknown): ReturnType<typeof createFailure> | undefined => {
    if (task.log === undefined) return undefined
    const encoded = encodeJson(value)
    if (encoded.kind === 'refused') return createFailure('result_unserialisable', `The result cannot be kept: ${encoded.why}.`)
    const { maxResultBytes } = settings.retention
    if (encoded.bytes > maxResultBytes) {
      return createFailure('result_too_large', `The result has ${encoded.bytes} bytes; ${maxResultBytes} are kept at most.`)
    }
    task.resultJson = encoded.json
    return undefined
  }

  /** What children do when their parent's code has succeeded or failed. */
  const settleChildren = (task: LiveTask, hasSucceeded: boolean): LiveTask[] => {
    if (task.childCount === 0) return []
    const toCancel: LiveTask[] = []
    for (const child of childrenOf(task)) {
      if (child.spec.onParentEnd === 'detach') tree.detach(child)
      else if (!hasSucceeded || child.spec.onParentEnd === 'cancel') toCancel.push(child)
    }
    return toCancel
  }

  const cancelChildren = (task: LiveTask, children: readonly LiveTask[]): void => {
    if (children.length === 0) return
    stopping.accept({ roots: children, cause: { reason: 'parent', actor: task.taskId }, rootEvent: 'task.cancel' })
  }

  const succeed = (task: LiveTask, value: unknown): void => {
    const refusal = keepResult(task, value)
    if (refusal !== undefined) return fail(task, refusal, undefined)
    task.value = value
    const toCancel = settleChildren(task, true)
    const event = decideWorkEnd({ succeeded: true, ownsLiveChildren: task.childCount > 0 })
    if (event === 'work.completed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.completed') return
    journal.append(task, 'task.finishing', { children: task.childCount })
    cancelChildren(task, toCancel)
  }

  const fail = (task: LiveTask, failure: ReturnType<typeof createFailure>, thrown: unknown): void => {
    task.failure ??= failure
    task.thrown = thrown
    const toCancel = settleChildren(task, false)
    const event = decideWorkEnd({ succeeded: false, ownsLiveChildren: task.childCount > 0 })
    if (event === 'work.failed') callers.reattachBeforeEnd(task)
    send(task, event)
    if (event === 'work.failed') return
    journal.append(task, 'task.stopping', {})
    cancelChildren(task, toCancel)
  }

  const endCode = (task: LiveTask, outcome: { readonly value: unknown } | { readonly thrown: unknown }): void => {
    task.ownCodeEnded = true
    if (task.finalStatus !== undefined) {
      counters.lateOutcomes += 1
      return
    }
    if (isStopping(task)) {
      // What a stopped task returned is kept if it can be; that it cannot is no failure of its own.
      if ('value' in outcome) keepResult(task, outcome.value)
      stopping.settle(task)
    } else if ('value' in outcome) succeed(task, outcome.value)
    else fail(task, toFailure('tool_error', outcome.thrown), outcome.thrown)
  }

  const callCode = (task: LiveTask): void => {
    const { spec } = task
    const context = parts.contextOf(task)
    let returned: unknown
    try {
      returned = parts.ambient.enter(context, () => spec.run(spec.input as never, context))
    } catch (thrown) {
      return endCode(task, { thrown })
    }
    if (!isThenable(returned)) return endCode(task, { value: returned })
    Promise.resolve(returned).then(
      (value) => endCode(task, { value }),
      (thrown: unknown) => endCode(task, { thrown }),
    )
  }

  const passDeadline = (task: LiveTask): void => {
    stopping.accept({ roots: [task], cause: { reason: 'timeout' }, rootEvent: 'deadline.hard' })
  }

  const start = (task: LiveTask): void => {
    if (task.log === undefined) journal.append(task, 'task.queued', {})
    supervisor.spawn(task)
    if (task.lastCaller === 'detached') send(task, 'task.background')
    else if (task.spec.inlineMs === 0) callers.detach(task, 'deadline')
    if (task.stop !== undefined) return endUnstarted(task)
    send(task, 'work.started')
    task.startedAt = clock.now()
    task.startedMonotonicMs = clock.monotonicMs()
    journal.append(task, 'task.started', { attempt: 1 })
    // A subscriber may have stopped it on hearing of its start.
    if (isStopping(task)) {
      task.ownCodeEnded = true
      return stopping.settle(task)
    }
    const { timeoutMs } = task.spec
    if (timeoutMs !== Infinity) task.hardDeadline = deadlines.after(timeoutMs, passDeadline, task)
    callCode(task)
  }

  const endUnstarted = (task: LiveTask): void => {
    if (task.actor === undefined) supervisor.spawn(task)
    task.ownCodeEnded = true
    const { stop } = task
    if (stop === undefined) task.cause = { reason: 'superseded', note: 'The store answered too late.' }
    else task.cause = stop.roots.has(task) ? stop.cause : { reason: 'parent' }
    send(task, 'task.cancel')
  }

  const outboxOf = (task: LiveTask): OutboxEntry[] => {
    if (isAttached(task)) return []
    return task.targets.map((target) => ({
      deliveryId: parts.createId(),
      taskId: task.taskId,
      owner: task.spec.owner,
      target,
      requestedAt: task.endedAt ?? task.createdAt,
      state: 'pending',
    }))
  }

  const finalData = (task: LiveTask): TaskEventData['task.completed' | 'task.failed' | 'task.cancelled'] => {
    const durationMs = Math.max(0, (task.endedAt ?? 0) - (task.startedAt ?? task.endedAt ?? 0))
    const abandoned = task.abandoned ? { abandoned: true } : {}
    if (task.finalStatus === 'failed') {
      task.failure ??= createFailure('interrupted', 'The task was lost.')
      return { durationMs, failure: task.failure, ...abandoned }
    }
    if (task.finalStatus === 'cancelled') return { durationMs, stopCause: (task.cause ??= { reason: 'user' }), ...abandoned }
    return { durationMs }
  }

  /** The chart is final: nothing decides about the task any more, it only has to become known. */
  const finalise = (task: LiveTask): void => {
    if (task.finalStatus === undefined) return
    task.endedAt = clock.now()
    task.hardDeadline?.disarm()
    reports.flush(task)
    stopping.noteEnd(task)
    journal.appendFinal(task, finalEventType(task.finalStatus), finalData(task), outboxOf(task))
    journal.whenKnown(task, (isSaved) => publishEnd(task, isSaved))
  }

  const publishEnd = (task: LiveTask, isSaved: boolean): void => {
    const parent = parentOf(task)
    supervisor.forget(task)
    tree.unlink(task)
    callers.answerAll(task, isSaved)
    if (!isSaved && task.log !== undefined) hub.releaseEnd(toStoredRecord(task, task.log.version))
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
      onChildFailure: parent.spec.onChildFailure,
      ownsLiveChildren: parent.childCount > 0,
      ownCodeEnded: parent.ownCodeEnded,
    })
    // Its own code still runs; whether it is let go is a matter of the grace.
    if (event === undefined) return stopping.settle(parent)
    if (event === 'child.failed') {
      parent.failure ??= createFailure('child_failed', 'A child has failed.', child.failure)
      stopping.accept({ roots: [parent], cause: { reason: 'child_failed', actor: child.taskId }, rootEvent: event })
      return
    }
    if (event === 'children.settled') callers.reattachBeforeEnd(parent)
    send(parent, event)
  }

  return { callers, stopping, send, start, endUnstarted }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  if (value instanceof Promise) return true
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    // A getter that throws is the promise machinery's to report: it rejects with the same error.
    return true
  }
}
