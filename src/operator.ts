/** The host's own door: it sees the tasks of all owners, and starts none. */
import type { Observable } from 'rxjs'
import { auditDeliveries, type AuditPage } from './audit.ts'
import { createDeadDeliveries } from './dead-deliveries.ts'
import type { Deliveries } from './delivery/deliveries.ts'
import { TaskError, TaskNotFoundError } from './errors.ts'
import type { StreamOpening, Streams, StreamScope } from './events/streams.ts'
import { toTaskRecord } from './events/task-event-view.ts'
import { toListCursor } from './list-cursor.ts'
import type { CancelOptions, CancelReport } from './ports/task-handle.ts'
import type { StreamItem } from './ports/task-event.ts'
import type { ReconcileReport } from './ports/projection.ts'
import type { StoredRecord, TaskRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'
import { readHealth, type Health } from './health.ts'
import { checkCancelOptions, checkStreamOptions, toListQuery } from './queries.ts'
import { toStoredRecord } from './runtime/stored-record.ts'
import { isNoShadow } from './runtime/task-status.ts'
import type { Projector } from './runtime/projector.ts'
import type { TaskRuntime } from './runtime/task-runtime.ts'
import type { DeadDeliveries, ListFilter, StreamFilter, TaskPage } from './ports/session.ts'
import { readStats, type SupervisorStats } from './stats.ts'

/** What the host may do over all owners. Never hand it to a model or a user. */
export interface Operator {
  get(taskId: string): Promise<TaskRecord | undefined>
  /** Tasks of all owners, or of one, in the order of their creation. @throws `invalid_cursor` */
  list(filter?: ListFilter & { readonly owner?: string }): Promise<TaskPage>
  /** @throws `task_not_found` */
  cancel(taskId: string, options?: CancelOptions): Promise<CancelReport>
  events(options?: StreamFilter): AsyncIterableIterator<StreamItem>
  events$(options?: StreamFilter): Observable<StreamItem>
  readonly live$: Observable<readonly TaskRecord[]>
  /** Whether new work can be taken and kept just now. */
  health(): Health
  /** What could not be delivered, of all owners. */
  readonly deadDeliveries: DeadDeliveries
  /**
   * Where the results of tasks that have ended went, a page of tasks at a time: what was delivered, with its receipt, what is a
   * dead letter, what is still owed, and that nothing is missing. @throws `invalid_cursor`
   */
  audit(options?: { readonly owner?: string; readonly after?: string; readonly limit?: number }): Promise<AuditPage>
  /**
   * Compares the ledger of the `projection` with the store, and syncs what differs. Run it after a crash.
   * @throws `not_allowed` when there is no projection, and what the store throws
   */
  reconcile(): Promise<ReconcileReport>
  /** The numbers over all owners, and everything that was dropped, cut or let go. */
  stats(): Promise<SupervisorStats>
}

export function createOperator(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly streams: Streams
  readonly isOpen: () => boolean
  readonly projector: Projector | undefined
  readonly deliveries: Deliveries
}): Operator {
  const { runtime, store, streams } = parts
  const view = (record: StoredRecord): TaskRecord => toTaskRecord(record, store.durability)

  const toStream = (options: StreamFilter | undefined): [StreamScope, StreamOpening] => {
    const { taskId, filter, opening } = checkStreamOptions(options)
    if (taskId === undefined) return [{ kind: 'all', filter }, opening]
    const authorise = async (): Promise<void> => {
      if (runtime.supervisor.live.has(taskId) || (await store.read(taskId)) !== undefined) return
      throw new TaskNotFoundError()
    }
    return [{ kind: 'task', taskId, authorise }, opening]
  }

  return {
    async get(taskId) {
      const live = runtime.supervisor.live.get(taskId)
      const record = (await store.read(taskId)) ?? (live && toStoredRecord(live, 0))
      return record && view(record)
    },

    async list(filter) {
      const query = toListQuery(filter, undefined)
      const page = await store.list(query)
      const tasks = page.records.map(view)
      return page.next === undefined ? { tasks } : { tasks, next: toListCursor(query.owner ?? '', page.next) }
    },

    async cancel(taskId, options) {
      const { reason, note } = checkCancelOptions(options)
      const cause = { reason, actor: 'operator', ...(note === undefined ? {} : { note }) }
      const live = runtime.supervisor.live.get(taskId)
      if (live !== undefined) return runtime.cancel([live], cause, runtime.runningTask())
      const record = await store.read(taskId)
      if (record === undefined) throw new TaskNotFoundError()
      const outcome = await runtime.membership.orders?.send(record, { verb: 'cancel', cause })
      if (outcome?.kind === 'done') return outcome.value as CancelReport
      return { count: 0, tasks: [{ taskId, status: (outcome?.record ?? record).status }] }
    },

    events: (options) => streams.iterate(...toStream(options)),

    events$: (options) => streams.observe(...toStream(options)),

    get live$() {
      return streams.observeLive(undefined, () =>
        [...runtime.supervisor.live.values()]
          .filter(isNoShadow)
          .map((task) => view(task.log?.committed ?? toStoredRecord(task, 0))),
      )
    },

    health: () =>
      readHealth({
        phase: runtime.supervisor.phase(),
        isOpen: parts.isOpen(),
        writer: runtime.writer,
        membership: runtime.membership,
        projector: parts.projector,
      }),

    deadDeliveries: createDeadDeliveries({
      store,
      deliveries: parts.deliveries,
      owner: undefined,
      actor: () => 'operator',
    }),

    audit: (options) => auditDeliveries(store, options),

    async reconcile() {
      if (parts.projector === undefined) throw new TaskError('not_allowed', 'There is no projection to reconcile.')
      return parts.projector.reconcile()
    },

    async stats() {
      return { ...(await readStats(store, runtime.tree, undefined)), counters: { ...runtime.counters } }
    },
  }
}
