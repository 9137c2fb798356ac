/** The settings of a supervisor, checked and complete. */
import type { AdmissionLimits } from '../machines/policies/admission.ts'
import type { DeliveryLimits } from '../machines/policies/delivery.ts'
import type { InboxLimits } from '../machines/policies/inbox.ts'
import type { FreshEventsPolicy, RetentionPolicy } from '../machines/policies/retention.ts'
import {
  badOption,
  checkChoice,
  checkDuration,
  checkLimit,
  checkOptionNames,
  checkWhole,
  orDefault,
} from './options.ts'

/** What is kept of ended tasks and of fresh events. */
export interface RetentionOptions extends Partial<RetentionPolicy>, Partial<FreshEventsPolicy> {
  /** The largest result that is kept, in bytes of JSON. */
  readonly maxResultBytes?: number
  /**
   * What becomes of a larger one. `fail`: its task fails with `result_too_large`. `truncate`: of a string the beginning is
   * kept, with a mark that says how much was left out, and the record is `truncated`; anything else fails. `spill`: it is
   * kept beside its record, up to 64 MiB, and read when it is asked for; for stores that outlive the process.
   */
  readonly oversizeResult?: 'fail' | 'truncate' | 'spill'
}

/** The settings of a supervisor, complete. */
export interface Settings {
  readonly inlineMs: number
  readonly timeoutMs: number
  readonly waitMs: number
  readonly graceMs: number
  readonly commitWaitMs: number
  readonly leaseMs: number
  readonly maxUnsavedBytes: number
  readonly progressMs: number
  readonly maxBufferedEvents: number
  readonly limits: AdmissionLimits
  readonly whenQueueFull: 'refuse' | 'inline'
  readonly queueMs: number
  readonly inbox: InboxLimits
  readonly retention: Required<RetentionOptions>
  readonly delivery: Required<DeliveryOptions>
}

/** How often and how long a result is tried to be delivered. All durations are in milliseconds. */
export interface DeliveryOptions extends Partial<DeliveryLimits> {
  /** How long a channel may take for one message; at most 300 000. */
  readonly sendMs?: number
  /** Messages on their way at once, over all targets; at one target it is one. */
  readonly maxSending?: number
}

/** The part of the supervisor's options that are plain settings. */
export interface SettingsOptions {
  /** The default inline time of a call, in milliseconds. 0: to the background at once. @defaultValue 10 000 */
  readonly inlineMs?: number
  /** The default hard deadline, in milliseconds. @defaultValue 1 800 000 */
  readonly timeoutMs?: number
  /** The default limit of a wait, in milliseconds. @defaultValue 300 000 */
  readonly waitMs?: number
  /** How long stopped work may take to settle before it is let go, in milliseconds. @defaultValue 5 000 */
  readonly graceMs?: number
  /** How long an answer waits for a store that does not answer, in milliseconds. @defaultValue 2 000 */
  readonly commitWaitMs?: number
  /**
   * With a store that several processes have: how long the others wait for a sign of life of this process before they take
   * over what it ran, in milliseconds. They notice within one and a half times that. @defaultValue 12 000
   */
  readonly leaseMs?: number
  /**
   * How much may wait for a store that does not answer, in bytes. Beyond that new calls are refused with `store_full` and
   * reports of running code are dropped; ends are kept all the same. @defaultValue 67 108 864
   */
  readonly maxUnsavedBytes?: number
  /** The shortest time between two kept progress reports of one task, in milliseconds. @defaultValue 100 */
  readonly progressMs?: number
  /** How many events a consumer may fall behind before it is cut off. @defaultValue 1 000 */
  readonly maxBufferedEvents?: number
  /**
   * @defaultValue `{ maxLive: 100_000, maxDepth: 64, maxChildren: 10_000, maxRunning: Infinity,
   * maxRunningPerOwner: Infinity, maxQueued: 10_000 }`
   */
  readonly limits?: Partial<AdmissionLimits>
  /**
   * What becomes of a call when the queue is full. `refuse`: it gets `queue_full`. `inline`: `run` runs it at once, beyond
   * `maxRunning`, and waits for it however long that takes; `spawn` is refused.
   * @defaultValue 'refuse'
   */
  readonly whenQueueFull?: 'refuse' | 'inline'
  /** How long a task may wait for its turn, in milliseconds; then it fails with `queue_timeout`. @defaultValue Infinity */
  readonly queueMs?: number
  /**
   * How much may wait in one inbox, of a task or of an owner, and among the dead letters of one owner; `maxBytes` counts
   * the JSON of what was sent.
   * @defaultValue `{ maxMessages: 256, maxBytes: 262_144 }`
   */
  readonly inbox?: Partial<InboxLimits>
  /**
   * A delivery that fails is tried again after ever longer pauses, as its receiver says where it does; then it is a dead letter.
   * @defaultValue `{ maxAttempts: 20, baseMs: 1_000, factor: 2, maxMs: 3_600_000, jitter: 'full', maxAgeMs: 86_400_000,
   * sendMs: 30_000, maxSending: 100 }`
   */
  readonly delivery?: DeliveryOptions
  /** @defaultValue `{ maxFinished: 500, maxFinishedBytes: 67_108_864, finishedMs: 86_400_000, maxProgressEvents: 200, maxEventChars: 65_536, maxResultBytes: 524_288, oversizeResult: 'fail' }` */
  readonly retention?: RetentionOptions
}

