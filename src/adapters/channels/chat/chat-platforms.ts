/** What the platforms differ in: names of places, lengths, signs of work, and what a message has to look like. */
import type { ChannelLimits } from '../../../ports/channel.ts'
import { quietDiscord, tellingTeams } from './adapter-inside.ts'
import type { ChatAdapter, ChatPlatform, ChatPost } from './chat-adapter.ts'
import { toPlainFences, withoutMentions, withoutSlackMarks } from './chat-text.ts'

export interface PlatformRules {
  readonly limits: ChannelLimits
  /** How often typing is shown, in milliseconds; where nothing is shown, a start notice is what says so. */
  readonly typingEveryMs?: number
  /** The SDK's name of a place, or nothing when the id cannot be one. */
  toThreadId(id: string): string | undefined
  /** What an id looks like, for a message about one that does not. */
  readonly idForm: string
  post(order: {
    readonly adapter: ChatAdapter
    readonly threadId: string
    readonly text: string
    readonly messageId: string
  }): Promise<{ readonly id: string }>
}

/** What the Telegram adapter cuts a formatted text at, its escapes included. */
const TELEGRAM_FORMATTED_CHARS = 4_096

export const PLATFORM_RULES: Readonly<Record<ChatPlatform, PlatformRules>> = {
  slack: {
    // What Slack asks for; it takes 12,000 of Markdown.
    limits: { maxChars: 4_000 },
    idForm: 'C0123 or C0123:1700000000.000100 for a thread',
    toThreadId: matching(/^[A-Z0-9]{2,30}(:\d+\.\d+)?$/, (id) => `slack:${id}`),
    post: ({ adapter, threadId, text }) =>
      adapter.postMessage(threadId, { markdown: withoutSlackMarks(withoutMentions(toPlainFences(text))) }),
  },
  discord: {
    limits: { maxChars: 2_000 },
    typingEveryMs: 8_000,
    idForm: 'channel, guild:channel or guild:channel:thread, all numbers',
    toThreadId: matching(/^(\d{1,30}|(\d{1,30}|@me):\d{1,30}(:\d{1,30})?)$/, (id) =>
      id.includes(':') ? `discord:${id}` : `discord:@me:${id}`,
    ),
    post: ({ adapter, threadId, text, messageId }) =>
      quietDiscord(adapter, messageId).postMessage(threadId, { raw: withoutMentions(toPlainFences(text)) }),
  },
  telegram: {
    // Characters that are escaped count twice for the adapter, so there is some room for them.
    limits: { maxChars: 4_000 },
    typingEveryMs: 4_000,
    idForm: '-100123, @channel, or -100123:7 for a topic',
    toThreadId: matching(/^(-?\d{1,30}|@\w{1,64})(:\d{1,20})?$/, (id) => `telegram:${id}`),
    post: async ({ adapter, threadId, text }) => adapter.postMessage(threadId, await toTelegram(adapter, text)),
  },
  teams: {
    // Far below what a bot may send, 80 KB in UTF-16.
    limits: { maxChars: 12_000 },
    typingEveryMs: 4_000,
    idForm: 'a conversation such as 19:…@thread.tacv2',
    toThreadId: toTeamsThreadId,
    post: ({ adapter, threadId, text }) => tellingTeams(adapter).postMessage(threadId, { raw: toPlainFences(text) }),
  },
}

function matching(form: RegExp, toThreadId: (id: string) => string): (id: string) => string | undefined {
  return (id) => (form.test(id) ? toThreadId(id) : undefined)
}

/** A conversation, or what the SDK calls it: conversation and service, both in base64url. */
function toTeamsThreadId(id: string): string | undefined {
  const [first = ''] = id.split(':')
  const isEncoded = /^[\w-]+:[\w-]*(:(channel|groupChat|personal))?$/.test(id) && decoded(first).includes(':')
  if (isEncoded) return `teams:${id}`
  return /^[\w-]+:[^\s]{1,480}$/.test(id) ? `teams:${Buffer.from(id).toString('base64url')}:` : undefined
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64url').toString()
}

/** Formatted, or as plain text where the adapter would cut the formatted one off. */
async function toTelegram(adapter: ChatAdapter, text: string): Promise<ChatPost> {
  const markdown = withoutMentions(text)
  const { parseMarkdown } = await import('chat')
  const { renderFormatted } = adapter as ChatAdapter & { readonly renderFormatted?: (ast: unknown) => string }
  const formatted = renderFormatted?.call(adapter, parseMarkdown(markdown))
  return formatted === undefined || formatted.length > TELEGRAM_FORMATTED_CHARS ? { raw: markdown } : { markdown }
}
