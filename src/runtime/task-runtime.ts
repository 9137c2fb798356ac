/**
 * The runtime behind the gate: what a session may have done to tasks it was allowed to see. It checks no owner.
 *
 * A call's way: `run` or `spawn` → admission → (store) → task actor → journal → store → hub.
 */
import type { StopCause } from '../../machines/vocabulary.ts'
import { TaskError } from '../errors.ts'
import type { Hub } from '../events/hub.ts'
import type { TaskDoor } from '../ports/task-door.ts'
import type { CancelReport, RunOutcome, Ticket } from '../ports/task-handle.ts'
import type { Settings } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { createAdmission } from './admission.ts'
import type { Ambient } from './ambient.ts'
import type { Counters } from './counters.ts'
import { createJournal, isFinalCommit, type Journal } from './journal.ts'
import { isAttached, statusOf, type Caller, type LiveTask, type TaskSpec } from './live-task.ts'
import { createRecentKeys } from './recent-keys.ts'
import { createReports } from './reports.ts'
import { createRetention } from './retention.ts'
import { createStoreWriter, type StoreWriter } from './store-writer.ts'
import { createSupervisorActor, type Inspector, type SupervisorActor } from './supervisor-actor.ts'
import { createTaskActors } from './task-actor.ts'
import { createTaskContexts } from './task-context.ts'
import { createTreeIndex, descendantsOf, type TreeIndex } from './tree-index.ts'
import { createWaits, type Waits } from './waits.ts'

/** Cancelled runs that are remembered, so that nothing starts under them any more. */
const MAX_CLOSED_RUNS = 10_000

export interface CallSignals {
  readonly signal: AbortSignal | undefined
  readonly cancelSignal: AbortSignal | undefined
}

export interface TaskRuntime {
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly journal: Journal
  readonly writer: StoreWriter
  readonly waits: Waits
  readonly counters: Counters
  run(spec: TaskSpec, parent: LiveTask | undefined, signals: CallSignals): Promise<RunOutcome<unknown>>
  spawn(spec: TaskSpec, parent: LiveTask | undefined): Promise<LiveTask>
  /** `from`: the task whose code asks. Inside what it cancels, it hears of the signals only, not of its own end. */
  cancel(roots: readonly LiveTask[], cause: StopCause, from: LiveTask | undefined): Promise<CancelReport>
  closeRun(owner: string, runId: string): void
  background(task: LiveTask): Promise<Ticket>
  attach(task: LiveTask, wait: { readonly waitMs: number; readonly signal: AbortSignal | undefined }): Promise<RunOutcome<unknown>>
  redirect(task: LiveTask, target: string): Promise<void>
  /** Makes an ephemeral call one of record. */
  promote(task: LiveTask): void
  /** The task whose code is running now. @throws `parent_stopping` when that task has ended */
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
  readonly reportError: (error: unknown) => void
}

