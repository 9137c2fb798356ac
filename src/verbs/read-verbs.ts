/** The verbs that only look, at the tasks of one owner, or at all of them. */
import type { StreamOpening, Streams, StreamScope } from '../events/streams.ts'
import { toTaskRecord } from '../events/task-event-view.ts'
import { toListCursor } from '../list-cursor.ts'
import type { Session, StreamFilter } from '../ports/session.ts'
import type { StoredRecord, TaskRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { checkStreamOptions, toListQuery } from '../queries.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import { isNoShadow } from '../runtime/task-status.ts'
import { toStoredRecord } from '../runtime/stored-record.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import { descendantsOf } from '../runtime/tree-index.ts'
import type { TaskPlaces } from '../task-places.ts'

export type ReadVerbs = Pick<Session, 'get' | 'list' | 'events' | 'events$' | 'live$'>

export function createReadVerbs(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly streams: Streams
  readonly places: TaskPlaces
  /** Absent: all owners. */
  readonly owner: string | undefined
}): ReadVerbs {
  const { runtime, store, streams, places, owner } = parts
  const view = (record: StoredRecord): TaskRecord => toTaskRecord(record, store.durability)

  const toStream = (options: StreamFilter | undefined): [StreamScope, StreamOpening] => {
    const { taskId, filter, opening } = checkStreamOptions(options)
    if (taskId === undefined)
      return [owner === undefined ? { kind: 'all', filter } : { kind: 'owner', owner, filter }, opening]
    const authorise = (): void | Promise<void> => {
      const known = places.requireKnown(taskId)
      return known instanceof Promise ? known.then(() => undefined) : undefined
    }
    return [{ kind: 'task', taskId, authorise }, opening]
  }

  const liveTasks = (): readonly LiveTask[] => {
    if (owner === undefined) return [...runtime.supervisor.live.values()]
    const node = runtime.tree.findOwner(owner)
    return node === undefined ? [] : descendantsOf(node)
  }

  return {
    async get(taskId) {
      const record = await places.get(taskId)
      return record && view(record)
    },

    async list(filter) {
      const query = toListQuery(filter, owner)
      const page = await store.list(query)
      const tasks = page.records.map(view)
      return page.next === undefined ? { tasks } : { tasks, next: toListCursor(query.owner ?? '', page.next) }
    },

    events: (options) => streams.iterate(...toStream(options)),

    events$: (options) => streams.observe(...toStream(options)),

    live$: streams.observeLive(owner, () =>
      liveTasks()
        .filter(isNoShadow)
        .map((task) => view(task.log?.committed ?? toStoredRecord(task, 0))),
    ),
  }
}
