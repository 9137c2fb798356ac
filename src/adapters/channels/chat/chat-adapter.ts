/** The part of a Chat SDK adapter that is used here, and where one comes from. */
import { createRequire } from 'node:module'
import { badOption, checkChoice, checkOptionNames } from '../../../options.ts'

const { resolve: locate } = createRequire(import.meta.url)

export const CHAT_PLATFORMS = ['slack', 'discord', 'telegram', 'teams'] as const

export type ChatPlatform = (typeof CHAT_PLATFORMS)[number]

/** An adapter of the Chat SDK, as `createSlackAdapter` and its like make it. */
export interface ChatAdapter {
  readonly name: string
  postMessage(threadId: string, message: ChatPost): Promise<{ readonly id: string }>
  deleteMessage(threadId: string, messageId: string): Promise<void>
  startTyping(threadId: string): Promise<void>
}

export type ChatPost = { readonly markdown: string } | { readonly raw: string }

/** A bot of the Chat SDK: `new Chat({ adapters, … })`. */
export interface ChatInstance {
  getAdapter(name: never): ChatAdapter | undefined
  initialize(): Promise<void>
}

export interface ChatChannelOptions {
  /** An adapter that the host has made. */
  readonly adapter?: ChatAdapter
  /** A bot that the host has made; `platform` says which of its adapters is meant. */
  readonly chat?: ChatInstance
  /** Needed without `adapter`. */
  readonly platform?: ChatPlatform
  /**
   * What the adapter's own `create…Adapter` takes. The adapter is made from it when the first message is sent, logs
   * nothing, and is for sending only: what it would need to receive may be left out.
   */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface AdapterSource {
  readonly platform: ChatPlatform
  /** The same one each time. */
  get(): Promise<ChatAdapter>
}

/**
 * The settings that Slack's client needs, so that it neither waits nor tries again by itself: `outlive` does, in order and
 * with the same id.
 *
 * @example
 * ```ts no-run
 * import { createSlackAdapter } from '@chat-adapter/slack'
 * import { SLACK_CLIENT_OPTIONS } from 'outlive/channels/chat'
 *
 * const adapter = createSlackAdapter({ webClientOptions: SLACK_CLIENT_OPTIONS })
 * ```
 */
export const SLACK_CLIENT_OPTIONS = {
  retryConfig: { retries: 0 },
  rejectRateLimitedCalls: true,
  timeout: 30_000,
} as const

/** @throws TypeError */
export function toAdapterSource(options: unknown): AdapterSource {
  const { adapter, chat, platform, config } = checkOptionNames('options', options, [
    'adapter',
    'chat',
    'platform',
    'config',
  ]) as Partial<Record<string, unknown>> & ChatChannelOptions
  const given = [adapter, chat, config].filter((source) => source !== undefined)
  if (given.length !== 1) throw badOption('options', 'one of adapter, chat and config', given.length)
  if (adapter !== undefined) return ofAdapter(checkAdapter('adapter', adapter), platform)
  const named = checkChoice('platform', platform, CHAT_PLATFORMS)
  if (chat !== undefined) return ofChat(chat, named)
  return ofConfig(checkOptionNames('config', config, Object.keys(config ?? {})), named)
}

function ofAdapter(adapter: ChatAdapter, platform: unknown): AdapterSource {
  const name = checkChoice('adapter.name', adapter.name, CHAT_PLATFORMS)
  if (platform !== undefined && platform !== name) throw badOption('platform', `left out, or ${name}`, platform)
  return { platform: name, get: () => Promise.resolve(adapter) }
}

function ofChat(chat: ChatInstance, platform: ChatPlatform): AdapterSource {
  if (typeof chat.getAdapter !== 'function') throw badOption('chat', 'a Chat instance', chat)
  const adapter = checkAdapter(`chat.getAdapter('${platform}')`, chat.getAdapter(platform as never))
  let ready: Promise<ChatAdapter> | undefined
  return {
    platform,
    get: () => {
      ready ??= chat.initialize().then(
        () => adapter,
        (error: unknown) => {
          ready = undefined
          throw error
        },
      )
      return ready
    },
  }
}

function ofConfig(config: Readonly<Record<string, unknown>>, platform: ChatPlatform): AdapterSource {
  checkInstalled(platform)
  let made: Promise<ChatAdapter> | undefined
  return { platform, get: () => (made ??= makeAdapter(platform, config)) }
}

function checkAdapter(name: string, adapter: unknown): ChatAdapter {
  const found = adapter as Partial<ChatAdapter> | null | undefined
  if (typeof found?.postMessage !== 'function' || typeof found.name !== 'string') {
    throw badOption(name, 'an adapter of the Chat SDK', adapter)
  }
  if (found.name === 'slack') checkSlackClient(found)
  return adapter as ChatAdapter
}

/** Slack's client tries for half an hour by itself unless it is told not to, and its waits hold up all that comes after. */
function checkSlackClient(adapter: object): void {
  const { webClientOptions } = adapter as {
    webClientOptions?: { retryConfig?: unknown; rejectRateLimitedCalls?: unknown }
  }
  const { retries } = (webClientOptions?.retryConfig ?? {}) as { retries?: unknown }
  if (retries === 0 && webClientOptions?.rejectRateLimitedCalls === true) return
  throw new TypeError(
    'A Slack adapter must not try again by itself: createSlackAdapter({ webClientOptions: SLACK_CLIENT_OPTIONS, … })',
  )
}

/** Each with what only receiving needs left out, and without a log of its own. */
async function makeAdapter(platform: ChatPlatform, config: Readonly<Record<string, unknown>>): Promise<ChatAdapter> {
  const settings = { logger: SILENT, ...config }
  switch (platform) {
    case 'slack': {
      const { createSlackAdapter } = await import('@chat-adapter/slack')
      const webClientOptions = {
        logger: SILENT_SLACK,
        ...(config['webClientOptions'] as object | undefined),
        ...SLACK_CLIENT_OPTIONS,
      }
      return createSlackAdapter({ webhookVerifier: refuse, ...settings, webClientOptions })
    }
    case 'discord': {
      const { createDiscordAdapter } = await import('@chat-adapter/discord')
      return createDiscordAdapter({ webhookVerifier: refuse, applicationId: '0', ...settings })
    }
    case 'telegram': {
      const { createTelegramAdapter } = await import('@chat-adapter/telegram')
      return createTelegramAdapter(settings)
    }
    case 'teams': {
      const { createTeamsAdapter } = await import('@chat-adapter/teams')
      return createTeamsAdapter(settings)
    }
  }
}

/** Nobody sends anything to an adapter that is made here. */
const refuse = (): boolean => false

interface SilentLogger {
  debug(): void
  info(): void
  warn(): void
  error(): void
  child(): SilentLogger
}

const SILENT: SilentLogger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }
const SILENT_SLACK = { ...SILENT, setLevel() {}, getLevel: () => 'error' as never, setName() {} }

/** @throws `TypeError` when a package is not installed: nothing could ever be sent. */
function checkInstalled(platform: ChatPlatform): void {
  for (const npm of ['chat', `@chat-adapter/${platform}`]) {
    try {
      locate(npm)
    } catch (error) {
      // A package that is there and offers only `import` is not found by this name either, and says so.
      if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) continue
      throw new TypeError(`The channel for ${platform} needs the package ${npm}: npm install ${npm}`, { cause: error })
    }
  }
}
