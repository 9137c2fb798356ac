/**
 * The one gate. A session belongs to one owner, and every verb on it sees that owner's tasks only.
 *
 * 1. The owner comes from the host, when the session is made. No argument of a verb can name another.
 * 2. An id that is unknown, foreign, evicted or malformed gets one answer: `get` gives `undefined`, everything else
 *    rejects with the same `TaskNotFoundError`.
 * 3. No verb reaches a task except through `findLive`, `findStored` or a list bound to the owner.
 */
import { isFinalStatus, type StopCause } from '../machines/vocabulary.ts'
import { beginBelow, beginRun, beginSpawn, launch, type Begin, type BeginParts } from './begin-call.ts'
import { createPlainSpecs, type Call, type CallDefaults, type CallPlace, type PlainSpecs } from './call-spec.ts'
import { createDeadDeliveries, toDeliveryRecord } from './dead-deliveries.ts'
import type { Deliveries } from './delivery/deliveries.ts'
import {
  isTaskError,
  ParentStoppingError,
  TaskCancelledError,
  TaskError,
  TaskFailedError,
  TaskNotFoundError,
} from './errors.ts'
import type { StreamOpening, Streams, StreamScope } from './events/streams.ts'
import { toTaskRecord } from './events/task-event-view.ts'
import { createHandle } from './handle.ts'
import { createInboxVerbs } from './inbox-verbs.ts'
import { checkCancelOptions, checkStreamOptions, toListQuery } from './queries.ts'
import { toListCursor } from './list-cursor.ts'
import { badOption, checkBoolean, checkOptionNames, checkText, checkWaitOptions } from './options.ts'
import type { DoorCall, TaskDoor } from './ports/task-door.ts'
import type { CancelReport, Ticket } from './ports/task-handle.ts'
import type { StoredRecord, TaskRecord } from './ports/task-record.ts'
import type { Session, SessionOptions, StreamFilter } from './ports/session.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { LiveTask } from './runtime/live-task.ts'
import type { TaskSpec } from './runtime/task-spec.ts'
import { isNoShadow } from './runtime/task-status.ts'
import type { Redirects } from './runtime/redirects.ts'
import { toStoredRecord } from './runtime/stored-record.ts'
import { createTicket } from './runtime/ticket.ts'
import type { EndOfTask } from './runtime/waits.ts'
import { cancelElsewhere, mergeReports, whenAllKnown } from './cancel-elsewhere.ts'
import { readStats } from './stats.ts'
import { createOnTask } from './task-places.ts'
import { descendantsOf, topTasks } from './runtime/tree-index.ts'

export interface SessionParts extends BeginParts {
  readonly streams: Streams
  readonly redirects: Redirects
  readonly deliveries: Deliveries
  readonly defaults: CallDefaults
}

const MAX_CONVERSATION_CHARS = 256
const MAX_ID_CHARS = 256

