/** The composition root: the one file that knows every part. */
import { memoryStore } from './adapters/memory/memory-store.ts'
import { consoleLogger } from './adapters/system/console-logger.ts'
import { randomId } from './adapters/system/random-id.ts'
import { systemClock } from './adapters/system/system-clock.ts'
import { toTargets, type CallDefaults } from './call-spec.ts'
import { createDeliveries } from './delivery/deliveries.ts'
import { toNoticeSettings, type NoticeOptions } from './delivery/notice-settings.ts'
import { createPresence } from './delivery/presence.ts'
import { createRender } from './delivery/render.ts'
import { createTargets, toChannelMap, type DeliveryPolicy } from './delivery/targets.ts'
import { TaskError } from './errors.ts'
import { createHub } from './events/hub.ts'
import { createNews, NO_NEWS } from './events/news.ts'
import { createStreams } from './events/streams.ts'
import { createOperator, type Operator } from './operator.ts'
import {
  badOption,
  checkBoolean,
  checkChoice,
  checkDuration,
  checkFunction,
  checkOptionNames,
  checkOwner,
  orDefault,
  SETTINGS_NAMES,
  toSettings,
  type SettingsOptions,
} from './options.ts'
import type { Channel } from './ports/channel.ts'
import type { Clock } from './ports/clock.ts'
import type { IdSource } from './ports/id-source.ts'
import type { Logger } from './ports/logger.ts'
import type { Projection } from './ports/projection.ts'
import type { TaskDoor } from './ports/task-door.ts'
import type { StoredRecord, TaskRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { AnyToolDefinition } from './ports/tool.ts'
import { ambient, explicit } from './runtime/ambient.ts'
import { createCounters } from './runtime/counters.ts'
import { createDeadlines } from './runtime/deadlines.ts'
import { toTaskRecord } from './events/task-event-view.ts'
import { createProjector } from './runtime/projector.ts'
import { createRedirects } from './runtime/redirects.ts'
import { createShutdown, type ShutdownReport } from './runtime/shutdown.ts'
import type { Inspector, SupervisorActor } from './runtime/supervisor-actor.ts'
import { createTaskRuntime } from './runtime/task-runtime.ts'
import { createPrepareTask } from './prepare-task.ts'
import { createRecall } from './recall.ts'
import { createOpenedStore } from './runtime/cluster/opened-store.ts'
import { createSession } from './session.ts'
import { createSteering } from './steering.ts'
import { createTaskDoor } from './task-door.ts'
import { toToolMap } from './tool.ts'
import type { Session, SessionOptions } from './ports/session.ts'

export interface TaskSupervisorOptions extends SettingsOptions {
  /** Where tasks of record are kept. @defaultValue a store in memory */
  readonly store?: TaskStore
  /**
   * Tools that may run again in another process (`recovery: 'rerun'`), by their names: every process that has the store
   * should know the same. @defaultValue none
   */
  readonly tools?: readonly AnyToolDefinition[]
  /** Where results may go, by the name that targets use. @defaultValue none */
  readonly channels?: Readonly<Record<string, Channel>>
  /** Where results of root tasks go when neither the call nor the session's origin says so: to all of these. */
  readonly deliverTo?: string | readonly string[]
  /**
   * Which owner may have results sent where: `true` allows it. Asked when a target is set, and again before each attempt; a
   * target that is refused then is a dead letter. @defaultValue every owner may use every channel
   */
  readonly mayDeliver?: DeliveryPolicy
  /**
   * What people are told, and how much of it.
   * @defaultValue `{ maxChars: 9_000, maxMessages: 5, typing: true, digestMs: 0 }`
   */
  readonly notices?: NoticeOptions
  /** A ledger of the host's own, which mirrors every change of its tasks. @defaultValue none */
  readonly projection?: Projection
  /**
   * `ambient`: a call made anywhere below a task's code becomes its child. `explicit`: only calls on its context do, and
   * the async context of the process is left alone.
   * @defaultValue 'ambient'
   */
  readonly lineage?: 'ambient' | 'explicit'
  /** Answer plain chart transitions from a table. An inspector switches it off. @defaultValue true */
  readonly memoise?: boolean
  /** Called with everything that the actors do, as XState reports it. */
  readonly inspect?: Inspector
  /** Any pino-shaped logger. @defaultValue the console */
  readonly logger?: Logger
  /** For tests. @defaultValue the clock of the process */
  readonly clock?: Clock
  /** For tests: ids of tasks and deliveries. @defaultValue 22 random characters */
  readonly createId?: IdSource
  /** For tests: a number in [0, 1) for the jitter of retried commits. @defaultValue `Math.random` */
  readonly random01?: () => number
}

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

const STORE_METHODS = [
  'commit',
  'read',
  'list',
  'count',
  'readEvents',
  'readFeed',
  'lastPosition',
  'claimedBy',
  'readAttachment',
  'readOutbox',
  'listDeliveries',
  'putDelivery',
  'prune',
  'close',
] as const

const OPTION_NAMES = [
  ...SETTINGS_NAMES,
  'store',
  'tools',
  'channels',
  'deliverTo',
  'mayDeliver',
  'notices',
  'projection',
  'lineage',
  'memoise',
  'inspect',
  'logger',
  'clock',
  'createId',
  'random01',
]

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
  checkOptionNames('options', options, OPTION_NAMES)
  const settings = toSettings(options)
  const channels = toChannelMap(
    checkOptionNames('channels', options.channels, Object.keys(options.channels ?? {})) as Record<string, Channel>,
  )
  const mayDeliver = options.mayDeliver === undefined ? undefined : checkFunction('mayDeliver', options.mayDeliver)
  const targets = createTargets(channels, mayDeliver)
  const deliverTo = toTargets(options.deliverTo === undefined ? [] : options.deliverTo, targets.resolve)
  const notices = toNoticeSettings('notices', options.notices)
  const lineage = checkChoice('lineage', orDefault(options.lineage, 'ambient'), ['ambient', 'explicit'])
  const memoise = checkBoolean('memoise', orDefault(options.memoise, true))
  const given = checkMethods('store', options.store === undefined ? memoryStore() : options.store, STORE_METHODS)
  const tools = toToolMap(options.tools === undefined ? [] : options.tools)
  if (settings.retention.oversizeResult === 'spill' && given.durability === 'memory') {
    throw badOption('retention.oversizeResult', "'fail' or 'truncate' with a store in memory", 'spill')
  }
  const logger = toSafeLogger(checkMethods('logger', orDefault(options.logger, consoleLogger), ['warn', 'error']))
  const clock = checkMethods('clock', orDefault(options.clock, systemClock), [
    'now',
    'monotonicMs',
    'startTimer',
    'soon',
  ])
  const createId = checkFunction('createId', orDefault(options.createId, randomId))
  const random01 = checkFunction('random01', orDefault(options.random01, Math.random))

  const projection = options.projection === undefined ? undefined : checkProjection(options.projection)
  const inspect = options.inspect === undefined ? undefined : checkInspector(options.inspect)

  const counters = createCounters()
  const reportError = (error: unknown): void => {
    counters.subscriberErrors += 1
    logger.error({ error }, 'a subscriber threw')
  }
  const deadlines = createDeadlines(clock, reportError)
  const context = lineage === 'ambient' ? ambient : explicit
  const hasToOpen = given.open !== undefined || given.cluster !== undefined || given.durability !== 'memory'
  const { store, unlimited, open, isOpen } = createOpenedStore({
    store: given,
    clock,
    deadlines,
    prepare: hasToOpen ? () => prepare() : undefined,
    onOpen: () => runtime.membership.begin(),
  })
  const prepare = async (): Promise<void> => {
    for (const warning of (await given.open?.()) ?? []) logger.warn({}, warning)
    await runtime.membership.join()
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
    recall: createRecall(tools),
    reportError,
  })
  const view = (record: StoredRecord): TaskRecord => toTaskRecord(record, store.durability)
  const deliveries = createDeliveries({
    targets,
    store,
    clock,
    deadlines,
    logger,
    settings: { ...settings.delivery, digestMs: notices.digestMs },
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
    clock,
    createId,
    nodeId: runtime.membership.nodeId,
    noteCommitted: runtime.journal.noteCommitted,
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

  const defaults: CallDefaults = { settings, targets, deliverTo, tools }
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
  const own = isLocal
    ? createLocal()
    : (Object.defineProperties({}, (refusals ??= refuseAll(createLocal()))) as Session)

  return Object.defineProperties(own, {
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
    [Symbol.asyncDispose]: { value: async () => void (await shutdown()) },
  }) as TaskSupervisor
}

function describe(members: object): PropertyDescriptorMap {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, { value: value as unknown, enumerable: true }]),
  )
}