export function createTaskRuntime(parts: RuntimeParts): TaskRuntime {
  const { store, clock, deadlines, settings, hub, counters, createId } = parts
  const supervisor = createSupervisorActor({ memoise: parts.memoise, inspect: parts.inspect })
  const tree = createTreeIndex()
  const writer = createStoreWriter({ ...parts, commitWaitMs: settings.commitWaitMs, onPause: () => hub.pause() })
  const journal = createJournal({ clock, deadlines, hub, writer, settings, counters })
  const reports = createReports({ clock, deadlines, journal, counters, progressMs: settings.progressMs })
  const contexts = createTaskContexts({ reports, door: parts.door })
  const actors = createTaskActors({
    ...parts,
    supervisor,
    tree,
    journal,
    reports,
    durability: store.durability,
    graceMs: settings.graceMs,
    contextOf: contexts.contextOf,
  })
  const { callers, stopping } = actors
  const admission = createAdmission({
    clock,
    createId,
    settings,
    supervisor,
    tree,
    journal,
    closedRuns: createRecentKeys(MAX_CLOSED_RUNS),
    endUnstarted: actors.endUnstarted,
  })
  const waits = createWaits({ store, hub, deadlines, live: supervisor.live })
  const retention = createRetention(parts)
  journal.onCommitted((commit) => {
    if (isFinalCommit(commit)) retention.noteEnd()
  })

  const promote = (task: LiveTask): void => {
    if (task.log !== undefined) return
    journal.promote(task)
    journal.save(task)
  }

  const create = (spec: TaskSpec, parent: LiveTask | undefined, caller: LiveTask['lastCaller']): LiveTask => {
    const task = admission.create({ spec, parent, caller })
    if (parent !== undefined) promote(parent)
    return task
  }

  const whenEnded = (task: LiveTask): Promise<void> =>
    new Promise((resolve) => {
      if (!supervisor.live.has(task.taskId)) return resolve()
      ;(task.endListeners ??= []).push(resolve)
    })

  const cancel = async (
    roots: readonly LiveTask[],
    cause: StopCause,
    from: LiveTask | undefined,
  ): Promise<CancelReport> => {
    const accepted = stopping.accept({ roots, cause, rootEvent: 'task.cancel' })
    const { members } = accepted
    if (from !== undefined && members.includes(from)) await new Promise<void>((done) => accepted.whenSignalled(done))
    else await Promise.all(roots.map(whenEnded))
    return {
      count: members.length,
      tasks: members.map((task) => ({ taskId: task.taskId, status: task.finalStatus ?? statusOf(task) })),
    }
  }

  /** Calls back once when the signal aborts, until the undo is called. */
  const onAbort = (signal: AbortSignal | undefined, listener: (reason: unknown) => void): (() => void) => {
    if (signal === undefined) return () => undefined
    const hear = (): void => listener(signal.reason)
    signal.addEventListener('abort', hear, { once: true })
    return () => signal.removeEventListener('abort', hear)
  }

  const addCaller = (
    task: LiveTask,
    waitMs: number,
    signals: CallSignals,
    settle: { resolve(outcome: RunOutcome<unknown>): void; reject(error: unknown): void },
  ): Caller => {
    if (signals.signal === undefined && signals.cancelSignal === undefined) {
      return callers.add(task, { waitMs, ...settle })
    }
    const undo = [
      onAbort(signals.signal, (reason) => {
        leave()
        callers.leave(caller)
        settle.reject(reason)
      }),
      onAbort(signals.cancelSignal, () => {
        cancel([task], { reason: 'user', actor: task.spec.owner }, undefined).catch(parts.reportError)
      }),
    ]
    const leave = (): void => undo.forEach((off) => off())
    const caller = callers.add(task, {
      waitMs,
      resolve: (outcome) => {
        leave()
        settle.resolve(outcome)
      },
      reject: (error) => {
        leave()
        settle.reject(error)
      },
    })
    return caller
  }

  return {
    supervisor,
    tree,
    journal,
    writer,
    waits,
    counters,
    promote,
    cancel,

    run: (spec, parent, signals) =>
      new Promise((resolve, reject) => {
        const task = create(spec, parent, 'attached')
        addCaller(task, spec.inlineMs === 0 ? Infinity : spec.inlineMs, signals, { resolve, reject })
        const isOfRecord = spec.durable || spec.inlineMs === 0 || spec.name !== undefined
        if (!isOfRecord) return actors.start(task)
        admission.record(task, () => actors.start(task), reject)
      }),

    spawn: (spec, parent) =>
      new Promise((resolve, reject) => {
        const task = create(spec, parent, 'detached')
        const begin = (): void => {
          actors.start(task)
          resolve(task)
        }
        admission.record(task, begin, reject)
      }),

    closeRun: admission.closeRun,

    background: (task) =>
      new Promise((resolve) => {
        callers.detach(task, 'request')
        callers.whenTicket(task, resolve)
      }),

    attach: (task, { waitMs, signal }) =>
      new Promise((resolve, reject) => {
        if (task.hasExplicitTarget) {
          return callers.whenTicket(task, (ticket) => resolve({ kind: 'background', ticket }))
        }
        promote(task)
        callers.attachAgain(task)
        addCaller(task, waitMs, { signal, cancelSignal: undefined }, { resolve, reject })
      }),

    redirect: (task, target) =>
      new Promise((resolve) => {
        task.targets = Object.freeze([target])
        task.hasExplicitTarget = true
        if (isAttached(task)) callers.detach(task, 'redirect')
        else actors.send(task, 'task.redirect')
        journal.append(task, 'task.redirected', { target })
        journal.whenKnown(task, () => resolve())
      }),

    runningTask() {
      const context = parts.ambient.current()
      const task = contexts.taskOf(context)
      if (task === undefined || supervisor.live.has(task.taskId)) return task
      if (task.finalStatus !== undefined) throw new TaskError('parent_stopping', 'The task that asks has ended.')
      return undefined
    },

    isInside() {
      const task = contexts.taskOf(parts.ambient.current())
      return task !== undefined && supervisor.live.has(task.taskId)
    },
  }
}

/** The live tasks of an owner, or of one run of that owner, that hang below no other of them. */
export function topTasks(tree: TreeIndex, owner: string, runId: string | undefined): LiveTask[] {
  const node = tree.findOwner(owner)
  if (node === undefined) return []
  const isMeant = (task: LiveTask): boolean => runId === undefined || task.correlation?.runId === runId
  const meant = descendantsOf(node).filter(isMeant)
  return meant.filter((task) => task.above.kind === 'owner' || !isMeant(task.above as LiveTask))
}