export function createSession(
  parts: SessionParts,
  place: {
    readonly owner: string
    readonly options: Partial<SessionOptions>
    /** The task whose code has this session. Absent: the async context tells whose code runs, if any does. */
    readonly inside?: LiveTask | undefined
  },
): Session {
  const { runtime, store, streams, redirects, defaults } = parts
  const { owner, options: given, inside } = place
  const runningTask = (): LiveTask | undefined => inside ?? runtime.runningTask()
  const conversation =
    given.conversation === undefined ? undefined : checkText('conversation', given.conversation, MAX_CONVERSATION_CHARS)
  const origin = given.origin === undefined ? undefined : defaults.targets.resolveFor(owner, given.origin)

  const parentId = given.parentId === undefined ? undefined : checkText('parentId', given.parentId, MAX_ID_CHARS)
  const plainSpecs = createPlainSpecs()

  const findLive = (taskId: unknown): LiveTask | undefined => {
    const task = typeof taskId === 'string' ? runtime.supervisor.live.get(taskId) : undefined
    return task?.spec.owner === owner ? task : undefined
  }

  /** A live task about which something can still be decided; one that is final but not yet public is none. */
  const findOpen = (taskId: unknown): LiveTask | undefined => {
    const live = findLive(taskId)
    return live?.finalStatus === undefined ? live : undefined
  }

  const findStored = async (taskId: unknown): Promise<StoredRecord | undefined> => {
    const record = typeof taskId === 'string' ? await store.read(taskId) : undefined
    return record?.owner === owner ? record : undefined
  }

  const requireStored = async (taskId: unknown): Promise<StoredRecord> => {
    const record = await findStored(taskId)
    if (record === undefined) throw new TaskNotFoundError()
    return record
  }

  /** The record of a task that is not open here; of one that has just ended here, once its end is public. */
  const requireNotHere = async (taskId: unknown): Promise<StoredRecord> => {
    const live = findLive(taskId)
    if (live !== undefined) await runtime.whenAllEnded([live])
    return requireStored(taskId)
  }

  const { orders } = runtime.membership
  const onTask = createOnTask({ findOpen, requireStored: requireNotHere, orders })

  /** Refuses ids that are not the owner's, and makes ephemeral calls that somebody asks about tasks of record. */
  const requireAll = async (taskIds: unknown): Promise<string[]> => {
    if (!Array.isArray(taskIds) || taskIds.length === 0) throw badOption('taskIds', 'a non-empty array of ids', taskIds)
    const unique = [...new Set<unknown>(taskIds)]
    for (const taskId of unique) {
      const live = findLive(taskId)
      if (live === undefined) await requireStored(taskId)
      else runtime.promote(live)
    }
    return unique as string[]
  }

  const whenEnded = async (taskIds: unknown, count: 'any' | 'all', options: unknown): Promise<EndOfTask[]> => {
    const { waitMs, signal } = checkWaitOptions(options, defaults.settings.waitMs)
    const waiter = runningTask()
    const unique = await requireAll(taskIds)
    return runtime.waits.whenEnded(unique, count === 'any' ? 1 : unique.length, { waitMs, signal, waiter })
  }

  const view = (record: StoredRecord): TaskRecord => toTaskRecord(record, store.durability)
  const toResult = (record: StoredRecord): Promise<unknown> => readResult(store, record)

  /** What the store has not got is kept nowhere. */
  const viewEnd = ({ record, isSaved }: EndOfTask): TaskRecord =>
    toTaskRecord(record, isSaved ? store.durability : 'memory')

  /** The most usual wait: on the way to a task that lives here nothing is awaited. */
  const endOf = (taskId: string, options: unknown): Promise<EndOfTask> => {
    const wait = { ...checkWaitOptions(options, defaults.settings.waitMs), waiter: runningTask() }
    const live = findLive(taskId)
    if (live === undefined) return requireStored(taskId).then(() => runtime.waits.whenOneEnded(taskId, wait))
    runtime.promote(live)
    return runtime.waits.whenOneEnded(taskId, wait)
  }

  const actorOf = (from: LiveTask | undefined): string => (from?.spec.owner === owner ? from.taskId : owner)

  const toCause = (options: unknown, from: LiveTask | undefined): StopCause => {
    const { reason, note } = checkCancelOptions(options)
    return { reason, actor: actorOf(from), ...(note === undefined ? {} : { note }) }
  }

  const toStream = (options: StreamFilter | undefined): [StreamScope, StreamOpening] => {
    const { taskId, filter, opening } = checkStreamOptions(options)
    if (taskId === undefined) return [{ kind: 'owner', owner, filter }, opening]
    const authorise = (): void | Promise<void> =>
      findLive(taskId) === undefined ? requireStored(taskId).then(() => undefined) : undefined
    return [{ kind: 'task', taskId, authorise }, opening]
  }

  const outside: CallPlace = { owner, conversation, origin, parent: undefined, plainSpecs }

  /** A call made inside a task of the same owner joins that task's tree. */
  const here = (): CallPlace => {
    const running = runningTask()
    return running?.spec.owner === owner ? { ...outside, parent: running, plainSpecs: undefined } : outside
  }

  const begin = { run: beginRun(parts, () => session), spawn: beginSpawn(parts, () => session) }

  const start = <Result>(call: Call, beginCall: Begin<Result>): Promise<Result> =>
    parentId === undefined ? launch(parts, call, here, beginCall) : startBelow(parentId, call, beginCall)

  const startBelow = async <Result>(above: string, call: Call, beginCall: Begin<Result>): Promise<Result> => {
    const live = findOpen(above)
    if (live !== undefined)
      return launch(parts, call, () => ({ ...outside, parent: live, plainSpecs: undefined }), beginCall)
    const record = await requireNotHere(above)
    if (isFinalStatus(record.status)) throw new ParentStoppingError(above)
    const there = { ...outside, above: record, plainSpecs: undefined }
    return launch(parts, call, () => there, beginBelow(parts, record, beginCall))
  }

  const verbs = createInboxVerbs({
    runtime,
    owner,
    waitMs: defaults.settings.waitMs,
    onTask,
    runningTask,
  })

  const session: Session = {
    owner,

    run: ((tool: unknown, input: unknown, options: unknown) =>
      start({ kind: 'run', tool, input, options }, begin.run)) as Session['run'],

    spawn: ((tool: unknown, input: unknown, options: unknown) =>
      start({ kind: 'spawn', tool, input, options }, begin.spawn)) as Session['spawn'],

    async get(taskId) {
      const live = findLive(taskId)
      const stored = live?.log === undefined && live !== undefined ? undefined : await findStored(taskId)
      const record = stored ?? (live && toStoredRecord(live, 0))
      return record && view(record)
    },

    // What is no text names nothing: an absent id must not turn into the stream of everything.
    handle: (taskId: unknown) => createHandle(session, typeof taskId === 'string' ? taskId : ''),

    async list(filter) {
      const page = await store.list(toListQuery(filter, owner))
      const tasks = page.records.map(view)
      return page.next === undefined ? { tasks } : { tasks, next: toListCursor(owner, page.next) }
    },

    wait: async (taskId, options) => viewEnd(await endOf(taskId, options)),

    async waitAny(taskIds, options) {
      const [first] = await whenEnded(taskIds, 'any', options)
      if (first === undefined) throw new TaskNotFoundError()
      return viewEnd(first)
    },

    waitAll: async (taskIds, options) => (await whenEnded(taskIds, 'all', options)).map(viewEnd),

    result: async (taskId, options) => toResult((await endOf(taskId, options)).record),

    async cancel(taskId, options) {
      const from = runningTask()
      const cause = toCause(options, from)
      return onTask<CancelReport>(taskId, {
        here: (live) => runtime.cancel([live], cause, from),
        elsewhere: () => ({ verb: 'cancel', cause }),
        ended: ({ status }) => ({ count: 0, tasks: [{ taskId, status }] }),
      })
    },

    async cancelAll(options) {
      const { runId, ...rest } = checkOptionNames('options', options, ['runId', 'reason', 'note'])
      const from = runningTask()
      const cause = toCause(rest, from)
      const checkedRunId = runId === undefined ? undefined : checkText('runId', runId, MAX_CONVERSATION_CHARS)
      if (checkedRunId !== undefined) runtime.closeRun(owner, checkedRunId)
      const here = runtime.cancel(topTasks(runtime.tree, owner, checkedRunId), cause, from)
      if (orders === undefined) return here
      const elsewhere = cancelElsewhere({ store, orders }, { owner, runId: checkedRunId }, cause)
      return mergeReports(await whenAllKnown([here, elsewhere]))
    },

    async redirect(taskId, target, options) {
      const { again } = checkOptionNames('options', options, ['again'])
      const isAgain = again === undefined ? false : checkBoolean('again', again)
      const checked = (): string => defaults.targets.resolveFor(owner, target)
      await onTask<unknown>(taskId, {
        here: (live) => runtime.redirect(live, checked()),
        elsewhere: () => ({ verb: 'redirect', target: checked() }),
        ended: (record) => redirects.redirectFinal(record, checked(), isAgain),
      })
    },

    async answer(taskId, key, value) {
      const actor = actorOf(runningTask())
      await onTask<unknown>(taskId, {
        here: (live) => runtime.answer(live, { key, value, actor }),
        elsewhere: () => ({ verb: 'answer', key, value, actor }),
        ended: () => {
          throw new TaskError('task_final', 'The task has ended.', { taskId })
        },
      })
    },

    send: verbs.send,

    get inbox() {
      return verbs.inbox()
    },

    get deadLetters() {
      return verbs.deadLetters()
    },

    whenIdle: verbs.whenIdle,

    async background(taskId) {
      const toTicket = (record: StoredRecord): Ticket =>
        createTicket(record, { isSaved: true, durability: store.durability })
      return onTask<Ticket>(taskId, {
        here: (live) => runtime.background(live),
        elsewhere: () => ({ verb: 'background' }),
        ended: toTicket,
      })
    },

    async attach(taskId, options) {
      const { waitMs, signal } = checkWaitOptions(options, defaults.settings.waitMs)
      signal?.throwIfAborted()
      const live = findOpen(taskId)
      if (live !== undefined) return runtime.attach(live, { waitMs, signal, waiter: runningTask() })
      const stored = await requireNotHere(taskId)
      try {
        const { record, isSaved } = isFinalStatus(stored.status)
          ? { record: stored, isSaved: true }
          : await endOf(taskId, { waitMs, ...(signal && { signal }) })
        const persisted = isSaved && store.durability !== 'memory'
        return { kind: 'inline', value: await toResult(record), persisted, taskId }
      } catch (error) {
        if (!isTaskError(error, 'wait_timeout')) throw error
        return { kind: 'background', ticket: await session.background(taskId) }
      }
    },

    events: (options) => streams.iterate(...toStream(options)),

    events$: (options) => streams.observe(...toStream(options)),

    get live$() {
      return streams.observeLive(owner, () => {
        const node = runtime.tree.findOwner(owner)
        return node === undefined
          ? []
          : descendantsOf(node)
              .filter(isNoShadow)
              .map((task) => view(task.log?.committed ?? toStoredRecord(task, 0)))
      })
    },

    async deliveries(taskId) {
      if (findLive(taskId) === undefined) await requireStored(taskId)
      return (await store.readOutbox(taskId)).map(toDeliveryRecord)
    },

    deadDeliveries: createDeadDeliveries({
      store,
      deliveries: parts.deliveries,
      owner,
      actor: () => actorOf(runningTask()),
    }),

    stats: () => readStats(store, runtime.tree, owner),

    async hasRunning() {
      // Those of this process are known without the store, which a promotion may just be on its way to.
      if ((runtime.tree.findOwner(owner)?.childCount ?? 0) > 0) return true
      const { live } = await readStats(store, runtime.tree, owner)
      return live > 0
    },
  }
  return session
}

