/**
 * Those who await a call inline: how long each of them does, and what each of them gets.
 *
 * 1. A caller is answered once: with the value, with an error, or with a ticket.
 * 2. A ticket is given once the store has the task, or after `commitWaitMs`. A task that ends before its ticket is out
 *    answers inline, and its log says that it was attached again.
 * 3. A task whose result has an explicit target answers with its ticket, never inline.
 */
import { TaskCancelledError, TaskFailedError } from '../errors.ts'
import { toldError } from '../told-error.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { RunOutcome, Ticket } from '../ports/task-handle.ts'
import type { TaskEventData } from '../ports/task-event.ts'
import type { Durability } from '../ports/task-record.ts'
import type { TaskChartEventType } from '../../machines/vocabulary.ts'
import type { Journal } from './journal/journal.ts'
import type { Caller, LiveTask } from './live-task.ts'
import { isAttached } from './task-status.ts'
import type { SendToChart } from './send-to-chart.ts'
import { createLiveTicket } from './ticket.ts'

export type DetachReason = TaskEventData['task.backgrounded']['reason']

export interface Callers {
  add(
    task: LiveTask,
    waitMs: number,
    resolve: (outcome: RunOutcome<unknown>) => void,
    reject: (error: unknown) => void,
  ): Caller
  /** Lets one caller go without an answer; the last one to go detaches the task. */
  leave(caller: Caller): void
  /** Gives every caller a ticket. Does nothing when nobody is attached. */
  detach(task: LiveTask, reason: Exclude<DetachReason, 'question'>): void
  /** Gives every caller a ticket, when the chart has detached the task already. */
  giveTickets(task: LiveTask, reason: DetachReason): void
  /** Gives tickets to those whose patience ended before the task was admitted. */
  answerLeaving(task: LiveTask): void
  /** A ticket for a task that is detached already. */
  whenTicket(task: LiveTask, give: (ticket: Ticket) => void): void
  /** Brings callers whose ticket is not out yet back before the task ends. */
  reattachBeforeEnd(task: LiveTask): void
  attachAgain(task: LiveTask): void
  /** Refuses whoever waits for a task that never came to be. */
  refuseAll(task: LiveTask, error: unknown): void
  /** Gives whoever is left a ticket: the task goes on in another process. */
  giveUp(task: LiveTask): void
  /** Answers whoever is left, at the end of the task. */
  answerAll(task: LiveTask, isSaved: boolean): void
}

const DETACH_EVENT: Readonly<Record<Exclude<DetachReason, 'question'>, TaskChartEventType>> = {
  deadline: 'deadline.inline',
  request: 'task.background',
  wait_ended: 'task.background',
  redirect: 'task.redirect',
}

