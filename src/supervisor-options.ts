/** The options of a supervisor: what a host may say, and what is made of it. */
import { memoryStore } from './adapters/memory/memory-store.ts'
import { consoleLogger } from './adapters/system/console-logger.ts'
import { randomId } from './adapters/system/random-id.ts'
import { systemClock } from './adapters/system/system-clock.ts'
import { toNoticeSettings, type CheckedNotices, type NoticeOptions } from './delivery/notice-settings.ts'
import { createTargets, toChannelMap, toTargets, type DeliveryPolicy, type Targets } from './delivery/targets.ts'
import { badOption, checkBoolean, checkChoice, checkFunction, checkOptionNames, orDefault } from './options.ts'
import type { Channel } from './ports/channel.ts'
import type { Clock } from './ports/clock.ts'
import type { IdSource } from './ports/id-source.ts'
import type { Logger } from './ports/logger.ts'
import type { Projection } from './ports/projection.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { AnyToolDefinition } from './ports/tool.ts'
import { ambient, explicit, type Ambient } from './runtime/ambient.ts'
import type { Inspector } from './runtime/supervisor-actor.ts'
import { SETTINGS_NAMES, toSettings, type Settings, type SettingsOptions } from './settings.ts'
import { createToolbox, type Toolbox } from './tool.ts'

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

/** All of it, checked and complete. */
export interface SupervisorParts {
  readonly settings: Settings
  readonly channels: ReadonlyMap<string, Channel>
  readonly targets: Targets
  readonly deliverTo: readonly string[]
  readonly notices: CheckedNotices
  readonly context: Ambient
  readonly memoise: boolean
  readonly store: TaskStore
  readonly toolbox: Toolbox
  /** It never throws. */
  readonly logger: Logger
  readonly clock: Clock
  readonly createId: IdSource
  readonly random01: () => number
  readonly projection: Projection | undefined
  readonly inspect: Inspector | undefined
}

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

/** @throws TypeError naming the option and the value it got; `target_invalid` */
export function checkSupervisorOptions(options: TaskSupervisorOptions): SupervisorParts {
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
  const store = checkMethods('store', options.store === undefined ? memoryStore() : options.store, STORE_METHODS)
  const toolbox = createToolbox(options.tools === undefined ? [] : options.tools)
  if (settings.retention.oversizeResult === 'spill' && store.durability === 'memory') {
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
  return {
    settings,
    channels,
    targets,
    deliverTo,
    notices,
    context: lineage === 'ambient' ? ambient : explicit,
    memoise,
    store,
    toolbox,
    logger,
    clock,
    createId,
    random01,
    projection,
    inspect,
  }
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
