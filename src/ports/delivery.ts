/**
 * One notice on its way to one target: what is kept of it, and the log of what became of it.
 *
 * pending → delivered, or deadLettered when it cannot be, or withdrawn when nobody wants it any more. Of these, a person can
 * make a dead letter pending again.
 */
import type { DeliveryState } from '../../machines/vocabulary.ts'

export type { DeliveryState }

/** `start`: the task went to the background. `question`: it waits for an answer. `end`: it has ended, and this is its result. */
export type DeliveryKind = 'start' | 'question' | 'end'

/** Why a receiver does not have a notice. */
export interface DeliveryFailure {
  readonly code: DeliveryFailureCode
  readonly message: string
}

export const DELIVERY_FAILURE_CODES = [
  /** The channel failed, and may not the next time. */
  'channel_error',
  /** The receiver does not want this, however often it is sent. */
  'refused',
  /** The receiver says that it is gone for good: nothing is sent there any more. */
  'target_gone',
  /** The channel did not answer in time. */
  'timeout',
  /** The host's policy does not let this owner write there. */
  'not_allowed',
  /** There is no such channel here. */
  'no_channel',
  /** It was tried as often, or as long, as it may be. */
  'exhausted',
] as const

export type DeliveryFailureCode = (typeof DELIVERY_FAILURE_CODES)[number]

/** What each line of a delivery's log says. */
export interface DeliveryEventData {
  'delivery.requested': Readonly<Record<never, never>>
  /** The receiver has this part of several. */
  'delivery.sent': { readonly part: number; readonly parts: number; readonly messageId?: string }
  /** An attempt has failed; the next one is due at `dueAt`, in epoch milliseconds. */
  'delivery.retried': { readonly attempt: number; readonly failure: DeliveryFailure; readonly dueAt: number }
  /** The receiver has all of it. */
  'delivery.delivered': { readonly attempt: number; readonly messageIds: readonly string[] }
  'delivery.deadLettered': { readonly attempt: number; readonly failure: DeliveryFailure }
  /** Somebody sends a dead letter again. */
  'delivery.replayed': { readonly actor: string }
  /**
   * `ended`: what was to be told is over, or what was shown while it ran is taken back. `failed`: a start or a question could
   * not be told. `cleared`: somebody put a dead letter away.
   */
  'delivery.withdrawn': {
    readonly reason: 'ended' | 'failed' | 'cleared'
    readonly failure?: DeliveryFailure
    readonly actor?: string
  }
}

export type DeliveryEventType = keyof DeliveryEventData

const TYPES: Readonly<Record<DeliveryEventType, true>> = {
  'delivery.requested': true,
  'delivery.sent': true,
  'delivery.retried': true,
  'delivery.delivered': true,
  'delivery.deadLettered': true,
  'delivery.replayed': true,
  'delivery.withdrawn': true,
}

export const DELIVERY_EVENT_TYPES = Object.keys(TYPES) as readonly DeliveryEventType[]

/** A line of a delivery's log, numbered without a hole from 1. */
export type DeliveryLine = {
  [Type in DeliveryEventType]: {
    readonly seq: number
    readonly type: Type
    /** Epoch milliseconds. */
    readonly at: number
    readonly data: DeliveryEventData[Type]
  }
}[DeliveryEventType]

/** One notice for one target, as a store keeps it: plain JSON. */
export interface OutboxEntry {
  readonly deliveryId: string
  readonly taskId: string
  readonly owner: string
  readonly target: string
  readonly kind: DeliveryKind
  /** That of the task. */
  readonly conversation?: string
  /** The key of the question, of one. */
  readonly question?: string
  /** Rises by one with each change, from 1. */
  readonly version: number
  /** Who sends it; absent where one process at a time has the store. */
  readonly node?: string
  readonly state: DeliveryState
  /** Epoch milliseconds, as all moments here. */
  readonly requestedAt: number
  /** Set when the state is not `pending`. */
  readonly settledAt?: number
  /** Attempts that have begun and are known to have failed or succeeded. */
  readonly attempts: number
  /** Not to be sent before. */
  readonly dueAt?: number
  /** How many messages it is; known once it was sent for the first time. */
  readonly parts?: number
  /** How many of these the receiver has. */
  readonly sent: number
  /** What the platform calls them, where it says so. */
  readonly messageIds: readonly string[]
  /** Why the last attempt failed. */
  readonly failure?: DeliveryFailure
  /** Ends of the same conversation that go out in the message of this one, in the order in which it names them. */
  readonly digestOf?: readonly { readonly taskId: string; readonly deliveryId: string }[]
  /** Whole: it is bounded by the number of parts and of attempts. */
  readonly log: readonly DeliveryLine[]
}

/** A line of the log of a delivery, as it stands in the feeds. */
export type StoredDeliveryEvent = DeliveryLine & {
  readonly deliveryId: string
  readonly target: string
  readonly kind: DeliveryKind
}

/** The line of an entry's log as it stands in the feeds. */
export function toDeliveryEvent({ deliveryId, target, kind }: OutboxEntry, line: DeliveryLine): StoredDeliveryEvent {
  return { deliveryId, target, kind, ...line }
}
