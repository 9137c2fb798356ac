/**
 * Where a task is, for whoever may know of it. Every verb that names a task asks here first, be it one of a session, of the
 * operator or of a task's own code, and nothing else decides who reaches what.
 *
 * here: it lives in this process, and something can still be decided about it.
 * elsewhere: another process runs it, or will. What an earlier one has left to this one is here or ended, a moment later.
 * ended: it is final, and the store has it.
 * nowhere: it never was, it is kept no more, it is out of reach, or its id is none.
 *
 * 1. What is out of reach takes the steps of what never was, a look at what lives and one at the store, and gets its answer.
 * 2. Nothing is awaited on the way to a task that is here.
 * 3. A shadow is no task. What it stands for is elsewhere, under its own id.
 */
import { isFinalStatus } from '../machines/vocabulary.ts'
import { TaskNotFoundError } from './errors.ts'
import type { StoredRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { Orders } from './runtime/cluster/orders.ts'
import type { TaskOrder } from './runtime/cluster/task-order.ts'
import type { LiveTask } from './runtime/live-task.ts'
import { isNoShadow } from './runtime/task-status.ts'
import { toStoredRecord } from './runtime/stored-record.ts'
import type { TaskRuntime } from './runtime/task-runtime.ts'

/** Which tasks can be reached: those that have all that is named. */
export interface Reach {
  readonly owner?: string
  readonly parentId?: string
}

export type TaskPlace =
  | { readonly kind: 'here'; readonly task: LiveTask }
  | { readonly kind: 'elsewhere'; readonly record: StoredRecord; readonly orders: Orders }
  | { readonly kind: 'ended'; readonly record: StoredRecord }

/** What is done to a task, wherever it is. */
export interface ForTask<Result> {
  here(live: LiveTask): Result | Promise<Result>
  /** What the process that runs it is asked to do. It gives the same as `here`, as JSON. */
  elsewhere(record: StoredRecord): TaskOrder
  ended(record: StoredRecord): Result | Promise<Result>
}

/** What is no text names nothing, so ids are taken as they come. */
export interface TaskPlaces {
  /** What is known of a task, be it in the store or not. */
  get(taskId: unknown): Promise<StoredRecord | undefined>
  /** The task if it lives here, its end not yet public included; else what the store has. @throws `task_not_found` */
  requireKnown(taskId: unknown): LiveTask | Promise<StoredRecord>
  /** Where it is, as far as something can be done about it. @throws `task_not_found` */
  require(taskId: unknown): TaskPlace | Promise<TaskPlace>
  /** Does something to it. @throws `task_not_found`, `task_unreachable`, and what is thrown where it is done */
  act<Result>(taskId: unknown, what: ForTask<Result>): Promise<Result>
}

export interface PlacesParts {
  readonly runtime: Pick<TaskRuntime, 'supervisor' | 'membership' | 'whenAllEnded'>
  readonly store: Pick<TaskStore, 'read'>
}

export function createTaskPlaces({ runtime, store }: PlacesParts, reach: Reach): TaskPlaces {
  const { orders, left } = runtime.membership

  const isWithin = (owner: string, parentId: string | undefined): boolean =>
    (reach.owner === undefined || owner === reach.owner) &&
    (reach.parentId === undefined || parentId === reach.parentId)

  const findLive = (taskId: unknown): LiveTask | undefined => {
    const task = typeof taskId === 'string' ? runtime.supervisor.live.get(taskId) : undefined
    return task !== undefined && isNoShadow(task) && isWithin(task.spec.owner, task.parentId) ? task : undefined
  }

  const findStored = async (taskId: unknown): Promise<StoredRecord | undefined> => {
    const record = typeof taskId === 'string' ? await store.read(taskId) : undefined
    return record !== undefined && isWithin(record.owner, record.parentId) ? record : undefined
  }

  const requireStored = async (taskId: unknown): Promise<StoredRecord> => {
    const record = await findStored(taskId)
    if (record === undefined) throw new TaskNotFoundError()
    return record
  }

  const requireNotHere = async (taskId: unknown, ending: LiveTask | undefined): Promise<TaskPlace> => {
    // Of what has just ended here the store knows once its end is public.
    if (ending !== undefined) await runtime.whenAllEnded([ending])
    const record = await requireStored(taskId)
    if (isFinalStatus(record.status)) return { kind: 'ended', record }
    if (orders !== undefined) return { kind: 'elsewhere', record, orders }
    const takenUp = left.whenTakenUp(record.taskId)
    if (takenUp === undefined) return { kind: 'ended', record }
    await takenUp
    return require(taskId)
  }

  const require: TaskPlaces['require'] = (taskId) => {
    const task = findLive(taskId)
    return task !== undefined && task.finalStatus === undefined ? { kind: 'here', task } : requireNotHere(taskId, task)
  }

  return {
    async get(taskId) {
      const live = findLive(taskId)
      const isUnwritten = live !== undefined && live.log === undefined
      return (isUnwritten ? undefined : await findStored(taskId)) ?? (live && toStoredRecord(live, 0))
    },

    requireKnown: (taskId) => findLive(taskId) ?? requireStored(taskId),

    require,

    async act(taskId, what) {
      const found = require(taskId)
      const place = found instanceof Promise ? await found : found
      switch (place.kind) {
        case 'here':
          return what.here(place.task)
        case 'ended':
          return what.ended(place.record)
        case 'elsewhere': {
          const outcome = await place.orders.send(place.record, what.elsewhere(place.record))
          return outcome.kind === 'ended'
            ? what.ended(outcome.record)
            : (outcome.value as Awaited<ReturnType<typeof what.here>>)
        }
      }
    },
  }
}
