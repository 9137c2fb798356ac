/**
 * The runtime behind the gate: what a session may have done to tasks it was allowed to see. It checks no owner.
 *
 * A call's way: `run` or `spawn` → admission → (store) → task actor → journal → store → hub.
 */
import type { StopCause } from '../../machines/vocabulary.ts'
import type { Hub } from '../events/hub.ts'
import type { News } from '../events/news.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { RunOutcome } from '../ports/task-handle.ts'
import type { Settings } from '../settings.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { createAdmission } from './admission.ts'
import type { Ambient } from './ambient.ts'
import { createBudgets } from './budgets.ts'
import { createCalls, type AttachWait } from './calls.ts'
import { createCarryOut } from './cluster/carry-out.ts'
import { createHandBack } from './cluster/hand-back.ts'
import { createLetGo } from './cluster/let-go.ts'
import { createMembership, type Membership } from './cluster/membership.ts'
import { createOverdue } from './cluster/overdue.ts'
import { createRecovery } from './cluster/recovery.ts'
import { createRemoteParents } from './cluster/remote-parents.ts'
import { createRevive } from './cluster/revival.ts'
import { createShadows } from './cluster/shadows.ts'
import type { Counters } from './counters.ts'
import { createBirths } from './journal/births.ts'
import { createJournal, type Journal } from './journal/journal.ts'
import { createStoreWriter, type StoreWriter } from './journal/store-writer.ts'
import { isFinalCommit } from './journal/task-log.ts'
import type { LiveTask } from './live-task.ts'
import { createLiveVerbs, type LiveVerbs } from './live-verbs.ts'
import { createIdle, type Idle } from './idle.ts'
import { createInboxes } from './messages/inboxes.ts'
import { createKeys } from './turns/keys.ts'
import { createMessages, toDeadLetter, type Messages } from './messages/messages.ts'
import { createOwnerDesks, type OwnerDesks } from './messages/owner-desks.ts'
import { createOwnerInboxes, type OwnerInboxes } from './messages/owner-inboxes.ts'
import { createRecentKeys } from './recent-keys.ts'
import type { GivenAnswer } from './questions/given-answer.ts'
import { createReports } from './reports.ts'
import { createRunningTask, type RunningTask } from './running-task.ts'
import { createRetention, type Retention } from './retention.ts'
import type { CheckedCall } from './task-spec.ts'
import { createSupervisorActor, type Inspector, type SupervisorActor } from './supervisor-actor.ts'
import { createTaskActors } from './life/task-actor.ts'
import { createTaskContexts } from './task-context.ts'
import { createSlots } from './turns/slots.ts'
import { createTreeIndex, type TreeIndex } from './tree-index.ts'
import { createTurns } from './turns/turns.ts'
import { createWaits, type Waits } from './waits.ts'

/** Cancelled runs that are remembered, so that nothing starts under them any more. */
const MAX_CLOSED_RUNS = 10_000

export interface TaskRuntime extends Omit<LiveVerbs, 'holdKey'>, RunningTask {
  /** Whether the async context tells whose code runs. */
  readonly isAmbient: boolean
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly journal: Journal
  readonly writer: StoreWriter
  readonly waits: Waits
  readonly messages: Messages
  readonly desks: OwnerDesks
  readonly ownerInboxes: OwnerInboxes
  readonly counters: Counters
  readonly membership: Membership
  readonly retention: Retention
  run(call: CheckedCall, parent: LiveTask | undefined): Promise<RunOutcome<unknown>>
  spawn(call: CheckedCall, parent: LiveTask | undefined): Promise<LiveTask>
  closeRun(owner: string, runId: string): void
  /** Cancels what is between two attempts, or hands it back. Nothing is tried again once the supervisor drains. */
  dropRetries(): void
  /** Leaves what may run again to other processes. Resolves once none of it is live here. */
  handBack(): Promise<void>
  attach(task: LiveTask, wait: AttachWait): Promise<RunOutcome<unknown>>
  /** @throws `input_invalid`, `question_closed`, `task_final` */
  answer(task: LiveTask, given: GivenAnswer): Promise<void>
  whenIdle: Idle['whenIdle']
}

