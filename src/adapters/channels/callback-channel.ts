import type { Awaitable } from '../../ports/awaitable.ts'
import type { Channel, ChannelReceipt, ChannelSend } from '../../ports/channel.ts'

/**
 * A channel that hands messages to a function. The message is delivered when the function has returned, or when its
 * promise has; what it throws or rejects with counts as for any channel, so a `ChannelError` says if another try makes
 * sense.
 *
 * @throws `TypeError` when it is given no function
 * @example
 * ```ts
 * import { callbackChannel, createTaskSupervisor } from 'outlive'
 *
 * const tasks = createTaskSupervisor({ channels: { log: callbackChannel(({ message }) => console.log(message.text)) } })
 * await tasks.shutdown()
 * ```
 */
export function callbackChannel(receive: (send: ChannelSend) => Awaitable<ChannelReceipt | void>): Channel {
  if (typeof receive !== 'function') throw new TypeError('callbackChannel needs a function')
  return {
    send(send) {
      send.signal.throwIfAborted()
      return receive(send)
    },
  }
}
