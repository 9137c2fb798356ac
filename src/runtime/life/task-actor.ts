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
import type { Hub } from '../../events/hub.ts'
import type { Settings } from '../../settings.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { Logger } from '../../ports/logger.ts'
import type { QuestionMessage } from '../../ports/message.ts'
import type { Durability } from '../../ports/task-record.ts'
import type { TaskContext } from '../../ports/tool.ts'
import type { Ambient } from '../ambient.ts'
import type { Budgets } from '../budgets.ts'
import { createCallers, type Callers } from '../callers.ts'
import type { RemoteParents } from '../cluster/remote-parents.ts'
import type { Counters } from '../counters.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { Inboxes } from '../messages/inboxes.ts'
import { createQuestionDesk, type QuestionDesk } from '../questions/question-desk.ts'
import type { Reports } from '../reports.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import type { TreeIndex } from '../tree-index.ts'
import type { Turns } from '../turns/turns.ts'
import { createAttempts } from './attempts.ts'
import { createChildren } from './children.ts'
import { createFinalEnds, type FinalEnds } from './final-ends.ts'
import { createHandOver, type HandOver } from './hand-over.ts'
import { createResting } from './resting.ts'
import { createRunningTime } from './running-time.ts'
import { createSendToChart, type SendToChart } from '../send-to-chart.ts'
import { createStarting, type Starting } from './starting.ts'
import { createStopping, type Stopping } from './stopping.ts'
import { createWorkEnds } from './work-ends.ts'

export interface TaskActors
  extends
    Pick<Starting, 'start' | 'tryAgain' | 'endUnstarted' | 'endQueued'>,
    Pick<FinalEnds, 'dropUnstarted' | 'endInLog'>,
    Pick<HandOver, 'handBack' | 'dropRetries'> {
  readonly callers: Callers
  readonly stopping: Stopping
  readonly questions: QuestionDesk
  readonly send: SendToChart
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
  readonly remoteParents: () => RemoteParents
  readonly tellOwner: (owner: string, message: QuestionMessage, bytes: number) => void
  readonly contextOf: (task: LiveTask) => TaskContext
  /** Whether another process may go on with what this one leaves. */
  readonly canHandBack: () => boolean
}): TaskActors {
  const { clock, deadlines, supervisor, tree, journal, hub, logger, counters, settings, durability } = parts
  const { createId, random01, ambient, reports, graceMs, turns, budgets, inboxes, remoteParents, tellOwner } = parts
  const { contextOf, canHandBack } = parts

  const send = createSendToChart({ supervisor, finalise: (task) => finalEnds.finalise(task) })
  const takeUpEnd = (task: LiveTask): void => workEnds.takeUpEnd(task)
  const callers = createCallers({ deadlines, journal, durability, send })
  const stopping = createStopping({
    clock,
    deadlines,
    journal,
    logger,
    counters,
    graceMs,
    ambient,
    contextOf,
    send,
    takeUpEnd,
    release: (task) => resting.release(task),
    tryLater: (task) => workEnds.tryLater(task),
  })
  const attempts = createAttempts({
    clock,
    deadlines,
    random01,
    logger,
    counters,
    ambient,
    graceMs,
    onDue: (task) => starting.awaitTurn(task),
    onTimeout: (task) => workEnds.endAttemptTime(task),
    onGraceOver: stopping.settle,
  })
  const runningTime = createRunningTime({
    deadlines,
    clock,
    onOver: (task) => stopping.accept({ roots: [task], cause: { reason: 'timeout' }, rootEvent: 'deadline.hard' }),
  })
  const resting = createResting({
    turns,
    runningTime,
    attempts,
    inboxes,
    closeQuestions: (task) => questions.close(task),
  })
  const questions = createQuestionDesk({
    clock,
    deadlines,
    journal,
    callers,
    inboxes,
    remoteParents,
    tellOwner,
    send,
    rest: resting.rest,
    goOn: resting.goOn,
    takeUpEnd,
  })
  const children = createChildren({
    tree,
    callers,
    stopping,
    questions,
    send,
    takeUpEnd,
    failAttempt: (task, failed) => workEnds.failAttempt(task, failed),
  })
  const workEnds = createWorkEnds({
    clock,
    counters,
    retention: settings.retention,
    supervisor,
    journal,
    reports,
    turns,
    callers,
    stopping,
    attempts,
    runningTime,
    resting,
    children,
    send,
    handOver: (task) => handOver.handOver(task),
  })
  const finalEnds = createFinalEnds({
    clock,
    createId,
    supervisor,
    tree,
    hub,
    journal,
    reports,
    turns,
    budgets,
    inboxes,
    callers,
    stopping,
    attempts,
    runningTime,
    children,
  })
  const handOver = createHandOver({
    supervisor,
    counters,
    journal,
    callers,
    stopping,
    attempts,
    workEnds,
    finalEnds,
    canHandBack,
  })
  const starting = createStarting({
    clock,
    counters,
    ambient,
    contextOf,
    supervisor,
    journal,
    turns,
    callers,
    stopping,
    attempts,
    resting,
    send,
    endCode: workEnds.endCode,
  })

  return {
    callers,
    stopping,
    questions,
    send,
    start: starting.start,
    tryAgain: starting.tryAgain,
    endUnstarted: starting.endUnstarted,
    endQueued: starting.endQueued,
    dropUnstarted: finalEnds.dropUnstarted,
    endInLog: finalEnds.endInLog,
    handBack: handOver.handBack,
    dropRetries: handOver.dropRetries,
  }
}
