/**
 * A call's way in: its task gets a place, is recorded where that is asked for, and is started in its turn; whoever awaits it
 * inline waits as long as he said, and may leave before.
 */
import { onAbort } from '../abort-listeners.ts'
import type { Clock } from '../ports/clock.ts'
import type { RunOutcome } from '../ports/task-handle.ts'
import type { Admission, AdmissionAnswers } from './admission.ts'
import { inItsContext } from './ambient.ts'
import type { Callers } from './callers.ts'
import type { Caller, LiveTask } from './live-task.ts'
import type { CallSignals, CheckedCall, RemoteParent, TaskSpec } from './task-spec.ts'
import { createSlices } from './slices.ts'
import type { Turns } from './turns/turns.ts'
import type { Waits } from './waits.ts'

/** A few milliseconds of work. */
const STARTS_PER_SLICE = 1_000
const ABORTS_PER_SLICE = 1_000

export interface AttachWait {
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
  readonly waiter: LiveTask | undefined
}

export interface Calls {
  run(call: CheckedCall, parent: LiveTask | undefined): Promise<RunOutcome<unknown>>
  spawn(call: CheckedCall, parent: LiveTask | undefined): Promise<LiveTask>
  attach(task: LiveTask, wait: AttachWait): Promise<RunOutcome<unknown>>
  /** Starts a task that has its place, in its turn. */
  startSoon(task: LiveTask): void
}

export function createCalls(parts: {
  readonly clock: Clock
  readonly admission: Admission
  readonly callers: Callers
  readonly turns: Turns
  readonly waits: Waits
  readonly start: (task: LiveTask) => void
  readonly promote: (task: LiveTask) => void
  /** A child whose parent runs in another process. */
  readonly follow: (child: LiveTask, above: RemoteParent) => void
  /** Somebody's signal has cancelled the task. */
  readonly cancel: (task: LiveTask) => void
  readonly runningTask: () => LiveTask | undefined
}): Calls {
  const { clock, admission, callers, turns, waits, start: startTask, promote, runningTask } = parts
  const starts = createSlices<() => void>({
    clock,
    size: STARTS_PER_SLICE,
    work: (start) => start(),
    toWaiting: inItsContext,
  })
  /** What calls do when a signal of theirs aborts, which many may share. */
  const aborts = createSlices<() => void>({ clock, size: ABORTS_PER_SLICE, work: (abort) => abort() })

  const create = (call: CheckedCall, parent: LiveTask | undefined, caller: LiveTask['lastCaller']): LiveTask => {
    const task = admission.create(call, parent, caller)
    if (parent !== undefined) promote(parent)
    if (call.above !== undefined) parts.follow(task, call.above)
    return task
  }

  const recordInTurn = (task: LiveTask, answers: AdmissionAnswers): void =>
    starts.push(() => admission.record(task, answers))

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
      onAbort(signals.cancelSignal, () => aborts.push(() => parts.cancel(task))),
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

  return {
    run: (call, parent) =>
      new Promise((resolve, reject) => {
        const { spec } = call
        const task = create(call, parent, 'attached')
        const isPatient = spec.inlineMs === 0 || task.place?.isOverdraft === true
        const waiter = turns.areLimited ? (parent ?? runningTask()) : undefined
        const caller = lendWhile(waiter, resolve, reject)
        addCaller(task, isPatient ? Infinity : spec.inlineMs, call, caller.resolve, caller.reject)
        const start = (): void => startTask(task)
        if (isEphemeral(spec)) return starts.push(start)
        const refuse = (error: Error): void => callers.refuseAll(task, error)
        recordInTurn(task, { onAdmitted: start, onTwin: (twinId) => refuse(new TwinFound(twinId)), onRefused: refuse })
      }),

    spawn: (call, parent) =>
      new Promise((resolve, reject) => {
        const task = create(call, parent, 'detached')
        const begin = (): void => {
          startTask(task)
          resolve(task)
        }
        recordInTurn(task, { onAdmitted: begin, onTwin: (twinId) => reject(new TwinFound(twinId)), onRefused: reject })
      }),

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

    startSoon: (task) => starts.push(() => startTask(task)),
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