export const SETTINGS_NAMES = [
  'inlineMs',
  'timeoutMs',
  'waitMs',
  'graceMs',
  'commitWaitMs',
  'leaseMs',
  'maxUnsavedBytes',
  'progressMs',
  'maxBufferedEvents',
  'limits',
  'whenQueueFull',
  'queueMs',
  'inbox',
  'retention',
  'delivery',
] as const

/** Shorter leases would be lost to a pause of the collector. */
const MIN_LEASE_MS = 500
const MAX_LEASE_MS = 600_000

function checkLease(value: unknown): number {
  return checkWhole('leaseMs', value, { min: MIN_LEASE_MS, max: MAX_LEASE_MS })
}

export function toSettings(options: SettingsOptions): Settings {
  const limits = checkOptionNames('limits', options.limits, [
    'maxLive',
    'maxDepth',
    'maxChildren',
    'maxRunning',
    'maxRunningPerOwner',
    'maxQueued',
  ])
  const inbox = checkOptionNames('inbox', options.inbox, ['maxMessages', 'maxBytes'])
  const retention = checkOptionNames('retention', options.retention, [
    'maxFinished',
    'maxFinishedBytes',
    'finishedMs',
    'maxProgressEvents',
    'maxEventChars',
    'maxResultBytes',
    'oversizeResult',
  ])
  return {
    inlineMs: checkDuration('inlineMs', orDefault(options.inlineMs, 10_000), { mayBeZero: true, mayBeInfinite: true }),
    timeoutMs: checkDuration('timeoutMs', orDefault(options.timeoutMs, 30 * 60_000), { mayBeInfinite: true }),
    waitMs: checkDuration('waitMs', orDefault(options.waitMs, 300_000), { mayBeInfinite: true }),
    graceMs: checkDuration('graceMs', orDefault(options.graceMs, 5_000)),
    commitWaitMs: checkDuration('commitWaitMs', orDefault(options.commitWaitMs, 2_000)),
    leaseMs: checkLease(orDefault(options.leaseMs, 12_000)),
    maxUnsavedBytes: checkLimit('maxUnsavedBytes', orDefault(options.maxUnsavedBytes, 64 * 1024 * 1024)),
    progressMs: checkDuration('progressMs', orDefault(options.progressMs, 100)),
    maxBufferedEvents: checkLimit('maxBufferedEvents', orDefault(options.maxBufferedEvents, 1_000)),
    limits: {
      maxLive: checkLimit('limits.maxLive', orDefault(limits['maxLive'], 100_000)),
      maxDepth: checkLimit('limits.maxDepth', orDefault(limits['maxDepth'], 64)),
      maxChildren: checkLimit('limits.maxChildren', orDefault(limits['maxChildren'], 10_000)),
      maxRunning: checkLimit('limits.maxRunning', orDefault(limits['maxRunning'], Infinity)),
      maxRunningPerOwner: checkLimit('limits.maxRunningPerOwner', orDefault(limits['maxRunningPerOwner'], Infinity)),
      maxQueued: checkLimit('limits.maxQueued', orDefault(limits['maxQueued'], 10_000)),
    },
    whenQueueFull: checkChoice('whenQueueFull', orDefault(options.whenQueueFull, 'refuse'), ['refuse', 'inline']),
    queueMs: checkDuration('queueMs', orDefault(options.queueMs, Infinity), { mayBeInfinite: true }),
    inbox: {
      maxMessages: checkLimit('inbox.maxMessages', orDefault(inbox['maxMessages'], 256)),
      maxBytes: checkLimit('inbox.maxBytes', orDefault(inbox['maxBytes'], 256 * 1024)),
    },
    retention: {
      maxFinished: checkLimit('retention.maxFinished', orDefault(retention['maxFinished'], 500)),
      maxFinishedBytes: checkLimit(
        'retention.maxFinishedBytes',
        orDefault(retention['maxFinishedBytes'], 64 * 1024 * 1024),
      ),
      finishedMs: checkDuration('retention.finishedMs', orDefault(retention['finishedMs'], 86_400_000), {
        mayBeInfinite: true,
      }),
      maxProgressEvents: checkLimit('retention.maxProgressEvents', orDefault(retention['maxProgressEvents'], 200)),
      maxEventChars: checkLimit('retention.maxEventChars', orDefault(retention['maxEventChars'], 65_536)),
      maxResultBytes: checkLimit('retention.maxResultBytes', orDefault(retention['maxResultBytes'], 512 * 1024)),
      oversizeResult: checkChoice('retention.oversizeResult', orDefault(retention['oversizeResult'], 'fail'), [
        'fail',
        'truncate',
        'spill',
      ]),
    },
    delivery: toDeliverySettings(options.delivery),
  }
}

