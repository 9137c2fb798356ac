/**
 * Sends results to their targets: each entry of the outbox once, after the commit that holds it, or after the process that
 * held it is gone.
 *
 * 1. A delivery is pending from the commit of the task's end on, until a channel has taken it, it is a dead letter or
 *    nobody wants it any more. What became of it is kept before it is told.
 * 2. A channel that throws, rejects or does not answer delays what goes to the same target, and nothing else.
 * 3. What is on its way at `stop` gets its signal and stays pending. What the store answers only then is sent, but not again.
 * 4. What is put into the store is put until that has answered, also when nobody waits for it any more: what it has under
 *    the name of this process nobody else would send.
 */
import type { BackoffPolicy } from '../../machines/policies/backoff.ts'
import type { DeliveryLimits } from '../../machines/policies/delivery.ts'
import { TaskError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import { toDeliveryEvent, type DeliveryFailure, type OutboxEntry } from '../ports/delivery.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Logger } from '../ports/logger.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { DeliveryReply, FeedEntry, TaskStore } from '../ports/task-store.ts'
import type { Delivery, SaveEntry } from './delivery.ts'
import { createDelivery, type DeliveryParts } from './delivery-actor.ts'
import { replayed, requestDelivery, takeOver, withdrawn } from './entries.ts'
import { createDigests } from './digests.ts'
import { createEntryKeeper } from './keep-entry.ts'
import { createLanes } from './lanes.ts'
import { createChannelCaller, type ChannelCaller } from './send-message.ts'
import { parseTarget, type Targets } from './targets.ts'
import { within } from '../within.ts'

/** Errors that go on are logged so often at most. */
const LOG_EVERY_MS = 1_000
/** Targets that are remembered to be gone. */
const MAX_GONE = 10_000

export interface DeliverySettings extends DeliveryLimits {
  /** How long a channel may take for one message, in milliseconds. */
  readonly sendMs: number
  /** Messages that are on their way at once. */
  readonly maxSending: number
  readonly digestMs: number
  /** How long a person waits for the store. */
  readonly commitWaitMs: number
}

/** What is told of a task before its end. */
export type Told = { readonly kind: 'start' } | { readonly kind: 'question'; readonly question: string }

export interface Deliveries {
  readonly caller: ChannelCaller
  /** Sends what a commit has just put into the outbox. */
  take(entries: readonly OutboxEntry[]): void
  /** Tells a target something of a task that lives: that it has started, or what it asks. */
  tell(record: StoredRecord, target: string, told: Told): Promise<Delivery | undefined>
  /** Goes on with what another process has left, if nobody else does. */
  adopt(entry: OutboxEntry): Promise<Delivery | undefined>
  /**
   * Sends a dead letter again: the rest of it, or all of it under another id. Whether it was one still.
   * @throws `store_unavailable` when the store takes too long; it is done all the same, once that answers
   */
  replay(entry: OutboxEntry, how: { readonly actor: string; readonly asNew: boolean }): Promise<boolean>
  /** Puts a dead letter away. Whether it was one still. @throws as `replay` */
  clear(entry: OutboxEntry, actor: string): Promise<boolean>
  /** Resolves when nothing is on its way; what waits for its next attempt is not. */
  whenIdle(): Promise<void>
  /** Gives up what is on its way, and says how many deliveries have no outcome. */
  stop(): number
}

export function createDeliveries(parts: {
  readonly targets: Targets
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly settings: DeliverySettings
  readonly random01: () => number
  readonly createId: IdSource
  readonly nodeId: () => string | undefined
  readonly render: DeliveryParts['render']
  /** Makes facts about deliveries public, which the store has. */
  readonly publish: (entries: readonly FeedEntry[]) => void
  readonly runOutside: (work: () => void) => void
  /** A task may owe nothing any more. */
  readonly onSettled: () => void
  readonly onRetried: () => void
  readonly onFailed: () => void
  readonly onStoreError: () => void
}): Deliveries {
  const { targets, store, clock, logger, settings } = parts
  const byId = new Map<string, Delivery>()
  const changing = new Set<string>()
  const goneTargets = new Map<string, DeliveryFailure>()
  const caller = createChannelCaller({ deadlines: parts.deadlines, sendMs: settings.sendMs })
  const pause: BackoffPolicy = { ...settings, jitter: 'none' }
  const lanes = createLanes<Delivery>({ clock, deadlines: parts.deadlines, maxSending: settings.maxSending, pause })

  /** In an outage each target would say so. */
  let saidAtMs = -Infinity
  const sayError = (error: unknown, { taskId, target }: OutboxEntry, message: string): void => {
    if (clock.monotonicMs() - saidAtMs < LOG_EVERY_MS) return
    saidAtMs = clock.monotonicMs()
    logger.error({ taskId, target, error }, message)
  }
  const reportStore = (error: unknown, entry: OutboxEntry): void => {
    parts.onStoreError()
    sayError(error, entry, 'what became of a delivery could not be kept; trying again')
  }
  const keeper = createEntryKeeper({
    store,
    deadlines: parts.deadlines,
    random01: parts.random01,
    onError: reportStore,
  })

  /** `before`: what the store had of it. */
  const publish = (
    before: OutboxEntry | undefined,
    entry: OutboxEntry,
    record: StoredRecord,
    reply: Extract<DeliveryReply, { kind: 'put' }>,
  ): void => {
    parts.publish(
      entry.log.slice(before?.log.length ?? 0).map((line, index) => ({
        event: toDeliveryEvent(entry, line),
        record,
        ownerPosition: reply.ownerPosition + index,
        position: reply.position + index,
      })),
    )
  }

  const isAllowed: DeliveryParts['isAllowed'] = ({ owner, target }) => {
    try {
      return targets.isAllowed({ owner, target })
    } catch (error) {
      logger.error({ target, error }, 'the policy of deliveries threw, so nothing is sent')
      return false
    }
  }

  const save: SaveEntry = async (before, next, record) => {
    const kept = await keeper.keep(next)
    if (typeof kept === 'string') return kept
    publish(before, next, record, kept)
    if (next.state !== 'pending') parts.onSettled()
    return 'kept'
  }

  const digests = createDigests({
    store,
    digestMs: settings.digestMs,
    now: clock.now,
    isAllowed,
    find: (deliveryId) => byId.get(deliveryId),
    save,
  })

  const deliveryParts: DeliveryParts = {
    clock,
    deadlines: parts.deadlines,
    store,
    caller,
    channels: targets.channels,
    limits: settings,
    digests,
    random01: parts.random01,
    isAllowed,
    goneTargets: {
      get: (target) => goneTargets.get(target),
      add(target, why) {
        goneTargets.set(target, why)
        const oldest = goneTargets.keys().next().value
        if (goneTargets.size > MAX_GONE && oldest !== undefined) goneTargets.delete(oldest)
      },
    },
    render: parts.render,
    save,
    parseTarget,
    onRetry: ({ taskId, target, failure, dueAt }) => {
      parts.onRetried()
      logger.warn({ taskId, target, error: failure?.message, dueAt }, 'a result could not be delivered yet')
    },
    onGiveUp: ({ taskId, target, failure }) => {
      parts.onFailed()
      logger.error({ taskId, target, error: failure?.message }, 'a result could not be delivered')
    },
    onOver: ({ deliveryId }) => void byId.delete(deliveryId),
    onError: (error, entry) => sayError(error, entry, 'a delivery could not go on; trying again'),
  }

  const start = (entry: OutboxEntry): Delivery => {
    const delivery = createDelivery(entry, deliveryParts)
    byId.set(entry.deliveryId, delivery)
    if (!delivery.isOver()) parts.runOutside(() => lanes.add(entry.target, delivery))
    return delivery
  }

  /** Whether it is this process's to go on with. */
  const put = async (before: OutboxEntry | undefined, next: OutboxEntry): Promise<boolean> => {
    // Before it is kept: from then on nothing may fail.
    const record = await store.read(next.taskId)
    if (record === undefined) return false
    const kept = await keeper.keep(next)
    if (kept === 'stopped') throw unanswered()
    if (kept === 'lost') return false
    publish(before, next, record, kept)
    return true
  }

  const whileWaitedFor = (change: Promise<boolean | undefined>): Promise<boolean | undefined> =>
    within({ deadlines: parts.deadlines, limitMs: settings.commitWaitMs }, change, () => {
      throw unanswered()
    })

  /** One change of a delivery at a time: a store takes two that are alike, from one process, for one that is repeated. */
  const alone = async <Answer>(deliveryId: string, change: () => Promise<Answer>): Promise<Answer | undefined> => {
    if (changing.has(deliveryId) || byId.has(deliveryId)) return undefined
    changing.add(deliveryId)
    try {
      return await change()
    } finally {
      changing.delete(deliveryId)
    }
  }

  const sendAgain = async (entry: OutboxEntry, actor: string): Promise<boolean> => {
    const next = replayed(entry, { actor, node: parts.nodeId() }, clock.now())
    if (!(await put(entry, next))) return false
    start(next)
    return true
  }

  const sendAsNew = async (entry: OutboxEntry, actor: string): Promise<boolean> => {
    const again = request({ task: entry, target: entry.target, kind: entry.kind })
    if (!(await put(undefined, again))) return false
    start(again)
    await put(entry, withdrawn(entry, { reason: 'cleared', actor }, clock.now()))
    return true
  }

  const request = (asked: Omit<Parameters<typeof requestDelivery>[0], 'deliveryId' | 'node' | 'at'>): OutboxEntry =>
    requestDelivery({ deliveryId: parts.createId(), node: parts.nodeId(), at: clock.now(), ...asked })

  return {
    caller,

    take(entries) {
      for (const entry of entries) if (!byId.has(entry.deliveryId)) start(entry)
    },

    async tell(record, target, told) {
      const entry = request({ task: record, target, ...told })
      return (await put(undefined, entry)) ? start(entry) : undefined
    },

    adopt: (entry) =>
      alone(entry.deliveryId, async () => {
        const taken = takeOver(entry, parts.nodeId())
        return (await put(entry, taken)) ? start(taken) : undefined
      }),

    async replay(entry, { actor, asNew }) {
      goneTargets.delete(entry.target)
      const send = asNew ? sendAsNew : sendAgain
      return (await whileWaitedFor(alone(entry.deliveryId, () => send(entry, actor)))) === true
    },

    async clear(entry, actor) {
      const next = withdrawn(entry, { reason: 'cleared', actor }, clock.now())
      return (await whileWaitedFor(alone(entry.deliveryId, () => put(entry, next)))) === true
    },

    whenIdle: () => lanes.whenIdle(),

    stop() {
      const count = lanes.stop()
      if (count > 0) logger.error({ count }, 'the supervisor stopped while results were to be delivered')
      keeper.stop()
      caller.stop()
      return count
    },
  }
}

function unanswered(): TaskError {
  return new TaskError('store_unavailable', 'The store does not answer; what was asked for is done once it does.')
}
