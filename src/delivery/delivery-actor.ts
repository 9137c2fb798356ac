/**
 * One delivery's way: its chart, and beside it what the chart must not do: ask the channel, and write down what came of it.
 *
 * pending → its turn → the record is read → part after part is sent → what came of it is kept → delivered
 *    ↑                                                                                     ↘ waits and is tried again
 *    └──────────────── another process takes it over, or a person sends it again ──────────── dead letter
 *
 * 1. Each message has the same id and the same text in every attempt, in every process: the text is made from the record.
 * 2. What the receiver has is written down before the next part goes out, so a crash repeats one message at most.
 * 3. What cannot be written down is written later; nothing else happens to the delivery until then.
 * 4. Once another process has taken it over, nothing more is sent here.
 */
import { createActor } from 'xstate'
import { deliveryMachine } from '../../machines/delivery.machine.ts'
import { memoise } from '../../machines/memoise.ts'
import { decideDelivery, type DeliveryLimits } from '../../machines/policies/delivery.ts'
import type { DeliveryChartEventType, DeliveryPhase } from '../../machines/vocabulary.ts'
import type { Channel, DeliveryTarget } from '../ports/channel.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { DeliveryEventData, DeliveryFailure, OutboxEntry } from '../ports/delivery.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { requireEnded, type Delivery, type SaveEntry } from './delivery.ts'
import type { Digests } from './digests.ts'
import { asDigest, askedAt, deadLettered, delivered, isShown, partSent, retried, shown, withdrawn } from './entries.ts'
import type { LaneVerdict } from './lanes.ts'
import type { ChannelCaller, SendOutcome } from './send-message.ts'

export interface DeliveryParts {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly store: Pick<TaskStore, 'read'>
  readonly caller: ChannelCaller
  readonly channels: ReadonlyMap<string, Channel>
  readonly limits: DeliveryLimits
  readonly digests: Digests
  readonly random01: () => number
  readonly isAllowed: (entry: OutboxEntry) => boolean
  /** Why nothing is sent to a target any more. */
  readonly goneTargets: {
    get(target: string): DeliveryFailure | undefined
    add(target: string, why: DeliveryFailure): void
  }
  /** The messages of a notice, for this channel; that of several ends is a digest. Nothing when it is over by now. */
  readonly render: (
    entry: OutboxEntry,
    record: StoredRecord,
    others: readonly StoredRecord[],
    channel: Channel,
  ) => readonly string[] | undefined
  readonly save: SaveEntry
  readonly parseTarget: (target: string) => DeliveryTarget
  readonly onRetry: (entry: OutboxEntry) => void
  readonly onGiveUp: (entry: OutboxEntry) => void
  /** Nothing more will happen to it here. */
  readonly onOver: (entry: OutboxEntry) => void
  readonly onError: (error: unknown, entry: OutboxEntry) => void
}

const logic = memoise(deliveryMachine)
/** How soon a delivery is tried again whose record could not be read. */
const STORE_RETRY_MS = 1_000
const CLEAR_ATTEMPTS = 3
/** That a task has started is worth less than what waits behind it. */
const START_ATTEMPTS = 3
const ENDED: DeliveryEventData['delivery.withdrawn'] = Object.freeze({ reason: 'ended' })

const NOTHING_TO_DO: LaneVerdict = { kind: 'done', target: 'unknown' }
const TARGET_IS_UP: LaneVerdict = { kind: 'done', target: 'up' }
const TARGET_IS_DOWN: LaneVerdict = { kind: 'done', target: 'down' }

