/**
 * Slack, Discord, Telegram and Teams, through the Chat SDK and its adapters.
 *
 * 1. One message at a time for each place. A call that was given up goes on inside the SDK: the next message there waits
 *    for it, and the next attempt of the same message gets its receipt.
 * 2. Nobody is mentioned and no code block is broken by what a task said.
 * 3. Nothing is cut by an adapter without a word: the limits leave room for what it adds, and what is longer is refused.
 */
import { ChannelError } from '../../../channel-error.ts'
import type { Channel, ChannelCall, ChannelPresence, ChannelReceipt } from '../../../ports/channel.ts'
import { createCallsInOrder, orAborted } from './calls-in-order.ts'
import { toAdapterSource, type AdapterSource, type ChatChannelOptions } from './chat-adapter.ts'
import { isMissingMessage, toChannelError } from './chat-errors.ts'
import { sendable } from './chat-text.ts'
import { PLATFORM_RULES, type PlatformRules } from './chat-platforms.ts'

/**
 * A channel that writes to a chat platform. Under the name of its platform, what the Chat SDK calls a thread is a target:
 * `slack:C0123:1700000000.000100`. The packages `chat` and `@chat-adapter/…` are the host's to install.
 *
 * People see that something is under way: typing on Discord, Telegram and Teams, and on Slack the start notice, which is
 * deleted when the task has ended.
 *
 * @throws TypeError for what is no adapter of the four platforms, and for a Slack adapter that tries again by itself
 * @example
 * ```ts no-run
 * import { createTaskSupervisor } from 'outlive'
 * import { chatChannel } from 'outlive/channels/chat'
 *
 * const slack = chatChannel({ platform: 'slack', config: { botToken: process.env['SLACK_BOT_TOKEN'] } })
 * const tasks = createTaskSupervisor({ channels: { slack } })
 * const mine = tasks.session({ owner: 'user:42', origin: 'slack:C0123' })
 * ```
 */
export function chatChannel(options: ChatChannelOptions): Channel {
  const source = toAdapterSource(options)
  const rules = PLATFORM_RULES[source.platform]
  const inOrder = createCallsInOrder<ChannelReceipt>()
  return {
    limits: rules.limits,
    refuse: (id) => (rules.toThreadId(id) === undefined ? `an id is ${rules.idForm}` : undefined),
    presence: presenceOf(source, rules),
    async send({ target, message, signal }) {
      const threadId = requireThreadId(rules, target.id)
      const { maxChars } = rules.limits
      if (message.text.length > maxChars)
        throw new ChannelError('refused', `a message has at most ${maxChars} characters here`)
      const post = async (): Promise<ChannelReceipt> => {
        const adapter = await source.get()
        const { id } = await rules.post({ adapter, threadId, text: sendable(message.text), messageId: message.id })
        return id === '' ? {} : { messageId: id }
      }
      return await told(source, signal, () => inOrder.call({ place: threadId, key: message.id, signal, run: post }))
    },
  }
}

function presenceOf(source: AdapterSource, rules: PlatformRules): ChannelPresence {
  const { typingEveryMs } = rules
  if (typingEveryMs === undefined) {
    return {
      kind: 'placeholder',
      clear: ({ target, messageId, signal }) =>
        told(source, signal, async () => {
          const adapter = await source.get()
          try {
            await orAborted(adapter.deleteMessage(requireThreadId(rules, target.id), messageId), signal)
          } catch (error) {
            if (!isMissingMessage(source.platform, error)) throw error
          }
        }),
    }
  }
  return {
    kind: 'typing',
    everyMs: typingEveryMs,
    show: ({ target, signal }: ChannelCall) =>
      told(source, signal, async () => {
        const adapter = await source.get()
        await orAborted(adapter.startTyping(requireThreadId(rules, target.id)), signal)
      }),
  }
}

/** What an adapter throws, in the words of channels; what a signal aborts with stays as it is. */
async function told<Value>(
  { platform }: AdapterSource,
  signal: AbortSignal,
  call: () => Promise<Value>,
): Promise<Value> {
  try {
    signal.throwIfAborted()
    return await call()
  } catch (error) {
    if (signal.aborted) throw error
    throw toChannelError(platform, error)
  }
}

function requireThreadId(rules: PlatformRules, id: string): string {
  const threadId = rules.toThreadId(id)
  if (threadId === undefined)
    throw new ChannelError('refused', `${JSON.stringify(id)} is no place: an id is ${rules.idForm}`)
  return threadId
}