const MAX_SEND_MS = 300_000

function toDeliverySettings(options: unknown): Settings['delivery'] {
  const given = checkOptionNames('delivery', options, [
    'maxAttempts',
    'baseMs',
    'factor',
    'maxMs',
    'jitter',
    'maxAgeMs',
    'sendMs',
    'maxSending',
  ])
  const factor = orDefault(given['factor'], 2)
  if (typeof factor !== 'number' || !(factor >= 1)) throw badOption('delivery.factor', 'a number from 1', factor)
  const sendMs = checkDuration('delivery.sendMs', orDefault(given['sendMs'], 30_000))
  if (sendMs > MAX_SEND_MS) throw badOption('delivery.sendMs', `at most ${MAX_SEND_MS}`, sendMs)
  return {
    maxAttempts: checkLimit('delivery.maxAttempts', orDefault(given['maxAttempts'], 20)),
    baseMs: checkDuration('delivery.baseMs', orDefault(given['baseMs'], 1_000)),
    factor,
    maxMs: checkDuration('delivery.maxMs', orDefault(given['maxMs'], 3_600_000)),
    jitter: checkChoice('delivery.jitter', orDefault(given['jitter'], 'full'), ['full', 'none']),
    maxAgeMs: checkDuration('delivery.maxAgeMs', orDefault(given['maxAgeMs'], 86_400_000), { mayBeInfinite: true }),
    sendMs,
    maxSending: checkLimit('delivery.maxSending', orDefault(given['maxSending'], 100)),
  }
}
