/** Where results may be delivered. An adapter translates; what to send, when and how often is decided above it. */
import type { Awaitable } from './awaitable.ts'
import type { DeliveryKind } from './delivery.ts'

export interface DeliveryTarget {
  /** The name under which the channel was set up, lower-cased. */
  readonly channel: string
  /** What follows the first colon; empty when there is none. */
  readonly id: string
}

export interface ChannelMessage {
  /** The same for every attempt of one message, across restarts too: what a receiver de-duplicates by. */
  readonly id: string
  readonly kind: DeliveryKind
  /** Markdown. The same for every attempt; never longer than the channel's limit. */
  readonly text: string
  /** From 1. */
  readonly part: number
  readonly parts: number
  readonly deliveryId: string
  readonly taskId: string
  /** When the delivery was asked for, in epoch milliseconds: the same for every attempt. */
  readonly at: number
}

/** Something that a channel is asked to do at a place. */
export interface ChannelCall {
  readonly target: DeliveryTarget
  /** Aborts when the time for the call is over, or the supervisor stops. */
  readonly signal: AbortSignal
}

export interface ChannelSend extends ChannelCall {
  readonly message: ChannelMessage
}

/** What a channel says of a message that the receiver has. */
export interface ChannelReceipt {
  /** What the platform calls the message. */
  readonly messageId?: string
}

/** How long a message may be there. */
export interface ChannelLimits {
  readonly maxChars: number
  /** What the platform counts. @defaultValue 'utf16', which is what `length` says of a string */
  readonly unit?: 'utf16' | 'codePoints' | 'bytes'
}

/** How a place shows that something is under way. */
export type ChannelPresence =
  /** A sign that goes away by itself, so it is shown again and again. */
  | {
      readonly kind: 'typing'
      readonly everyMs: number
      show(call: ChannelCall): Awaitable<void>
    }
  /** A message that is there until it is taken away. It carries the start notice. */
  | {
      readonly kind: 'placeholder'
      clear(call: ChannelCall & { readonly messageId: string }): Awaitable<void>
    }

/**
 * A place that takes messages.
 *
 * 1. `send` resolves when the receiver has the message. It rejects with a `ChannelError` that says if another try makes
 *    sense and when; anything else that it throws counts as a failure that may pass.
 * 2. Messages for one target are sent one after the other, in the order of their ends.
 * 3. What is still under way after the time limit is given up, and its signal aborts.
 *
 * @example
 * ```ts
 * import { createTaskSupervisor, type Channel } from 'outlive'
 *
 * const seen: string[] = []
 * const board: Channel = { send: ({ message }) => void seen.push(message.text) }
 * const tasks = createTaskSupervisor({ channels: { board } })
 * await tasks.shutdown()
 * ```
 */
export interface Channel {
  send(send: ChannelSend): Awaitable<ChannelReceipt | void>
  /** Gives a message when an id cannot name a place here; called when a target is set, and again before each attempt. */
  refuse?(id: string): string | undefined
  /** @defaultValue no limit */
  readonly limits?: ChannelLimits
  /** People read along there: they are told of starts, and see that something is under way. @defaultValue nobody is */
  readonly presence?: ChannelPresence
}
