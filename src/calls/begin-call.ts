/**
 * From a checked call to its task, or to the one that is its twin.
 *
 * A call with a dedupe key looks for a twin, begins, and looks again when another one was faster. A host's ledger gives its
 * id before there is a task.
 */
import type { CallPlace } from './call-spec.ts'
import { ParentStoppingError, TaskError } from '../errors.ts'
import { createHandle } from '../handle.ts'
import type { RunOutcome, TaskHandle } from '../ports/task-handle.ts'
import type { Session } from '../ports/session.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { PrepareTask } from './prepare-task.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import type { CheckedCall, RemoteParent, TaskSpec } from '../runtime/task-spec.ts'
import { isEphemeral, TwinFound } from '../runtime/calls.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import type { TaskPlace } from '../task-places.ts'

export interface BeginParts {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  /** Absent when tasks get their ids here. */
  readonly prepare: PrepareTask | undefined
  readonly createId: IdSource
}

export type Begin<Result> = (checked: CheckedCall, parent: LiveTask | undefined) => Promise<Result>

/** Begins a call that is to be a task of record, with the id that the host's ledger gives it. */
async function beginPrepared<Result>(
  prepare: PrepareTask,
  checked: CheckedCall,
  parent: LiveTask | undefined,
  begin: (call: CheckedCall) => Promise<Result>,
): Promise<Result> {
  if (checked.taskId !== undefined) return begin(checked)
  const taskId = await prepare(checked.spec, parent?.taskId)
  return begin(taskId === undefined ? checked : { ...checked, taskId })
}

/** Runs a call, or waits for the twin that has its dedupe key. */
export function beginRun(parts: BeginParts, gate: () => Session): Begin<RunOutcome<unknown>> {
  return (checked, parent) => {
    const { spec, signal } = checked
    const { prepare, runtime } = parts
    const run = (): Promise<RunOutcome<unknown>> =>
      prepare === undefined || isEphemeral(spec)
        ? runtime.run(checked, parent)
        : beginPrepared(prepare, checked, parent, (call) => runtime.run(call, parent))
    if (spec.dedupe === undefined) return run()
    return beginOnce(parts, spec, run, async (twinId) => {
      if (spec.inlineMs === 0) return { kind: 'background', ticket: await gate().background(twinId) }
      return gate().attach(twinId, { waitMs: spec.inlineMs, ...(signal === undefined ? {} : { signal }) })
    })
  }
}

/** Spawns a task, or gives the twin that has its dedupe key. */
export function beginSpawn(parts: BeginParts, gate: () => Session): Begin<TaskHandle> {
  return (checked, parent) => {
    const { prepare, runtime } = parts
    const spawn = async (): Promise<TaskHandle> => {
      const task = await (prepare === undefined
        ? runtime.spawn(checked, parent)
        : beginPrepared(prepare, checked, parent, (call) => runtime.spawn(call, parent)))
      return createHandle(gate(), task.taskId)
    }
    if (checked.spec.dedupe === undefined) return spawn()
    return beginOnce(parts, checked.spec, spawn, async (twinId) => createHandle(gate(), twinId))
  }
}

/** A twin may be dropped between two looks; then the key is free again. */
const MAX_TWIN_LOOKS = 3

/** @throws `dedupe_conflict`, or what `begin` rejects with */
async function beginOnce<Result>(
  { store, runtime }: BeginParts,
  { owner, dedupe }: TaskSpec,
  begin: () => Promise<Result>,
  answerWith: (twinId: string) => Promise<Result>,
): Promise<Result> {
  const claim = { owner, kind: 'dedupe', key: dedupe?.key ?? '' } as const
  for (let look = 0; look < MAX_TWIN_LOOKS; look += 1) {
    let twinId = await store.claimedBy(claim)
    try {
      if (twinId === undefined) return await begin()
    } catch (error) {
      if (!(error instanceof TwinFound)) throw error
      twinId = error.taskId
    }
    const live = runtime.supervisor.live.get(twinId)
    const digest = live === undefined ? (await store.read(twinId))?.inputDigest : live.spec.dedupe?.digest
    if (digest === dedupe?.digest) return answerWith(twinId)
    if (digest !== undefined) {
      throw new TaskError('dedupe_conflict', 'The dedupe key belongs to another call.', { taskId: twinId })
    }
  }
  throw new TaskError('store_unavailable', 'The task of the dedupe key could not be read.')
}

/** Checks a call and begins it. Its place is found before anything is awaited: later, other code may be running. */
export function launch<Result>(
  check: (place: CallPlace) => CheckedCall | Promise<CheckedCall>,
  findPlace: () => CallPlace,
  begin: Begin<Result>,
): Promise<Result> {
  try {
    const place = findPlace()
    const checked = check(place)
    if (checked instanceof Promise) return checked.then((late) => beginUnlessAborted(late, place, begin))
    return beginUnlessAborted(checked, place, begin)
  } catch (error) {
    return Promise.reject(error as Error)
  }
}

function beginUnlessAborted<Result>(
  checked: CheckedCall,
  { parent }: CallPlace,
  begin: Begin<Result>,
): Promise<Result> {
  const aborted = checked.signal?.aborted === true ? checked.signal : checked.cancelSignal
  if (aborted?.aborted === true) return Promise.reject(aborted.reason as Error)
  return begin(checked, parent)
}

/** Has a call kept in the store from its beginning. */
export function beginOfRecord<Result>(begin: Begin<Result>): Begin<Result> {
  return (checked, parent) => begin({ ...checked, spec: { ...checked.spec, durable: true } }, parent)
}

/** Begins a call below a task that runs in another process: that adopts it first. */
export function beginBelow<Result>(
  { runtime, store, prepare, createId }: BeginParts,
  { record: above, orders }: Extract<TaskPlace, { kind: 'elsewhere' }>,
  begin: Begin<Result>,
): Begin<Result> {
  return async (checked) => {
    const { spec } = checked
    const taskId = (await prepare?.(spec, above.taskId)) ?? createId()
    const adoption = { childId: taskId, tool: spec.tool, onParentEnd: spec.policy.onParentEnd }
    const outcome = await orders.send(above, { verb: 'adopt', ...adoption })
    if (outcome.kind !== 'done') throw new ParentStoppingError(above.taskId)
    // The parent waits for its record.
    const call = { ...checked, taskId, above: outcome.value as RemoteParent, spec: { ...spec, durable: true } }
    try {
      return await begin(call, undefined)
    } finally {
      // It was refused, or has a twin.
      if (!runtime.supervisor.live.has(taskId) && (await store.read(taskId)) === undefined) {
        await orders.send(above, { verb: 'disown', childId: taskId })
      }
    }
  }
}