export interface RuntimeParts {
  readonly store: TaskStore
  /** For the writer, which has a limit of its own. */
  readonly unlimited: Pick<TaskStore, 'commit'>
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly createId: IdSource
  readonly random01: () => number
  readonly logger: Logger
  readonly settings: Settings
  readonly hub: Hub
  readonly counters: Counters
  readonly ambient: Ambient
  readonly memoise: boolean
  readonly inspect: Inspector | undefined
  readonly door: () => TaskDoor
  readonly news: News
  /** Goes on with a delivery that another process has left. */
  readonly goOnWith: (entry: OutboxEntry) => Promise<boolean>
  readonly recall: Parameters<typeof createRecovery>[0]['recall']
  readonly reportError: (error: unknown) => void
}

export function createTaskRuntime(parts: RuntimeParts): TaskRuntime {
  // Each part is given what it needs by name: a copy of all there is, with more added, is a shape of its own for V8, of 12 KB.
  const { store, clock, deadlines, createId, random01, logger, settings, hub, counters, ambient, news, reportError } =
    parts
  const {
    limits,
    retention: retained,
    graceMs,
    commitWaitMs,
    maxUnsavedBytes,
    leaseMs,
    inbox,
    waitMs,
    progressMs,
  } = settings
  const supervisor = createSupervisorActor({ memoise: parts.memoise, inspect: parts.inspect })
  const { live } = supervisor
  const tree = createTreeIndex()
  const writer = createStoreWriter({
    store: parts.unlimited,
    deadlines,
    logger,
    counters,
    commitWaitMs,
    maxUnsavedBytes,
    random01,
    onPause: () => hub.pause(),
  })
  const births = createBirths()
  const journal = createJournal({
    clock,
    deadlines,
    hub,
    writer,
    births,
    settings,
    counters,
    nodeId: () => membership.nodeId(),
    onKeptAfterLoss: () => membership.noteLetGo(),
  })
  const budgets = createBudgets({
    stop: (top, what) => stop([top], { reason: 'budget', note: what }),
  })
  const reports = createReports({
    clock,
    deadlines,
    journal,
    counters,
    progressMs,
    maxEventChars: retained.maxEventChars,
    budgets,
  })
  const contexts = createTaskContexts({
    reports,
    questions: () => actors.questions,
    inboxes: () => inboxes,
    door: parts.door,
    holdKey: (task, key) => verbs.holdKey(task, key),
  })
  const slots = createSlots(clock, limits)
  const keys = createKeys({
    deadlines,
    journal,
    supersede: (tasks, by) => stop(tasks, { reason: 'superseded', actor: by.taskId }),
    supersedeElsewhere: async (holderId, by) => {
      try {
        const holder = await store.read(holderId)
        if (holder?.owner !== by.spec.owner) return
        await membership.orders?.send(holder, {
          verb: 'cancel',
          cause: { reason: 'superseded', actor: by.taskId },
        })
      } catch (error) {
        counters.storeErrors += 1
        logger.error({ error, taskId: holderId }, 'the holder of a key could not be stopped in its process')
      }
    },
  })
  const turns = createTurns({ keys, slots, deadlines, onQueueTimeout: (task) => actors.endQueued(task) })
  const desks = createOwnerDesks({ limits: inbox, counters })
  const ownerInboxes = createOwnerInboxes({
    store,
    hub,
    clock,
    deadlines,
    desks,
    turns,
    runOutside: ambient.runOutside,
    reportError,
  })
  const inboxes = createInboxes({
    deadlines,
    journal,
    turns,
    limits: inbox,
    waitMs,
    promote: (task) => verbs.promote(task),
    takeBounced: (task, { message, bytes }) => {
      counters.bouncedMessages += 1
      desks.bury(task.spec.owner, toDeadLetter(task.taskId, message, clock.now()), bytes)
    },
  })
  const messages = createMessages({
    clock,
    createId,
    inboxes,
    desks,
    limits: inbox,
    counters,
    noteNews: ownerInboxes.noteNews,
  })
  const actors = createTaskActors({
    clock,
    deadlines,
    hub,
    logger,
    counters,
    settings,
    createId,
    random01,
    ambient,
    inboxes,
    remoteParents: () => remoteParents,
    tellOwner: messages.tellOwner,
    supervisor,
    tree,
    journal,
    reports,
    durability: () => store.durability,
    graceMs,
    turns,
    budgets,
    contextOf: contexts.contextOf,
    canHandBack: () => membership.canHandBack,
  })
  const { callers, stopping, send } = actors
  const stop = (roots: readonly LiveTask[], cause: StopCause): void => {
    stopping.accept({ roots, cause, rootEvent: 'task.cancel' })
  }
  const verbs = createLiveVerbs({ live, journal, keys, callers, stopping, send })
  const { runningTask, isInside } = createRunningTask({ ambient, contexts, live })
  const recover = createRecovery({
    store,
    write: writer.write,
    clock,
    deadlines,
    createId,
    counters,
    journal,
    births,
    nodeId: () => membership.nodeId(),
    stop: (record, cause) => {
      const { orders } = membership
      if (orders?.isElsewhere(record) === true) {
        orders.send(record, { verb: 'cancel', cause }).catch(reportError)
        return
      }
      const task = live.get(record.taskId)
      if (task !== undefined) stop([task], cause)
    },
    hasRoom: () => supervisor.phase() === 'accepting' && live.size < limits.maxLive,
    mayRun: () => supervisor.phase() === 'accepting' && membership.isMember(),
    onNotRun: () => membership.noteLetGo(),
    recall: parts.recall,
    revive: createRevive({
      clock,
      supervisor,
      tree,
      journal,
      turns,
      budgets,
      start: actors.start,
      tryAgain: actors.tryAgain,
    }),
  })
  const letGo = createLetGo({ live, journal, stopping, keyHolders: keys.holders })
  const membership = createMembership({
    store,
    clock,
    deadlines,
    createId,
    logger,
    counters,
    random01,
    leaseMs,
    live,
    recover,
    overdue: createOverdue({ store, deadlines, goOnWith: parts.goOnWith }),
    letGo: () => letGo,
    carryOut: (task, order) => carryOut(task, order),
  })

  const admission = createAdmission({
    clock,
    createId,
    settings,
    supervisor,
    tree,
    journal,
    keys,
    turns,
    budgets,
    closedRuns: createRecentKeys(MAX_CLOSED_RUNS),
    endUnstarted: actors.endUnstarted,
    endInLog: actors.endInLog,
    dropUnstarted: actors.dropUnstarted,
  })
  const waits = createWaits({ store, hub, news, deadlines, live, turns })
  const { whenIdle } = createIdle({ tree, deadlines, waits })
  const retention = createRetention({ store, clock, deadlines, logger, settings, counters })
  journal.onCommitted((commit) => {
    if (isFinalCommit(commit)) retention.noteEnd()
  })

  const shadows = createShadows({
    store,
    news,
    clock,
    deadlines,
    waits,
    inboxes,
    reportError,
    orders: () => membership.orders,
    startBelow: (spec, parent) => {
      const shadow = admission.create(
        { spec, input: undefined, inputJson: undefined, taskId: undefined, above: undefined },
        parent,
        'attached',
      )
      verbs.promote(parent)
      calls.startSoon(shadow)
      return shadow
    },
  })
  const remoteParents = createRemoteParents({
    store,
    news,
    clock,
    deadlines,
    reportError,
    orders: () => membership.orders,
    stop: (child, cause) => stop([child], cause),
    passOn: actors.questions.passOn,
  })

  const carryOut = createCarryOut({
    tree,
    messages,
    shadows,
    closeRun: admission.closeRun,
    cancel: (roots, cause) => verbs.cancel(roots, cause, undefined),
    redirect: verbs.redirect,
    answer: actors.questions.answer,
    background: verbs.background,
  })
  const calls = createCalls({
    clock,
    admission,
    callers,
    turns,
    waits,
    start: actors.start,
    promote: verbs.promote,
    follow: remoteParents.follow,
    cancel: (task) => {
      verbs.cancel([task], { reason: 'user', actor: task.spec.owner }, undefined).catch(reportError)
    },
    runningTask,
  })

  return {
    isAmbient: ambient.isAmbient,
    supervisor,
    tree,
    journal,
    writer,
    waits,
    messages,
    desks,
    ownerInboxes,
    counters,
    membership,
    retention,
    promote: verbs.promote,
    cancel: verbs.cancel,
    whenAllEnded: verbs.whenAllEnded,
    background: verbs.background,
    redirect: verbs.redirect,
    answer: actors.questions.answer,
    run: calls.run,
    spawn: calls.spawn,
    attach: calls.attach,
    closeRun: admission.closeRun,
    dropRetries: actors.dropRetries,
    handBack: createHandBack({
      live,
      canHandBack: () => membership.canHandBack,
      handBack: actors.handBack,
      whenAllEnded: verbs.whenAllEnded,
    }),
    whenIdle,
    runningTask,
    isInside,
  }
}
