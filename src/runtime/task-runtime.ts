/**
 * The runtime behind the gate: what a session may have done to tasks it was allowed to see. It checks no owner.
 *
 * A call's way: `run` or `spawn` → admission → (store) → task actor → journal → store → hub.
 */
import type { StopCause } from '../../machines/vocabulary.ts'
import { onAbort } from '../abort-listeners.ts'
import { ParentStoppingError, type TaskError } from '../errors.ts'
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
import { inItsContext, type Ambient } from './ambient.ts'
import type { Counters } from './counters.ts'
import { createJournal, isFinalCommit, type Journal } from './journal.ts'
import { isAttached, statusOf, type Caller, type LiveTask, type TaskSpec, type TreeNode } from './live-task.ts'
import { createRecentKeys } from './recent-keys.ts'
import { createReports } from './reports.ts'
import { createRetention } from './retention.ts'
import { createStoreWriter, type StoreWriter } from './store-writer.ts'
import { createSupervisorActor, type Inspector, type SupervisorActor } from './supervisor-actor.ts'
import { createTaskActors } from './task-actor.ts'
import { createTaskContexts } from './task-context.ts'
import { createSlices } from './slices.ts'
import { childrenOf, createTreeIndex, descendantsOf, type TreeIndex } from './tree-index.ts'
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
}

interface CallSignals {
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
  run(call: RuntimeCall, parent: LiveTask | undefined): Promise<RunOutcome<unknown>>
  spawn(call: RuntimeCall, parent: LiveTask | undefined): Promise<LiveTask>
  /** `from`: the task whose code asks. Inside what it cancels, it hears of the signals only, not of its own end. */
  cancel(roots: readonly LiveTask[], cause: StopCause, from: LiveTask | undefined): Promise<CancelReport>
  /** Resolves once the end of the task is public. */
  /** Resolves once all of them are final and their ends are public. */
  whenAllEnded(tasks: readonly LiveTask[]): Promise<void>
  closeRun(owner: string, runId: string): void
  background(task: LiveTask): Promise<Ticket>
  attach(
    task: LiveTask,
    wait: { readonly waitMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<RunOutcome<unknown>>
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
  const reports = createReports({
    clock,
    deadlines,
    journal,
    counters,
    progressMs: settings.progressMs,
    maxEventChars: settings.retention.maxEventChars,
  })
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

  const create = (call: RuntimeCall, parent: LiveTask | undefined, caller: LiveTask['lastCaller']): LiveTask => {
    const task = admission.create(call, parent, caller)
    if (parent !== undefined) promote(parent)
    return task
  }

  const recordInTurn = (task: LiveTask, onAdmitted: () => void, onRefused: (error: TaskError) => void): void =>
    starts.push(() => admission.record(task, onAdmitted, onRefused))

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
      tasks: members.map((task) => ({ taskId: task.taskId, status: task.finalStatus ?? statusOf(task) })),
    }
  }

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

  const runningTask = (): LiveTask | undefined => {
    const task = contexts.taskOf(parts.ambient.current())
    if (task === undefined || supervisor.live.has(task.taskId)) return task
    if (task.finalStatus !== undefined) throw new ParentStoppingError(task.taskId)
    return undefined
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
    whenAllEnded,

    run: (call, parent) =>
      new Promise((resolve, reject) => {
        const { spec } = call
        const task = create(call, parent, 'attached')
        addCaller(task, spec.inlineMs === 0 ? Infinity : spec.inlineMs, call, resolve, reject)
        const start = (): void => actors.start(task)
        if (isEphemeral(spec)) starts.push(start)
        else recordInTurn(task, start, (error) => callers.refuseAll(task, error))
      }),

    spawn: (call, parent) =>
      new Promise((resolve, reject) => {
        const task = create(call, parent, 'detached')
        const begin = (): void => {
          actors.start(task)
          resolve(task)
        }
        recordInTurn(task, begin, reject)
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
        const leave = waits.enter([task], runningTask())
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

    redirect: (task, target) =>
      new Promise((resolve) => {
        task.targets = Object.freeze([target])
        task.hasExplicitTarget = true
        if (isAttached(task)) callers.detach(task, 'redirect')
        else actors.send(task, 'task.redirect')
        journal.append(task, 'task.redirected', { target })
        journal.whenKnown(task, () => resolve())
      }),

    runningTask,

    isInside() {
      const task = contexts.taskOf(parts.ambient.current())
      return task !== undefined && supervisor.live.has(task.taskId)
    },
  }
}

/** Whether a call leaves no trace as long as it is awaited inline. */
function isEphemeral({ durable, inlineMs, name }: TaskSpec): boolean {
  return !durable && inlineMs > 0 && name === undefined
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
