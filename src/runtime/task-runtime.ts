/**
 * The runtime behind the gate: what a session may have done to tasks it was allowed to see. It checks no owner.
 *
 * A call's way: `run` or `spawn` → admission → (store) → task actor → journal → store → hub.
 */
import type { StopCause } from '../../machines/vocabulary.ts'
import { onAbort } from '../abort-listeners.ts'
import { ParentStoppingError } from '../errors.ts'
import type { Hub } from '../events/hub.ts'
import type { News } from '../events/news.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { CancelReport, RunOutcome, Ticket } from '../ports/task-handle.ts'
import { checkKey, type Settings } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { OutboxEntry, TaskStore } from '../ports/task-store.ts'
import { createAdmission, type AdmissionAnswers } from './admission.ts'
import { inItsContext, type Ambient } from './ambient.ts'
import { createBudgets } from './budgets.ts'
import { createLetGo } from './cluster/let-go.ts'
import { createMembership, type Membership } from './cluster/membership.ts'
import type { TaskOrder } from './cluster/task-order.ts'
import { createDeliverOverdue } from './cluster/overdue.ts'
import { createRecovery } from './cluster/recovery.ts'
import { createRevive } from './cluster/revival.ts'
import { createShadows } from './cluster/shadows.ts'
import type { Counters } from './counters.ts'
import { createJournal, isFinalCommit, type Journal } from './journal.ts'
import {
  isAttached,
  statusOf,
  type Caller,
  type LiveTask,
  type RemoteParent,
  type TaskSpec,
  type TreeNode,
} from './live-task.ts'
import { createIdle, type Idle } from './idle.ts'
import { createInboxes } from './messages/inboxes.ts'
import { createKeys } from './turns/keys.ts'
import { createMessages, toDeadLetter, type Messages } from './messages/messages.ts'
import { createOwnerDesks, type OwnerDesks } from './messages/owner-desks.ts'
import { createOwnerInboxes, type OwnerInboxes } from './messages/owner-inboxes.ts'
import { createRecentKeys } from './recent-keys.ts'
import type { GivenAnswer } from './questions.ts'
import { createReports } from './reports.ts'
import { createRetention, type Retention } from './retention.ts'
import { createStoreWriter, type StoreWriter } from './store-writer.ts'
import { createSupervisorActor, type Inspector, type SupervisorActor } from './supervisor-actor.ts'
import { createTaskActors } from './task-actor.ts'
import { createTaskContexts } from './task-context.ts'
import { createSlices } from './slices.ts'
import { createSlots } from './turns/slots.ts'
import { childrenOf, createTreeIndex, descendantsOf, type TreeIndex } from './tree-index.ts'
import { createTurns } from './turns/turns.ts'
import { createWaits, type Waits } from './waits.ts'

/** Cancelled runs that are remembered, so that nothing starts under them any more. */
const MAX_CLOSED_RUNS = 10_000
/** A few milliseconds of work. */
const STARTS_PER_SLICE = 1_000
const ABORTS_PER_SLICE = 1_000

/** A checked call. */
export interface RuntimeCall extends CallSignals {
  readonly spec: TaskSpec
  readonly input: unknown
  readonly inputJson: string | undefined
  /** The id it has already. */
  readonly taskId?: string
  /** Its parent, which has adopted it in another process. */
  readonly above?: RemoteParent
}

