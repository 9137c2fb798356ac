/** How the kept form of a delivery changes: each step is the next version, with a line in its log. Pure. */
import type { DeliveryState } from '../../machines/vocabulary.ts'
import type {
  DeliveryEventData,
  DeliveryEventType,
  DeliveryFailure,
  DeliveryKind,
  DeliveryLine,
  OutboxEntry,
} from '../ports/delivery.ts'

const NONE: readonly never[] = Object.freeze([])
const NOTHING = Object.freeze({})

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** A delivery of a task that begins. */
export function requestDelivery(asked: {
  readonly deliveryId: string
  readonly task: { readonly taskId: string; readonly owner: string; readonly conversation?: string | undefined }
  readonly target: string
  readonly kind: DeliveryKind
  readonly question?: string
  readonly node: string | undefined
  readonly at: number
}): OutboxEntry {
  const { deliveryId, target, kind, question, node, at, task } = asked
  const { taskId, owner, conversation } = task
  const line: DeliveryLine = Object.freeze({ seq: 1, type: 'delivery.requested', at, data: NOTHING })
  const entry: Mutable<OutboxEntry> = {
    deliveryId,
    taskId,
    owner,
    target,
    kind,
    version: 1,
    state: 'pending',
    requestedAt: at,
    attempts: 0,
    sent: 0,
    messageIds: NONE,
    log: Object.freeze([line]),
  }
  if (question !== undefined) entry.question = question
  if (conversation !== undefined) entry.conversation = conversation
  if (node !== undefined) entry.node = node
  return Object.freeze(entry)
}

/** Another node sends it from now on. That is no fact about the delivery. */
export function takeOver(entry: OutboxEntry, node: string | undefined): OutboxEntry {
  const { node: _node, ...rest } = entry
  return next(rest, node === undefined ? {} : { node })
}

/** Its message names these, too. They are settled before it is. */
export function asDigest(entry: OutboxEntry, others: readonly OutboxEntry[]): OutboxEntry {
  return next(entry, { digestOf: others.map(({ taskId, deliveryId }) => ({ taskId, deliveryId })) })
}

/** The receiver has one more part. */
export function partSent(
  entry: OutboxEntry,
  told: { readonly parts: number; readonly messageId: string | undefined; readonly at: number },
): OutboxEntry {
  const part = entry.sent + 1
  const named = told.messageId === undefined ? {} : { messageId: told.messageId }
  const messageIds = told.messageId === undefined ? entry.messageIds : [...entry.messageIds, told.messageId]
  const line = lineOf(entry, 'delivery.sent', told.at, { part, parts: told.parts, ...named })
  return next(entry, { sent: part, parts: told.parts, messageIds, log: [...entry.log, line] })
}

/** What was shown stays until its task has ended: the entry is still pending. */
export function shown(entry: OutboxEntry, messageIds: readonly string[], at: number): OutboxEntry {
  const attempt = entry.attempts + 1
  const line = lineOf(entry, 'delivery.delivered', at, { attempt, messageIds })
  return next(withoutPlans(entry), { attempts: attempt, messageIds, log: [...entry.log, line] })
}

export function isShown({ state, log }: OutboxEntry): boolean {
  return state === 'pending' && log.some(({ type }) => type === 'delivery.delivered')
}

export function delivered(entry: OutboxEntry, messageIds: readonly string[], at: number): OutboxEntry {
  const attempt = entry.attempts + 1
  const line = lineOf(entry, 'delivery.delivered', at, { attempt, messageIds })
  return settled(entry, 'delivered', at, { attempts: attempt, messageIds, log: [...entry.log, line] })
}

/** An attempt has failed, and there will be another. */
export function retried(entry: OutboxEntry, failure: DeliveryFailure, at: number, dueAt: number): OutboxEntry {
  const attempt = entry.attempts + 1
  const line = lineOf(entry, 'delivery.retried', at, { attempt, failure, dueAt })
  return next(entry, { attempts: attempt, failure, dueAt, log: [...entry.log, line] })
}

/** `attempts`: with the one that has just failed, if one has. */
export function deadLettered(entry: OutboxEntry, failure: DeliveryFailure, at: number, attempts: number): OutboxEntry {
  const line = lineOf(entry, 'delivery.deadLettered', at, { attempt: attempts, failure })
  return settled(entry, 'deadLettered', at, { attempts, failure, log: [...entry.log, line] })
}

/** A dead letter is sent again: what the receiver has of it is not. */
export function replayed(
  entry: OutboxEntry,
  by: { readonly actor: string; readonly node: string | undefined },
  at: number,
): OutboxEntry {
  const { settledAt: _settledAt, node: _node, ...rest } = withoutPlans(entry)
  const line = lineOf(entry, 'delivery.replayed', at, { actor: by.actor })
  return next(rest, {
    state: 'pending',
    attempts: 0,
    ...(by.node === undefined ? {} : { node: by.node }),
    log: [...entry.log, line],
  })
}

export function withdrawn(entry: OutboxEntry, told: DeliveryEventData['delivery.withdrawn'], at: number): OutboxEntry {
  const line = lineOf(entry, 'delivery.withdrawn', at, told)
  return settled(entry, 'withdrawn', at, { log: [...entry.log, line] })
}

/** When it was asked for: at first, or by the person who has asked again. */
export function askedAt({ log, requestedAt }: OutboxEntry): number {
  return log.findLast(({ type }) => type === 'delivery.replayed')?.at ?? requestedAt
}

function settled(
  entry: OutboxEntry,
  state: Exclude<DeliveryState, 'pending'>,
  settledAt: number,
  changes: Partial<OutboxEntry>,
): OutboxEntry {
  return next(withoutPlans(entry), { state, settledAt, ...changes })
}

function withoutPlans(entry: OutboxEntry): OutboxEntry {
  if (entry.dueAt === undefined) return entry
  const { dueAt: _dueAt, ...rest } = entry
  return rest
}

function next(entry: OutboxEntry, changes: Partial<OutboxEntry>): OutboxEntry {
  const changed: OutboxEntry = Object.assign({}, entry, changes, { version: entry.version + 1 })
  for (const part of [changed.log, changed.messageIds, changed.failure, changed.digestOf]) Object.freeze(part)
  return Object.freeze(changed)
}

function lineOf<Type extends DeliveryEventType>(
  { log }: OutboxEntry,
  type: Type,
  at: number,
  data: DeliveryEventData[Type],
): DeliveryLine {
  return Object.freeze({ seq: log.length + 1, type, at, data: Object.freeze(data) }) as DeliveryLine
}
