/**
 * The runtime behind the gate: what a session may have done to tasks it was allowed to see. It checks no owner.
 *
 * A call's way: `run` or `spawn` → admission → (store) → task actor → journal → store → hub.
 */
import type { StopCause } from '../../machines/vocabulary.ts'
import { ParentStoppingError } from '../errors.ts'
import type { Hub } from '../events/hub.ts'
import type { News } from '../events/news.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { CancelReport, RunOutcome, Ticket } from '../ports/task-handle.ts'
import { checkKey } from '../options.ts'
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
import { createCalls, type AttachWait, type RuntimeCall } from './calls.ts'
import { createCarryOut } from './cluster/carry-out.ts'
import { createHandBack } from './cluster/hand-back.ts'
import { createLetGo } from './cluster/let-go.ts'
import { createMembership, type Membership } from './cluster/membership.ts'
import { createDeliverOverdue } from './cluster/overdue.ts'
import { createRecovery } from './cluster/recovery.ts'
import { createRevive } from './cluster/revival.ts'
import { createShadows } from './cluster/shadows.ts'
import type { Counters } from './counters.ts'
import { createJournal, type Journal } from './journal/journal.ts'
import { createStoreWriter, type StoreWriter } from './journal/store-writer.ts'
import { isFinalCommit } from './journal/task-log.ts'
import type { LiveTask } from './live-task.ts'
import { isAttached, statusOf } from './task-status.ts'
import { createIdle, type Idle } from './idle.ts'
import { createInboxes } from './messages/inboxes.ts'
import { createKeys } from './turns/keys.ts'
import { createMessages, toDeadLetter, type Messages } from './messages/messages.ts'
import { createOwnerDesks, type OwnerDesks } from './messages/owner-desks.ts'
import { createOwnerInboxes, type OwnerInboxes } from './messages/owner-inboxes.ts'
import { createRecentKeys } from './recent-keys.ts'
import type { GivenAnswer } from './questions/given-answer.ts'
import { createReports } from './reports.ts'
import { createRetention, type Retention } from './retention.ts'
import { createSupervisorActor, type Inspector, type SupervisorActor } from './supervisor-actor.ts'
import { createTaskActors } from './life/task-actor.ts'
import { createTaskContexts } from './task-context.ts'
import { createSlots } from './turns/slots.ts'
import { createTreeIndex, type TreeIndex } from './tree-index.ts'
import { createTurns } from './turns/turns.ts'
import { createWaits, type Waits } from './waits.ts'

