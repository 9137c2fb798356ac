/** The chat channel with a fake platform at its other end, through the real adapter. */
import type { Channel } from 'outlive'
import { chatChannel, type ChatPlatform } from 'outlive/channels/chat'
import type { ReceiverFault, RemoteChannelUnderTest } from 'outlive/testing'
import { startChatPlatform, type ChatFault, type FakeChatOptions, type FakeChatPlatform } from './chat-platforms.ts'

/** A token that says what the Teams client reads of one; it is signed by nobody. */
const TEAMS_TOKEN = [{ alg: 'none' }, { exp: 4_102_444_800, appid: 'app', iss: 'test', aud: 'test' }, '']
  .map((part) => Buffer.from(part === '' ? '' : JSON.stringify(part)).toString('base64url'))
  .join('.')

// Its client warns of options of its own on the console.
process.env['LOG_LEVEL'] ??= 'error'

/** What the adapters take, with secrets that must be told to nobody. */
export const CHAT_CONFIGS: Readonly<Record<ChatPlatform, Readonly<Record<string, unknown>>>> = {
  slack: { botToken: 'xoxb-canary-5729' },
  discord: { botToken: 'canary-5729' },
  telegram: { botToken: '1:canary-5729' },
  teams: { appId: 'app', token: () => Promise.resolve(TEAMS_TOKEN) },
}

/** Two places of each platform: as ids of targets, which are what the fakes call them, too. */
export const CHAT_PLACES: Readonly<Record<ChatPlatform, readonly [string, string]>> = {
  slack: ['C123', 'C123:1700000000.000100'],
  discord: ['4001', '4002'],
  telegram: ['-100123', '-100123:7'],
  teams: ['19:one@thread.tacv2', '19:two@thread.tacv2'],
}

const REFUSED_IDS: Readonly<Record<ChatPlatform, readonly string[]>> = {
  slack: ['', 'general', 'C1:x', '#general', 'C1:1.1:2', 'a\r\nb'],
  discord: ['', 'general', '1:2:3:4', '../1', '1/messages/2', '@everyone'],
  telegram: ['', 'chat', '1:2:3', '@', '1/../2', 'biz:1:2'],
  teams: ['', 'no colon', 'a b:c', ':'],
}

export async function chatUnderTest(
  platform: ChatPlatform,
  options?: FakeChatOptions,
): Promise<{ readonly channel: Channel; readonly fake: FakeChatPlatform }> {
  const fake = await startChatPlatform(platform, options)
  return { fake, channel: chatChannel({ platform, config: { ...CHAT_CONFIGS[platform], apiUrl: fake.url } }) }
}

export async function chatUnderContract(platform: ChatPlatform): Promise<RemoteChannelUnderTest> {
  const { channel, fake } = await chatUnderTest(platform)
  return {
    channel,
    places: CHAT_PLACES[platform],
    refused: REFUSED_IDS[platform],
    arrived: (place) => fake.texts(place).map((text) => ({ text })),
    fail: (place, fault) => fake.fail(place, fault && toChatFault(platform, fault)),
    close: fake.close,
  }
}

/** How each platform says what is wrong. */
function toChatFault(platform: ChatPlatform, fault: ReceiverFault): ChatFault {
  switch (fault.kind) {
    case 'busy':
      return fault.retryAfterSeconds === undefined
        ? { status: 503, body: 'Service Unavailable' }
        : tooMany(platform, fault.retryAfterSeconds)
    case 'refuses':
      return REFUSALS[platform]
    case 'gone':
      return GONE[platform]
    case 'stalls':
      return 'no answer'
    case 'resets':
      return 'reset'
  }
}

export function tooMany(platform: ChatPlatform, seconds: number): ChatFault {
  const headers = { 'retry-after': String(seconds) }
  const bodies: Readonly<Record<ChatPlatform, unknown>> = {
    slack: { ok: false, error: 'ratelimited' },
    discord: { message: 'You are being rate limited.', retry_after: seconds, global: false },
    telegram: { ok: false, error_code: 429, description: 'Too Many Requests', parameters: { retry_after: seconds } },
    teams: { error: { code: 'TooManyRequests', message: 'slow down' } },
  }
  return { status: 429, headers, body: bodies[platform] }
}

const REFUSALS: Readonly<Record<ChatPlatform, ChatFault>> = {
  slack: { status: 200, body: { ok: false, error: 'not_in_channel' } },
  discord: { status: 403, body: { message: 'Missing Access', code: 50_001 } },
  telegram: { status: 403, body: { ok: false, error_code: 403, description: 'Forbidden: bot was kicked' } },
  teams: { status: 403, body: { error: { code: 'BotNotInConversationRoster', message: 'not here' } } },
}

const GONE: Readonly<Record<ChatPlatform, ChatFault>> = {
  slack: { status: 200, body: { ok: false, error: 'is_archived' } },
  discord: { status: 404, body: { message: 'Unknown Channel', code: 10_003 } },
  telegram: {
    status: 400,
    body: { ok: false, error_code: 400, description: 'Bad Request: group chat was upgraded to a supergroup chat' },
  },
  teams: { status: 404, body: { error: { code: 'ConversationNotFound', message: 'Conversation not found.' } } },
}
