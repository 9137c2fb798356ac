import type { Channel, ChannelSend } from '../../ports/channel.ts'

/**
 * A channel that hands messages to a function.
 *
 * @example
 * ```ts
 * import { callbackChannel, createTaskSupervisor } from 'outlive'
 *
 * const tasks = createTaskSupervisor({ channels: { log: callbackChannel(({ message }) => console.log(message.text)) } })
 * await tasks.shutdown()
 * ```
 */
export function callbackChannel(receive: (send: ChannelSend) => void | Promise<void>): Channel {
  if (typeof receive !== 'function') throw new TypeError('callbackChannel needs a function')
  return { send: receive }
}