/** The verbs of a session that has no owner: the same for every supervisor, so they are made once. */
let refusals: PropertyDescriptorMap | undefined

/** Each says what is missing. */
function refuseAll(session: Session): PropertyDescriptorMap {
  const error = (): TaskError => new TaskError('not_allowed', 'An owner is needed here: use tasks.session({ owner }).')
  const verbs = Object.keys(session).map((name): [string, PropertyDescriptor] => {
    const descriptor = Object.getOwnPropertyDescriptor(session, name)
    const throws = (): never => {
      throw error()
    }
    if (typeof descriptor?.value !== 'function') return [name, { get: throws, enumerable: false }]
    const isSynchronous = name === 'handle' || name.startsWith('events')
    return [name, { value: isSynchronous ? throws : () => Promise.reject(error()), enumerable: true }]
  })
  return Object.fromEntries(verbs)
}

/** A logger that throws has nobody to report it to, and must not break what it was told about. */
function toSafeLogger(logger: Logger): Logger {
  const log =
    (level: keyof Logger): Logger['warn'] =>
    (fields, message) => {
      try {
        logger[level](fields, message)
      } catch {
        // The one place to report it is the one that failed.
      }
    }
  return { warn: log('warn'), error: log('error') }
}

/** An observer, or the function that is its `next`. */
function checkInspector(inspect: Inspector): Inspector {
  return typeof inspect === 'function' ? inspect : checkMethods('inspect', inspect, ['next'])
}

function checkProjection(projection: Projection): Projection {
  checkMethods('projection', projection, ['sync'])
  for (const name of ['prepare', 'statusOf'] as const) {
    if (projection[name] !== undefined) checkFunction(`projection.${name}`, projection[name])
  }
  return projection
}

function checkMethods<Part extends object>(name: string, part: Part, methods: readonly (keyof Part & string)[]): Part {
  if (typeof part !== 'object' || part === null) throw badOption(name, 'an object', part)
  for (const method of methods) {
    if (typeof part[method] !== 'function') throw badOption(`${name}.${method}`, 'a function', part[method])
  }
  return part
}