/** Cancelled runs that are remembered, so that nothing starts under them any more. */
const MAX_CLOSED_RUNS = 10_000
export interface TaskRuntime {
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
  run(call: RuntimeCall, parent: LiveTask | undefined): Promise<RunOutcome<unknown>>
  spawn(call: RuntimeCall, parent: LiveTask | undefined): Promise<LiveTask>
  /** `from`: the task whose code asks. Inside what it cancels, it hears of the signals only, not of its own end. */
  cancel(roots: readonly LiveTask[], cause: StopCause, from: LiveTask | undefined): Promise<CancelReport>
  /** Resolves once all of them are final and their ends are public. */
  whenAllEnded(tasks: readonly LiveTask[]): Promise<void>
  closeRun(owner: string, runId: string): void
  /** Cancels what is between two attempts, or hands it back. Nothing is tried again once the supervisor drains. */
  dropRetries(): void
  /** Leaves what may run again to other processes. Resolves once none of it is live here. */
  handBack(): Promise<void>
  background(task: LiveTask): Promise<Ticket>
  attach(task: LiveTask, wait: AttachWait): Promise<RunOutcome<unknown>>
  redirect(task: LiveTask, target: string): Promise<void>
  /** @throws `input_invalid`, `question_closed`, `task_final` */
  answer(task: LiveTask, given: GivenAnswer): Promise<void>
  /** Makes an ephemeral call one of record. */
  promote(task: LiveTask): void
  whenIdle: Idle['whenIdle']
  /** The task whose code is running now. @throws `parent_stopping` when that task, or its attempt, has ended */
  runningTask(): LiveTask | undefined
  /** Whether a live task's code is running now. */
  isInside(): boolean
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
  const { store, clock, deadlines, settings, hub, counters, createId } = parts
  const supervisor = createSupervisorActor({ memoise: parts.memoise, inspect: parts.inspect })
  const tree = createTreeIndex()
  const writer = createStoreWriter({
    ...parts,
    ...settings,
    store: parts.unlimited,
    onPause: () => hub.pause(),
  })
  const journal = createJournal({
    clock,
    deadlines,
    hub,
    writer,
    settings,
    counters,
    nodeId: () => membership.nodeId(),
    onKeptAfterLoss: () => membership.noteLetGo(),
  })
  const budgets = createBudgets({
    stop: (top, what) => {
      const cause = { reason: 'budget', note: what } as const
      stopping.accept({ roots: [top], cause, rootEvent: 'task.cancel' })
    },
  })
  const reports = createReports({
    clock,
    deadlines,
    journal,
    counters,
    progressMs: settings.progressMs,
    maxEventChars: settings.retention.maxEventChars,
    budgets,
  })
  const contexts = createTaskContexts({
    reports,
    questions: () => actors.questions,
    inboxes: () => inboxes,
    door: parts.door,
    holdKey: (task, key) => holdKey(task, key),
  })
  const slots = createSlots(clock, settings.limits)
  const keys = createKeys({
    deadlines,
    journal,
    supersede: (tasks, by) => {
      const cause = { reason: 'superseded', actor: by.taskId } as const
      stopping.accept({ roots: tasks, cause, rootEvent: 'task.cancel' })
    },
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
        parts.logger.error({ error, taskId: holderId }, 'the holder of a key could not be stopped in its process')
      }
    },
  })
  const turns = createTurns({ keys, slots, deadlines, onQueueTimeout: (task) => actors.endQueued(task) })
  const desks = createOwnerDesks({ limits: settings.inbox, counters })
  const ownerInboxes = createOwnerInboxes({ ...parts, desks, turns, runOutside: parts.ambient.runOutside })
  const inboxes = createInboxes({
    deadlines,
    journal,
    turns,
    limits: settings.inbox,
    waitMs: settings.waitMs,
    promote: (task) => promote(task),
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
    limits: settings.inbox,
    counters,
    noteNews: ownerInboxes.noteNews,
  })
  const actors = createTaskActors({
    ...parts,
    inboxes,
    tellOwner: messages.tellOwner,
    supervisor,
    tree,
    journal,
    reports,
    durability: () => store.durability,
    graceMs: settings.graceMs,
    turns,
    budgets,
    contextOf: contexts.contextOf,
    canHandBack: () => membership.canHandBack,
  })
  const { callers, stopping } = actors
  const recover = createRecovery({
    store,
    clock,
    createId,
    counters,
    journal,
    nodeId: () => membership.nodeId(),
    stopElsewhere: (record, cause) => {
      if (membership.orders?.isElsewhere(record) !== true) return
      membership.orders.send(record, { verb: 'cancel', cause }).catch(parts.reportError)
    },
    hasRoom: () => supervisor.phase() === 'accepting' && supervisor.live.size < settings.limits.maxLive,
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
  const letGo = createLetGo({ live: supervisor.live, journal, stopping, keyHolders: keys.holders })
  const membership = createMembership({
    ...parts,
    leaseMs: settings.leaseMs,
    live: supervisor.live,
    recover,
    deliverOverdue: createDeliverOverdue({ store, goOnWith: parts.goOnWith }),
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
    dropUnstarted: actors.dropUnstarted,
  })
  const waits = createWaits({ store, hub, news: parts.news, deadlines, live: supervisor.live, turns })
  const { whenIdle } = createIdle({ tree, deadlines, waits })
  const retention = createRetention(parts)
  journal.onCommitted((commit) => {
    if (isFinalCommit(commit)) retention.noteEnd()
  })

  const shadows = createShadows({
    ...parts,
    waits,
    orders: () => membership.orders,
    startBelow: (spec, parent) => {
      const shadow = admission.create({ spec, input: undefined, inputJson: undefined }, parent, 'attached')
      promote(parent)
      calls.startSoon(shadow)
    },
    stop: (task, cause) => {
      stopping.accept({ roots: [task], cause, rootEvent: 'task.cancel' })
    },
  })

  const promote = (task: LiveTask): void => {
    if (task.log !== undefined) return
    journal.promote(task)
    journal.save(task)
  }

  const holdKey = async (task: LiveTask, key: string): Promise<void> => {
    checkKey('key', key)
    if (task.finalStatus !== undefined) throw new ParentStoppingError(task.taskId)
    promote(task)
    await keys.hold(task, key)
  }

  const whenAllEnded = (tasks: readonly LiveTask[]): Promise<void> =>
    new Promise((resolve) => {
      let index = 0
      /** One after the other: when all have ended, each of them has, in whatever order. */
      const waitForNext = (): void => {
        for (; index < tasks.length; index += 1) {
          const task = tasks[index]
          if (task === undefined || !supervisor.live.has(task.taskId)) continue
          if (task.endListeners === undefined) task.endListeners = [waitForNext]
          else task.endListeners.push(waitForNext)
          return
        }
        resolve()
      }
      waitForNext()
    })

  const cancel = async (
    roots: readonly LiveTask[],
    cause: StopCause,
    from: LiveTask | undefined,
  ): Promise<CancelReport> => {
    const accepted = stopping.accept({ roots, cause, rootEvent: 'task.cancel' })
    const { members } = accepted
    if (from !== undefined && members.includes(from)) {
      await new Promise<void>((done) => accepted.whenSignalled(done))
      // It goes on among tasks that are stopping, and what it reads of them says so.
      for (const member of members) journal.save(member)
    } else await whenAllEnded(roots)
    return {
      count: members.length,
      tasks: members.map((task) => ({
        taskId: task.spec.shadowOf ?? task.taskId,
        status: task.finalStatus ?? statusOf(task),
      })),
    }
  }

  const background = (task: LiveTask): Promise<Ticket> =>
    new Promise((resolve) => {
      callers.detach(task, 'request')
      callers.whenTicket(task, resolve)
    })

  const redirect = (task: LiveTask, target: string): Promise<void> =>
    new Promise((resolve) => {
      task.targets = Object.freeze([target])
      task.hasExplicitTarget = true
      if (isAttached(task)) callers.detach(task, 'redirect')
      else actors.send(task, 'task.redirect')
      journal.append(task, 'task.redirected', { target })
      journal.whenKnown(task, () => resolve())
    })

  const runningTask = (): LiveTask | undefined => {
    const context = parts.ambient.current()
    const task = contexts.taskOf(context)
    if (task === undefined) return undefined
    if (task.finalStatus !== undefined && !supervisor.live.has(task.taskId)) throw new ParentStoppingError(task.taskId)
    if (contexts.isOver(context)) throw new ParentStoppingError(task.taskId)
    return supervisor.live.has(task.taskId) ? task : undefined
  }

  const carryOut = createCarryOut({
    tree,
    messages,
    shadows,
    closeRun: admission.closeRun,
    cancel: (roots, cause) => cancel(roots, cause, undefined),
    redirect,
    answer: actors.questions.answer,
    background,
  })
  const calls = createCalls({
    clock,
    admission,
    callers,
    turns,
    waits,
    start: actors.start,
    promote,
    follow: shadows.follow,
    cancel: (task) => {
      cancel([task], { reason: 'user', actor: task.spec.owner }, undefined).catch(parts.reportError)
    },
    runningTask,
  })

  return {
    isAmbient: parts.ambient.isAmbient,
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
    promote,
    cancel,
    whenAllEnded,

    run: calls.run,
    spawn: calls.spawn,
    attach: calls.attach,
    closeRun: admission.closeRun,
    dropRetries: actors.dropRetries,
    handBack: createHandBack({
      live: supervisor.live,
      canHandBack: () => membership.canHandBack,
      handBack: actors.handBack,
      whenAllEnded,
    }),
    background,

    redirect,

    answer: actors.questions.answer,

    whenIdle,

    runningTask,

    isInside() {
      const task = contexts.taskOf(parts.ambient.current())
      return task !== undefined && supervisor.live.has(task.taskId)
    },
  }
}
