/** Where results may be delivered. An adapter translates; what to send, when and how often is decided above it. */

export interface DeliveryTarget {
  /** The name under which the channel was set up, lower-cased. */
  readonly channel: string
  /** What follows the first colon; empty when there is none. */
  readonly id: string
}

export interface ChannelMessage {
  /** The same for every attempt of one message: what a receiver de-duplicates by. */
  readonly id: string
  readonly kind: 'start' | 'end'
  readonly text: string
  /** From 1. */
  readonly part: number
  readonly parts: number
  readonly taskId: string
}

export interface ChannelSend {
  readonly target: DeliveryTarget
  readonly message: ChannelMessage
  readonly signal: AbortSignal
}

/**
 * A place that takes messages.
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
  /** Resolves when the receiver has the message; rejects when it has not. */
  send(send: ChannelSend): void | Promise<void>
  /** Throws or gives a message when an id cannot name a place here; called when a target is set. */
  refuse?(id: string): string | undefined
}
