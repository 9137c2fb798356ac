/**
 * What the adapters have no option for, put round the adapter that is given and not into it: each of these is an object of
 * its own that inherits from the adapter. Where an adapter does not have what is looked for, it is used as it is.
 */
import { createHash } from 'node:crypto'
import type { ChatAdapter } from './chat-adapter.ts'

/** What Discord takes for a message that it has already. */
const DISCORD_NONCE_CHARS = 25

type DiscordFetch = (path: string, method: string, body?: object) => Promise<Response>

/** A Discord adapter whose posts mention nobody, and are not posted again by Discord within a few minutes. */
export function quietDiscord(adapter: ChatAdapter, messageId: string): ChatAdapter {
  const { discordFetch } = adapter as ChatAdapter & { readonly discordFetch?: DiscordFetch }
  if (typeof discordFetch !== 'function') return adapter
  const nonce =
    messageId.length <= DISCORD_NONCE_CHARS
      ? messageId
      : createHash('sha256').update(messageId).digest('base64url').slice(0, DISCORD_NONCE_CHARS)
  const value: DiscordFetch = (path, method, body) =>
    discordFetch.call(
      adapter,
      path,
      method,
      method === 'POST' && path.endsWith('/messages')
        ? { ...body, allowed_mentions: { parse: [] }, nonce, enforce_nonce: true }
        : body,
    )
  return Object.create(adapter, { discordFetch: { value } }) as ChatAdapter
}

type SendTo = (target: unknown, activity: unknown) => Promise<unknown>

/** A Teams adapter that says how long to wait when it is told to: it reads `retryAfter` of an error, which nobody sets. */
export function tellingTeams(adapter: ChatAdapter): ChatAdapter {
  const { app } = adapter as ChatAdapter & { readonly app?: { readonly sendTo?: SendTo } }
  const sendTo = app?.sendTo
  if (app === undefined || typeof sendTo !== 'function') return adapter
  const value: SendTo = async (target, activity) => {
    try {
      return await sendTo.call(app, target, activity)
    } catch (error) {
      if (error instanceof Error) Object.assign(error, retryAfterOf(error))
      throw error
    }
  }
  return Object.create(adapter, { app: { value: Object.create(app, { sendTo: { value } }) as object } }) as ChatAdapter
}

function retryAfterOf(error: Error): { readonly retryAfter?: number } {
  const { response } = error as Error & { readonly response?: { readonly headers?: Readonly<Record<string, unknown>> } }
  const seconds = Number(response?.headers?.['retry-after'] ?? Number.NaN)
  return Number.isFinite(seconds) ? { retryAfter: seconds } : {}
}