export function createCallers(parts: {
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly durability: () => Durability
  readonly send: SendToChart
}): Callers {
  const { deadlines, journal, durability, send } = parts

  const answerWithTickets = (task: LiveTask, callers: Iterable<Caller>, isSaved: boolean): void => {
    const ticket = createLiveTicket(task, { isSaved, durability: durability() })
    for (const caller of callers) caller.resolve({ kind: 'background', ticket })
  }

  const detach: Callers['detach'] = (task, reason) => {
    if (!isAttached(task) || task.finalStatus !== undefined) return
    journal.promote(task)
    if (task.actor === undefined) task.lastCaller = 'detached'
    else send(task, DETACH_EVENT[reason])
    giveTickets(task, reason)
  }

  const giveTickets: Callers['giveTickets'] = (task, reason) => {
    // Before anybody hears of it: whoever attaches on hearing stays.
    for (const caller of callersOf(task)) caller.isLeaving = true
    journal.append(task, 'task.backgrounded', { reason })
    answerLeaving(task)
  }

  const answerLeaving = (task: LiveTask): void => {
    if (task.callers === undefined) return
    journal.whenKnown(task, (isSaved) => {
      if (task.finalStatus !== undefined) return
      // Not admitted yet: its start or its refusal answers.
      if (task.actor === undefined && !isSaved) return
      // Whoever has attached meanwhile stays.
      const leaving = callersOf(task).filter((caller) => caller.isLeaving)
      for (const caller of leaving) remove(caller)
      answerWithTickets(task, leaving, isSaved)
    })
  }

  const hasStaying = (task: LiveTask): boolean => {
    for (const caller of callersOf(task)) if (!caller.isLeaving) return true
    return false
  }

  const remove = (caller: Caller): void => {
    const { task } = caller
    caller.patience?.disarm()
    if (task.callers === caller) {
      task.callers = caller.next
      return
    }
    let before: Caller | undefined = task.callers
    while (before !== undefined && before.next !== caller) before = before.next
    if (before !== undefined) before.next = caller.next
  }

  const losePatience = (caller: Caller): void => {
    const { task } = caller
    // The answer is there and has its turn soon.
    if (task.outcome !== undefined) return
    caller.isLeaving = true
    if (!hasStaying(task)) return detach(task, 'deadline')
    remove(caller)
    journal.whenKnown(task, (isSaved) => answerWithTickets(task, [caller], isSaved))
  }

  const attachAgain = (task: LiveTask): void => {
    if (isAttached(task) || task.finalStatus !== undefined) return
    send(task, 'task.attach')
    journal.append(task, 'task.attached', {})
  }

  return {
    add(task, waitMs, resolve, reject) {
      const caller: Caller = { task, resolve, reject, patience: undefined, isLeaving: false, next: task.callers }
      task.callers = caller
      if (waitMs !== Infinity) caller.patience = deadlines.after(waitMs, losePatience, caller)
      return caller
    },

    leave(caller) {
      const { task } = caller
      remove(caller)
      if (!hasStaying(task)) detach(task, 'wait_ended')
    },

    detach,

    giveTickets,

    answerLeaving,

    whenTicket(task, give) {
      journal.whenKnown(task, (isSaved) => give(createLiveTicket(task, { isSaved, durability: durability() })))
    },

    reattachBeforeEnd(task) {
      if (task.callers !== undefined && !task.hasExplicitTarget) attachAgain(task)
    },

    attachAgain,

    refuseAll(task, error) {
      for (const caller of takeAll(task)) caller.reject(error)
    },

    giveUp: (task) => answerWithTickets(task, takeAll(task), true),

    answerAll(task, isSaved) {
      if (task.callers === undefined) return
      const callers = takeAll(task)
      if (!isAttached(task)) return answerWithTickets(task, callers, isSaved)
      const persisted = isSaved && durability() !== 'memory'
      for (const caller of callers) {
        if (task.finalStatus !== 'completed') caller.reject(toCallerError(task))
        else if (task.log === undefined) caller.resolve({ kind: 'inline', value: task.value, persisted })
        else caller.resolve({ kind: 'inline', value: task.value, persisted, taskId: task.taskId })
      }
    },
  }
}

/** Those who await the task now, the youngest first. */
function callersOf(task: LiveTask): Caller[] {
  if (task.callers === undefined) return []
  // An array that is made with its item is smaller than one that has grown, and mostly there is one.
  const callers = [task.callers]
  for (let caller = task.callers.next; caller !== undefined; caller = caller.next) callers.push(caller)
  return callers
}

function takeAll(task: LiveTask): Caller[] {
  const taken = callersOf(task)
  task.callers = undefined
  for (const caller of taken) caller.patience?.disarm()
  return taken
}

/** A tool's own error reaches a caller who is still there as it is. */
function toCallerError(task: LiveTask): unknown {
  const { taskId, cause, failure } = task
  if (task.finalStatus === 'cancelled')
    return toldError(() => new TaskCancelledError(taskId, cause ?? { reason: 'user' }))
  if (failure?.code === 'tool_error') return task.thrown
  const lost = { code: 'interrupted', name: 'TaskError', message: 'The task was lost.', retryable: true } as const
  return toldError(() => new TaskFailedError(taskId, failure ?? lost))
}