interface CallSignals {
  readonly signal: AbortSignal | undefined
  readonly cancelSignal: AbortSignal | undefined
}

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
  attach(
    task: LiveTask,
    wait: {
      readonly waitMs: number
      readonly signal: AbortSignal | undefined
      readonly waiter: LiveTask | undefined
    },
  ): Promise<RunOutcome<unknown>>
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
  readonly deliver: (record: StoredRecord, entries: readonly OutboxEntry[]) => void
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
    messages: () => messages,
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
    live: supervisor.live,
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
    deliverOverdue: createDeliverOverdue({ store, nodeId: () => membership.nodeId(), deliver: parts.deliver }),
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
  const starts = createSlices<() => void>({
    clock,
    size: STARTS_PER_SLICE,
    work: (start) => start(),
    toWaiting: inItsContext,
  })
  /** What calls do when a signal of theirs aborts, which many may share. */
  const aborts = createSlices<() => void>({ clock, size: ABORTS_PER_SLICE, work: (abort) => abort() })
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
      starts.push(() => actors.start(shadow))
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

  const create = (call: RuntimeCall, parent: LiveTask | undefined, caller: LiveTask['lastCaller']): LiveTask => {
    const task = admission.create(call, parent, caller)
    if (parent !== undefined) promote(parent)
    if (call.above !== undefined) shadows.follow(task, call.above)
    return task
  }

  const recordInTurn = (task: LiveTask, answers: AdmissionAnswers): void =>
    starts.push(() => admission.record(task, answers))

  const whenAllEnded = (tasks: readonly LiveTask[]): Promise<void> =>
    new Promise((resolve) => {
      const left = tasks.filter((task) => task.finalStatus === undefined || supervisor.live.has(task.taskId))
      if (left.length === 0) return resolve()
      let count = left.length
      const onEnd = (): void => {
        count -= 1
        if (count === 0) resolve()
      }
      for (const task of left) {
        if (task.endListeners === undefined) task.endListeners = [onEnd]
        else task.endListeners.push(onEnd)
      }
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

  /** Does what another process orders. What it gives is JSON. */
  const carryOut = async (task: LiveTask, order: TaskOrder): Promise<unknown> => {
    switch (order.verb) {
      case 'cancel':
        return cancel([task], order.cause, undefined)
      case 'cancelAll': {
        const { owner } = task.spec
        if (order.runId !== undefined) admission.closeRun(owner, order.runId)
        return cancel(topTasks(tree, owner, order.runId), order.cause, undefined)
      }
      case 'redirect':
        return redirect(task, order.target)
      case 'send':
        return messages.send(task, order.message, order.from)
      case 'answer':
        return actors.questions.answer(task, order)
      case 'background':
        return background(task)
      case 'adopt':
        return shadows.adopt(task, order)
      case 'disown':
        return shadows.disown(task, order.childId)
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

  const handBack = async (): Promise<void> => {
    // Children that outlive their parents become roots, and have their turn in the next round.
    for (let round = mayGoOnElsewhere(); round.length > 0; round = mayGoOnElsewhere()) {
      const ended = whenAllEnded(round)
      for (const task of round) actors.handBack(task)
      await ended
    }
  }

  const mayGoOnElsewhere = (): LiveTask[] =>
    membership.canHandBack
      ? [...supervisor.live.values()].filter(
          (task) =>
            task.above.kind === 'owner' &&
            task.spec.recovery !== undefined &&
            task.log !== undefined &&
            task.finalStatus === undefined &&
            task.stop === undefined,
        )
      : []

  const addCaller = (
    task: LiveTask,
    waitMs: number,
    signals: CallSignals,
    resolve: (outcome: RunOutcome<unknown>) => void,
    reject: (error: unknown) => void,
  ): Caller => {
    if (signals.signal === undefined && signals.cancelSignal === undefined) {
      return callers.add(task, waitMs, resolve, reject)
    }
    const undo = [
      // Neither does anything to a call that was answered before its slice.
      onAbort(signals.signal, (reason) =>
        aborts.push(() => {
          leave()
          callers.leave(caller)
          reject(reason)
        }),
      ),
      onAbort(signals.cancelSignal, () =>
        aborts.push(() => {
          cancel([task], { reason: 'user', actor: task.spec.owner }, undefined).catch(parts.reportError)
        }),
      ),
    ]
    const leave = (): void => undo.forEach((off) => off())
    const caller = callers.add(
      task,
      waitMs,
      (outcome) => {
        leave()
        resolve(outcome)
      },
      (error) => {
        leave()
        reject(error)
      },
    )
    return caller
  }

  /** Others may have the slot of a task whose code waits for a call. */
  const lendWhile = (
    waiter: LiveTask | undefined,
    resolve: (outcome: RunOutcome<unknown>) => void,
    reject: (error: unknown) => void,
  ): { resolve: typeof resolve; reject: typeof reject } => {
    if (waiter === undefined) return { resolve, reject }
    const lent = turns.lend(waiter)
    const after =
      <Answer>(answer: (given: Answer) => void) =>
      (given: Answer): void => {
        turns.takeBack(waiter, lent)
        answer(given)
      }
    return { resolve: after(resolve), reject: after(reject) }
  }

  const runningTask = (): LiveTask | undefined => {
    const context = parts.ambient.current()
    const task = contexts.taskOf(context)
    if (task === undefined) return undefined
    if (task.finalStatus !== undefined && !supervisor.live.has(task.taskId)) throw new ParentStoppingError(task.taskId)
    if (contexts.isOver(context)) throw new ParentStoppingError(task.taskId)
    return supervisor.live.has(task.taskId) ? task : undefined
  }

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

    run: (call, parent) =>
      new Promise((resolve, reject) => {
        const { spec } = call
        const task = create(call, parent, 'attached')
        const isPatient = spec.inlineMs === 0 || task.place?.isOverdraft === true
        const waiter = turns.areLimited ? (parent ?? runningTask()) : undefined
        const caller = lendWhile(waiter, resolve, reject)
        addCaller(task, isPatient ? Infinity : spec.inlineMs, call, caller.resolve, caller.reject)
        const start = (): void => actors.start(task)
        if (isEphemeral(spec)) return starts.push(start)
        const refuse = (error: Error): void => callers.refuseAll(task, error)
        recordInTurn(task, { onAdmitted: start, onTwin: (twinId) => refuse(new TwinFound(twinId)), onRefused: refuse })
      }),

    spawn: (call, parent) =>
      new Promise((resolve, reject) => {
        const task = create(call, parent, 'detached')
        const begin = (): void => {
          actors.start(task)
          resolve(task)
        }
        recordInTurn(task, { onAdmitted: begin, onTwin: (twinId) => reject(new TwinFound(twinId)), onRefused: reject })
      }),

    closeRun: admission.closeRun,
    dropRetries: actors.dropRetries,
    handBack,

    background,

    attach: (task, { waitMs, signal, waiter }) =>
      new Promise((resolve, reject) => {
        if (task.hasExplicitTarget) {
          return callers.whenTicket(task, (ticket) => resolve({ kind: 'background', ticket }))
        }
        const leave = waits.enter([task], waiter)
        promote(task)
        callers.attachAgain(task)
        addCaller(
          task,
          waitMs,
          { signal, cancelSignal: undefined },
          (outcome) => {
            leave()
            resolve(outcome)
          },
          (error) => {
            leave()
            reject(error as Error)
          },
        )
      }),

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

/** Whether a call leaves no trace as long as it is awaited inline. */
export function isEphemeral({ durable, inlineMs, name, concurrency, dedupe }: TaskSpec): boolean {
  return !durable && inlineMs > 0 && name === undefined && concurrency === undefined && dedupe === undefined
}

/** Instead of a new task: another one holds the dedupe key. The gate answers with that one. */
export class TwinFound extends Error {
  readonly taskId: string

  constructor(taskId: string) {
    super('another task holds the dedupe key')
    this.name = 'TwinFound'
    this.taskId = taskId
  }
}

/** The live tasks of an owner, or of one run of that owner, that hang below no other of them. */
export function topTasks(tree: TreeIndex, owner: string, runId: string | undefined): LiveTask[] {
  const node = tree.findOwner(owner)
  if (node === undefined) return []
  if (runId === undefined) return [...childrenOf(node)]
  const covered = new Set<TreeNode>()
  return descendantsOf(node).filter((task) => {
    const isBelow = covered.has(task.above)
    if (!isBelow && task.correlation?.runId !== runId) return false
    covered.add(task)
    return !isBelow
  })
}
