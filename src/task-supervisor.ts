/** The composition root: the one file that knows every part. */
import type { CallDefaults } from './calls/call-spec.ts'
import { createPrepareTask } from './calls/prepare-task.ts'
import { createRecall } from './calls/recall.ts'
import { createDeliveries } from './delivery/deliveries.ts'
import { createPresence } from './delivery/presence.ts'
import { createRender } from './delivery/render.ts'
import { createHub } from './events/hub.ts'
import { createNews, NO_NEWS } from './events/news.ts'
import { createStreams } from './events/streams.ts'
import { toTaskRecord } from './events/task-event-view.ts'
import { createOperator, type Operator } from './operator.ts'
import { checkDuration, checkOptionNames, checkOwner } from './options.ts'
import { createOwnerless } from './ownerless.ts'
import type { Session, SessionOptions } from './ports/session.ts'
import type { TaskDoor } from './ports/task-door.ts'
import type { StoredRecord, TaskRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'
import { createOpenedStore } from './runtime/cluster/opened-store.ts'
import { createCounters } from './runtime/counters.ts'
import { createDeadlines } from './runtime/deadlines.ts'
import { createProjector } from './runtime/projector.ts'
import { createRedirects } from './runtime/redirects.ts'
import { createShutdown, type ShutdownReport } from './runtime/shutdown.ts'
import type { SupervisorActor } from './runtime/supervisor-actor.ts'
import { createTaskRuntime } from './runtime/task-runtime.ts'
import { createSession } from './session.ts'
import { createSteering } from './verbs/steering.ts'
import { checkSupervisorOptions, type TaskSupervisorOptions } from './supervisor-options.ts'
import { createTaskDoor } from './task-door.ts'

export interface ShutdownOptions {
  /** How long live tasks may go on before they are cancelled, in milliseconds. @defaultValue the supervisor's `graceMs` */
  readonly graceMs?: number
}

/**
 * Runs tools as supervised tasks. It has the verbs of a session itself, for the owner `local`, as long as the store is
 * in memory and no channel is set up; otherwise an owner has to be named with `session`.
 */
export interface TaskSupervisor extends Session, AsyncDisposable {
  /**
   * Opens the store and takes over what dead processes have left. Calling it is optional: the first use does the same, and
   * goes on trying when the store does not answer.
   * @throws what is wrong with the store
   */
  start(): Promise<void>
  /** The door of one owner. @throws TypeError for an owner that is none, `target_invalid` */
  session(options: SessionOptions): Session
  /** The host's own door, over all owners. */
  readonly operator: Operator
  /** The root actor, for inspection. */
  readonly actor: SupervisorActor['ref']
  /**
   * Takes no new work, lets live tasks end for `graceMs`, leaves what may run again to other processes, cancels the rest and
   * waits for its end, flushes and stops. Takes at most `graceMs`, twice the supervisor's own `graceMs` and five times
   * `commitWaitMs`. Calling it again gives the same
   * promise. `shutdownOnSignals` calls it when the process is told to end.
   * @throws `not_allowed` when called from a task's own code
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>
}

const LOCAL_OWNER = 'local'

/**
 * Makes a supervisor. It opens by itself with the first call.
 *
 * @throws TypeError naming the option and the value it got; `target_invalid`
 * @example
 * ```ts
 * import { createTaskSupervisor } from 'outlive'
 *
 * const tasks = createTaskSupervisor({ inlineMs: 50 })
 * const outcome = await tasks.run(async (n: number) => n + 1, 41)
 * console.log(outcome) // { kind: 'inline', value: 42, persisted: false }
 * await tasks.shutdown()
 * ```
 */
export function createTaskSupervisor(options: TaskSupervisorOptions = {}): TaskSupervisor {
  const checked = checkSupervisorOptions(options)
  const { settings, channels, targets, deliverTo, notices, context, memoise, store: given, toolbox } = checked
  const { logger, clock, createId, random01, projection, inspect } = checked

  const counters = createCounters()
  const reportError = (error: unknown): void => {
    counters.subscriberErrors += 1
    logger.error({ error }, 'a subscriber threw')
  }
  const deadlines = createDeadlines(clock, reportError)
  const hasToOpen = given.open !== undefined || given.cluster !== undefined || given.durability !== 'memory'
  const { store, unlimited, open, isOpen } = createOpenedStore({
    store: given,
    clock,
    deadlines,
    prepare: hasToOpen ? (direct) => prepare(direct) : undefined,
    onOpen: () => runtime.membership.begin(),
  })
  const prepare = async (direct: TaskStore): Promise<void> => {
    for (const warning of (await given.open?.()) ?? []) logger.warn({}, warning)
    await runtime.membership.join(direct)
  }
  const news =
    store.cluster === undefined ? NO_NEWS : createNews({ store, cluster: store.cluster, deadlines, reportError })
  const hub = createHub({
    incarnation: () => store.incarnation,
    isLive: (taskId) => runtime.supervisor.live.has(taskId),
    runOutside: context.runOutside,
    reportError,
  })
  const runtime = createTaskRuntime({
    store,
    unlimited,
    clock,
    deadlines,
    createId,
    random01,
    logger,
    settings,
    hub,
    counters,
    ambient: context,
    memoise,
    inspect,
    door: () => door,
    news,
    goOnWith: async (entry) => {
      const delivery = await deliveries.adopt(entry)
      // Its task has ended.
      if (entry.kind !== 'end') delivery?.withdraw()
      return delivery !== undefined
    },
    recall: createRecall(toolbox.named),
    reportError,
  })
  const view = (record: StoredRecord): TaskRecord => toTaskRecord(record, store.durability)
  const deliveries = createDeliveries({
    targets,
    store,
    clock,
    deadlines,
    logger,
    settings: { digestMs: notices.digestMs, commitWaitMs: settings.commitWaitMs, ...settings.delivery },
    random01,
    createId,
    nodeId: runtime.membership.nodeId,
    render: createRender({ notices, view, logger }),
    publish: (entries) => void (hub.hasListeners() && hub.publish(entries)),
    runOutside: context.runOutside,
    onSettled: () => runtime.retention.noteEnd(),
    onRetried: () => (counters.retriedDeliveries += 1),
    onFailed: () => (counters.failedDeliveries += 1),
    onStoreError: () => (counters.storeErrors += 1),
  })
  runtime.journal.onCommitted(({ outbox }) => deliveries.take(outbox))
  const presence = createPresence({
    channels,
    deliveries,
    store,
    deadlines,
    tellsStarts: notices.start,
    showsTyping: notices.typing,
    runOutside: context.runOutside,
    onError: (error, taskId) => logger.warn({ taskId, error }, 'the start of a task could not be told'),
  })
  if (presence.isNeeded) runtime.journal.onCommitted(({ record }) => presence.note(record))
  const projector =
    projection === undefined
      ? undefined
      : createProjector({
          projection,
          store,
          deadlines,
          logger,
          counters,
          random01,
          runOutside: context.runOutside,
          view,
        })
  if (projector !== undefined) runtime.journal.onCommitted(({ record }) => projector.note(record))
  const redirects = createRedirects({
    store,
    deadlines,
    clock,
    createId,
    commitWaitMs: settings.commitWaitMs,
    nodeId: runtime.membership.nodeId,
    write: runtime.writer.write,
    noteCommitted: runtime.journal.noteCommitted,
    send: deliveries.take,
  })
  const steering = createSteering({ runtime, store, redirects })
  const streams = createStreams({
    store,
    hub,
    news,
    whenOpen: () => (isOpen() ? undefined : open()),
    clock,
    deadlines,
    maxBufferedEvents: settings.maxBufferedEvents,
    onCut: () => (counters.cutConsumers += 1),
    onGap: () => (counters.gaps += 1),
    reportError,
  })

  const defaults: CallDefaults = { settings, targets, deliverTo, toolbox }
  const parts = {
    runtime,
    store,
    streams,
    steering,
    deliveries,
    defaults,
    prepare: createPrepareTask(projection, store),
    createId,
  }
  const door: TaskDoor = createTaskDoor(parts)
  const shutDown = createShutdown({
    runtime,
    clock,
    deadlines,
    logger,
    settings,
    reportError,
    whenDelivered: async () => void (await Promise.all([deliveries.whenIdle(), projector?.whenInStep()])),
    stopDeliveries: () => {
      const behind = projector?.close() ?? 0
      if (behind > 0) logger.error({ count: behind }, 'the supervisor stopped while its ledger was behind')
      presence.stop()
      return deliveries.stop()
    },
    closeStore: async () => {
      news.close()
      await store.close()
    },
  })
  // No async function: that would give each caller a promise of its own.
  const shutdown = (given?: ShutdownOptions): Promise<ShutdownReport> => {
    try {
      const { graceMs } = checkOptionNames('options', given, ['graceMs'])
      return shutDown(graceMs === undefined ? settings.graceMs : checkDuration('graceMs', graceMs))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  const isLocal = given.durability === 'memory' && channels.size === 0
  const createLocal = (): Session => createSession(parts, { owner: LOCAL_OWNER, options: {} })
  const own = isLocal ? createLocal() : createOwnerless(createLocal)

  return Object.defineProperties(own, {
    [Symbol.asyncDispose]: { value: async () => void (await shutdown()) },
    ...describe({
      start: open,
      session(given: SessionOptions) {
        const checked = checkOptionNames('options', given, ['owner', 'origin', 'conversation', 'parentId'])
        return createSession(parts, { owner: checkOwner(checked['owner']), options: given })
      },
      operator: createOperator({ runtime, store, streams, steering, isOpen, projector, deliveries }),
      actor: runtime.supervisor.ref,
      shutdown,
    }),
  }) as TaskSupervisor
}

function describe(members: object): PropertyDescriptorMap {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, { value: value as unknown, enumerable: true }]),
  )
}