/**
 * The door behind `ctx.run` and `ctx.spawn`: calls of the task's own owner, in its conversation, with the task as their
 * parent. Nothing a task's code says can choose another.
 */
export function createDoor(parts: SessionParts): TaskDoor {
  const { runtime } = parts
  const sessions = new WeakMap<object, Session>()
  /** By what the parent asked for: it has the owner, the conversation and the origin of its children. */
  const plainSpecs = new WeakMap<TaskSpec, PlainSpecs>()

  const plainSpecsBelow = (spec: TaskSpec): PlainSpecs => {
    const known = plainSpecs.get(spec) ?? createPlainSpecs()
    plainSpecs.set(spec, known)
    return known
  }

  /**
   * What a task's code waits for through a handle counts as its own wait. Where no async context tells whose code runs,
   * the session has to.
   */
  const sessionOf = (parentId: string, owner: string): Session => {
    const inside = runtime.isAmbient ? undefined : runtime.supervisor.live.get(parentId)
    const key = inside ?? runtime.tree.requireOwner(owner)
    const known = sessions.get(key) ?? createSession(parts, { owner, options: {}, inside })
    sessions.set(key, known)
    return known
  }

  const placeOf = (call: DoorCall) => (): CallPlace => {
    const parent = runtime.supervisor.live.get(call.parentId)
    if (parent === undefined) throw new ParentStoppingError(call.parentId)
    const { owner, conversation, origin } = parent.spec
    return { owner, conversation, origin, parent, plainSpecs: plainSpecsBelow(parent.spec) }
  }

  return {
    async answer({ parentId, owner, childId, key, value }) {
      const live = runtime.supervisor.live.get(childId)
      const found = live?.finalStatus === undefined ? live : undefined
      if (found?.parentId === parentId) return runtime.answer(found, { key, value, actor: parentId })
      if (live?.parentId === parentId) await runtime.whenAllEnded([live])
      const stored = typeof childId === 'string' ? await parts.store.read(childId) : undefined
      if (stored?.owner !== owner || stored.parentId !== parentId) throw new TaskNotFoundError()
      throw new TaskError('task_final', 'The task has ended.', { taskId: childId })
    },
    run: (call) => {
      const begin = beginRun(parts, () => sessionOf(call.parentId, call.owner))
      return launch(parts, { kind: 'run', ...call }, placeOf(call), begin)
    },
    spawn: (call) => {
      const begin = beginSpawn(parts, () => sessionOf(call.parentId, call.owner))
      return launch(parts, { kind: 'spawn', ...call }, placeOf(call), begin)
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
