/** The host's own door: it sees the tasks of all owners, and starts none. */
import type { Observable } from 'rxjs'
import { auditDeliveries, type AuditPage } from './audit.ts'
import { createDeadDeliveries } from './dead-deliveries.ts'
import type { Deliveries } from './delivery/deliveries.ts'
import { TaskError } from './errors.ts'
import type { Streams } from './events/streams.ts'
import type { CancelOptions, CancelReport } from './ports/task-handle.ts'
import type { StreamItem } from './ports/task-event.ts'
import type { ReconcileReport } from './ports/projection.ts'
import type { TaskRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'
import { readHealth, type Health } from './health.ts'
import { checkCancelOptions } from './queries.ts'
import { createReadVerbs } from './verbs/read-verbs.ts'
import type { Projector } from './runtime/projector.ts'
import type { TaskRuntime } from './runtime/task-runtime.ts'
import type { DeadDeliveries, ListFilter, StreamFilter, TaskPage } from './ports/session.ts'
import { readStats, type SupervisorStats } from './stats.ts'
import type { Steering } from './verbs/steering.ts'
import { createTaskPlaces } from './task-places.ts'

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
  readonly steering: Steering
  readonly isOpen: () => boolean
  readonly projector: Projector | undefined
  readonly deliveries: Deliveries
}): Operator {
  const { runtime, store, streams, steering } = parts
  const places = createTaskPlaces(parts, {})
  const reads = createReadVerbs({ runtime, store, streams, places, owner: undefined })

  return {
    async cancel(taskId, options) {
      const { reason, note } = checkCancelOptions(options)
      const cause = { reason, actor: 'operator', ...(note === undefined ? {} : { note }) }
      return places.act(taskId, steering.cancel(cause, runtime.runningTask()))
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
      places,
      owner: undefined,
      actor: () => 'operator',
    }),

    audit: (options) => auditDeliveries(store, options),

    async reconcile() {
      if (parts.projector === undefined) throw new TaskError('not_allowed', 'There is no projection to reconcile.')
      return parts.projector.reconcile()
    },

    async stats() {
      return { counters: { ...runtime.counters }, ...(await readStats(store, runtime.tree, undefined)) }
    },

    ...reads,
  }
}