export function createDelivery(given: OutboxEntry, parts: DeliveryParts): Delivery {
  const { clock, store, caller, limits } = parts
  const actor = createActor(logic).start()
  const target = parts.parseTarget(given.target)
  const dueInMs = Math.max(given.dueAt ?? 0, parts.digests.dueAt(given)) - clock.now()
  let entry = given
  let isLost = false
  let isUnwanted = false

  const chart = (type: DeliveryChartEventType): void => actor.send({ type })
  const phase = (): DeliveryPhase => actor.getSnapshot().value
  const isOver = (): boolean =>
    isLost || (phase() !== 'pending' && phase() !== 'sending' && phase() !== 'waitingToRetry')

  const lose = (): void => {
    isLost = true
    parts.onOver(entry)
  }

  /** Whether it goes on here. */
  const keep = async (next: OutboxEntry, record: StoredRecord): Promise<boolean> => {
    const answer = await parts.save(entry, next, record)
    if (answer === 'kept') entry = next
    else lose()
    return answer === 'kept'
  }

  /** Tells the chart what was kept. */
  const settle = async (next: OutboxEntry, record: StoredRecord, event: DeliveryChartEventType): Promise<void> => {
    if (!(await keep(next, record))) return
    chart(event)
    if (isOver() && phase() !== 'shown') parts.onOver(entry)
  }

  const giveUp = async (failure: DeliveryFailure, record: StoredRecord, attempts: number): Promise<void> => {
    // Nobody tells again later what is over by then. The owner hears of questions in his inbox as well.
    if (entry.kind !== 'end') return withdrawNow(record, { reason: 'failed', failure })
    await settle(deadLettered(entry, failure, clock.now(), attempts), record, 'delivery.giveUp')
    if (!isLost) parts.onGiveUp(entry)
  }

  const withdrawNow = (record: StoredRecord, why: DeliveryEventData['delivery.withdrawn'] = ENDED): Promise<void> => {
    if (phase() === 'sending') chart('delivery.interrupted')
    return settle(withdrawn(entry, why, clock.now()), record, 'delivery.withdraw')
  }

  /** Why it must not be sent at all. */
  const refusalOf = (channel: Channel | undefined): DeliveryFailure | undefined => {
    if (channel === undefined) return { code: 'no_channel', message: `there is no channel ${target.channel}` }
    const gone = parts.goneTargets.get(entry.target)
    if (gone !== undefined) return gone
    try {
      const refusal = channel.refuse?.(target.id)
      if (refusal !== undefined) return { code: 'refused', message: refusal }
    } catch (error) {
      parts.onError(error, entry)
      return { code: 'refused', message: 'the channel could not say whether the target is one' }
    }
    return parts.isAllowed(entry) ? undefined : { code: 'not_allowed', message: 'the policy of the host refuses it' }
  }

  /** The other records that the message tells of; nothing when it does not go on here. */
  const collect = async (
    record: StoredRecord,
    behind: Iterable<Delivery>,
  ): Promise<readonly StoredRecord[] | undefined> => {
    const others = parts.digests.choose(entry, behind)
    if (others.length > 0 && !(await keep(asDigest(entry, others), record))) return undefined
    return parts.digests.readOthers(entry)
  }

  const sendParts = async (
    record: StoredRecord,
    texts: readonly string[],
    channel: Channel,
  ): Promise<SendOutcome | 'lost'> => {
    for (let part = entry.sent + 1; ; part += 1) {
      const { deliveryId, taskId, kind, requestedAt: at } = entry
      const id = texts.length === 1 ? deliveryId : `${deliveryId}-${part}`
      const text = texts[part - 1]
      // All of it had arrived before what became of it could be kept.
      if (text === undefined) return { kind: 'accepted', messageId: undefined }
      const message = { id, kind, text, part, parts: texts.length, deliveryId, taskId, at }
      const outcome = await caller.send(channel, { target, message })
      if (outcome.kind !== 'accepted' || part === texts.length) return outcome
      const told = { parts: texts.length, messageId: outcome.messageId, at: clock.now() }
      if (!(await keep(partSent(entry, told), record))) return 'lost'
    }
  }

  const accept = async (record: StoredRecord, channel: Channel, messageId: string | undefined): Promise<void> => {
    const messageIds = messageId === undefined ? entry.messageIds : [...entry.messageIds, messageId]
    if (entry.kind === 'start' && channel.presence?.kind === 'placeholder' && messageIds.length > 0) {
      await settle(shown(entry, messageIds, clock.now()), record, 'delivery.shown')
      if (isUnwanted) await clear(record)
      return
    }
    const next = delivered(entry, messageIds, clock.now())
    await parts.digests.settleOthers(next)
    await settle(next, record, 'delivery.accepted')
  }

  const fail = async (
    record: StoredRecord,
    { failure, retryAfterMs }: Extract<SendOutcome, { kind: 'failed' }>,
  ): Promise<LaneVerdict> => {
    const attempts = entry.attempts + 1
    const now = clock.now()
    const decision = decideDelivery(limits, {
      attempts,
      ageMs: now - askedAt(entry),
      retryAfterMs,
      random01: parts.random01(),
    })
    if (isUnwanted) {
      await withdrawNow(record)
      return TARGET_IS_DOWN
    }
    if (decision.kind === 'giveUp' || (entry.kind === 'start' && attempts >= START_ATTEMPTS)) {
      await giveUp({ code: 'exhausted', message: `after ${attempts} attempts: ${failure.message}` }, record, attempts)
      return TARGET_IS_DOWN
    }
    await settle(retried(entry, failure, now, now + decision.delayMs), record, 'delivery.failed')
    if (isLost) return TARGET_IS_DOWN
    parts.onRetry(entry)
    return { kind: 'later', delayMs: decision.delayMs, target: 'down' }
  }

  const attempt = async (record: StoredRecord, behind: Iterable<Delivery>): Promise<LaneVerdict> => {
    const channel = parts.channels.get(target.channel)
    const refusal = refusalOf(channel)
    if (channel === undefined || refusal !== undefined) {
      await giveUp(refusal ?? { code: 'no_channel', message: 'there is none' }, record, entry.attempts)
      return NOTHING_TO_DO
    }
    const others = await collect(record, behind)
    if (others === undefined) return NOTHING_TO_DO
    const texts = parts.render(entry, record, others, channel)
    if (texts === undefined) {
      await withdrawNow(record)
      return NOTHING_TO_DO
    }
    const outcome = await sendParts(record, texts, channel)
    if (outcome === 'lost') return NOTHING_TO_DO
    switch (outcome.kind) {
      case 'accepted':
        await accept(record, channel, outcome.messageId)
        return TARGET_IS_UP
      case 'failed':
        return fail(record, outcome)
      case 'refused':
        if (outcome.failure.code === 'target_gone') parts.goneTargets.add(entry.target, outcome.failure)
        await giveUp(outcome.failure, record, entry.attempts + 1)
        return TARGET_IS_UP
      case 'stopped':
        chart('delivery.interrupted')
        return NOTHING_TO_DO
    }
  }

  /** Takes away what is shown. That it cannot be is no reason to try for ever. */
  const clear = async (record: StoredRecord): Promise<void> => {
    const presence = parts.channels.get(target.channel)?.presence
    for (const messageId of presence?.kind === 'placeholder' ? entry.messageIds : []) {
      for (let tries = 1; tries <= CLEAR_ATTEMPTS; tries += 1) {
        try {
          await caller.ask(target, async (call) => {
            if (presence?.kind === 'placeholder') await presence.clear({ messageId, ...call })
          })
          break
        } catch (error) {
          if (tries === CLEAR_ATTEMPTS) parts.onError(error, entry)
        }
      }
    }
    await withdrawNow(record)
  }

  const endNow = async (): Promise<void> => {
    try {
      const record = await store.read(entry.taskId)
      if (record === undefined) return lose()
      if (phase() === 'shown') await clear(record)
      else if (phase() === 'pending' || phase() === 'waitingToRetry') await withdrawNow(record)
    } catch (error) {
      parts.onError(error, entry)
      parts.deadlines.after(STORE_RETRY_MS, () => void endNow(), undefined)
    }
  }

  if (isShown(given)) {
    chart('delivery.send')
    chart('delivery.shown')
  }

  return {
    owner: given.owner,
    notBeforeMs: dueInMs > 0 ? clock.monotonicMs() + dueInMs : 0,
    entry: () => entry,
    phase,
    isOver,
    async run(behind) {
      if (isUnwanted) return NOTHING_TO_DO
      chart('delivery.send')
      try {
        const record = await store.read(entry.taskId)
        if (record === undefined) {
          lose()
          return NOTHING_TO_DO
        }
        if (entry.kind === 'end') requireEnded(record)
        return await attempt(record, behind())
      } catch (error) {
        parts.onError(error, entry)
        chart('delivery.interrupted')
        return { kind: 'later', delayMs: STORE_RETRY_MS, target: 'unknown' }
      }
    },
    async settleWith(head) {
      const record = await store.read(entry.taskId)
      if (record === undefined || phase() !== 'pending') return
      chart('delivery.send')
      await settle(delivered(entry, head.messageIds, clock.now()), record, 'delivery.accepted')
    },
    withdraw() {
      if (isUnwanted || isLost) return
      isUnwanted = true
      if (phase() !== 'sending') void endNow()
    },
  }
}
