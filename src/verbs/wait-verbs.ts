/** The verbs that wait for tasks to end. */
import { isFinalStatus } from '../../machines/vocabulary.ts'
import { isTaskError, TaskCancelledError, TaskFailedError, TaskNotFoundError } from '../errors.ts'
import { toTaskRecord } from '../events/task-event-view.ts'
import { badOption, checkWaitOptions } from '../options.ts'
import type { Session } from '../ports/session.ts'
import type { Ticket } from '../ports/task-handle.ts'
import type { StoredRecord, TaskRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import type { EndOfTask } from '../runtime/waits.ts'
import type { TaskPlaces } from '../task-places.ts'

export type WaitVerbs = Pick<Session, 'wait' | 'waitAny' | 'waitAll' | 'result' | 'attach'>

export function createWaitVerbs(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly places: TaskPlaces
  readonly waitMs: number
  readonly runningTask: () => LiveTask | undefined
  readonly background: (taskId: string) => Promise<Ticket>
}): WaitVerbs {
  const { runtime, store, places, waitMs: defaultWaitMs, runningTask } = parts

  /** Refuses ids that are not the owner's, and makes ephemeral calls that somebody asks about tasks of record. */
  const requireAll = async (taskIds: unknown): Promise<string[]> => {
    if (!Array.isArray(taskIds) || taskIds.length === 0) throw badOption('taskIds', 'a non-empty array of ids', taskIds)
    const unique = [...new Set<unknown>(taskIds)]
    for (const taskId of unique) {
      const known = places.requireKnown(taskId)
      if (known instanceof Promise) await known
      else runtime.promote(known)
    }
    return unique as string[]
  }

  const whenEnded = async (taskIds: unknown, count: 'any' | 'all', options: unknown): Promise<EndOfTask[]> => {
    const { waitMs, signal } = checkWaitOptions(options, defaultWaitMs)
    const waiter = runningTask()
    const unique = await requireAll(taskIds)
    return runtime.waits.whenEnded(unique, count === 'any' ? 1 : unique.length, { waitMs, signal, waiter })
  }

  /** The most usual wait: on the way to a task that lives here nothing is awaited. */
  const endOf = (taskId: string, options: unknown): Promise<EndOfTask> => {
    const wait = { waiter: runningTask(), ...checkWaitOptions(options, defaultWaitMs) }
    const known = places.requireKnown(taskId)
    if (known instanceof Promise) return known.then(() => runtime.waits.whenOneEnded(taskId, wait))
    runtime.promote(known)
    return runtime.waits.whenOneEnded(taskId, wait)
  }

  /** What the store has not got is kept nowhere. */
  const view = ({ record, isSaved }: EndOfTask): TaskRecord =>
    toTaskRecord(record, isSaved ? store.durability : 'memory')

  return {
    wait: async (taskId, options) => view(await endOf(taskId, options)),

    async waitAny(taskIds, options) {
      const [first] = await whenEnded(taskIds, 'any', options)
      if (first === undefined) throw new TaskNotFoundError()
      return view(first)
    },

    waitAll: async (taskIds, options) => (await whenEnded(taskIds, 'all', options)).map(view),

    result: async (taskId, options) => readResult(store, (await endOf(taskId, options)).record),

    async attach(taskId, options) {
      const { waitMs, signal } = checkWaitOptions(options, defaultWaitMs)
      signal?.throwIfAborted()
      const found = places.require(taskId)
      const place = found instanceof Promise ? await found : found
      if (place.kind === 'here') return runtime.attach(place.task, { waitMs, signal, waiter: runningTask() })
      try {
        const { record, isSaved } =
          place.kind === 'ended' && isFinalStatus(place.record.status)
            ? { record: place.record, isSaved: true }
            : await endOf(taskId, { waitMs, ...(signal && { signal }) })
        const persisted = isSaved && store.durability !== 'memory'
        return { kind: 'inline', value: await readResult(store, record), persisted, taskId }
      } catch (error) {
        if (!isTaskError(error, 'wait_timeout')) throw error
        return { kind: 'background', ticket: await parts.background(taskId) }
      }
    },
  }
}

/** The value of an ended task, read from what was kept. @throws `task_failed`, `task_cancelled` */
async function readResult(store: TaskStore, record: StoredRecord): Promise<unknown> {
  if (record.status === 'failed' && record.failure !== undefined)
    throw new TaskFailedError(record.taskId, record.failure)
  if (record.status === 'cancelled') throw new TaskCancelledError(record.taskId, record.cause ?? { reason: 'user' })
  if (!isFinalStatus(record.status)) throw new TaskNotFoundError()
  const json = record.isSpilled === true ? await store.readAttachment(record.taskId, 'result') : record.resultJson
  return json === undefined ? undefined : (JSON.parse(json) as unknown)
}
