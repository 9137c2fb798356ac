import { createMemoryState } from '@chat-adapter/state-memory'
import { createDiscordAdapter } from '@chat-adapter/discord'
import { createSlackAdapter } from '@chat-adapter/slack'
import { Chat } from 'chat'
import type { ChannelPresence } from 'outlive'
import { chatChannel, SLACK_CLIENT_OPTIONS, type ChatAdapter } from 'outlive/channels/chat'
import { describe, expect, test } from 'vitest'
import { CHAT_PLATFORMS } from '../../src/adapters/channels/chat/chat-adapter.ts'
import { startChatPlatform } from '../support/chat-platforms.ts'
import { CHAT_CONFIGS, CHAT_PLACES, chatUnderTest, tooMany } from '../support/chat-under-test.ts'
import { refusalOf, sendTo } from '../support/sends.ts'

const never = new AbortController().signal

describe('what arrives', () => {
  test.each(CHAT_PLATFORMS)('on %s is the Markdown, and the receipt has the id of the platform', async (platform) => {
    const { channel, fake } = await chatUnderTest(platform)
    const text = '`research` completed in 12.3 s · task `a1`\n```json\n{ "found": [1] }\n```\n(1/2)'
    const [place] = CHAT_PLACES[platform]
    const receipt = await sendTo(channel, place, { text })
    expect(fake.texts(place)).toEqual([text])
    expect(receipt).toEqual({ messageId: platform === 'telegram' ? '-100123:1000' : '1000' })
  })

  test('on Discord mentions nobody, and is known again by its nonce', async () => {
    const { channel, fake } = await chatUnderTest('discord')
    await sendTo(channel, '4001', { id: 'short', text: 'hi @everyone' })
    await sendTo(channel, '4001', { id: 'an id of a message that is longer than a nonce' })
    const [first, second] = fake.acts.map(({ fields }) => fields)
    expect(first).toEqual({
      content: 'hi ＠everyone',
      allowed_mentions: { parse: [] },
      nonce: 'short',
      enforce_nonce: true,
    })
    expect(second?.['nonce']).toMatch(/^[\w-]{25}$/)
  })

  test('on Slack unfurls no links, and its marks are none in code either', async () => {
    const { channel, fake } = await chatUnderTest('slack')
    await sendTo(channel, 'C123', { text: '<!channel> @ann ann@example.com `@ann` <https://a.b>\n```\n<@U1>\n```' })
    expect(fake.texts('C123')).toEqual(['‹!channel> ＠ann ann@example.com `@ann` <https://a.b>\n```\n‹@U1>\n```'])
    expect(fake.acts[0]?.fields).toMatchObject({ unfurl_links: 'false', unfurl_media: 'false' })
  })

  test.each(['slack', 'discord', 'teams'] as const)('on %s no code closes its block', async (platform) => {
    const { channel, fake } = await chatUnderTest(platform)
    const [place] = CHAT_PLACES[platform]
    await sendTo(channel, place, { text: 'head\n~~~~~~js\na ``` b ```````` c\n```\n~~~~~~\ntail' })
    expect(fake.texts(place)).toEqual(['head\n```js\na ``ˋ b ``ˋ``ˋ`` c\n``ˋ\n```\ntail'])
  })

  test('on a Telegram without rich messages is formatted, and plain where the adapter would cut it', async () => {
    const { channel, fake } = await chatUnderTest('telegram', { isOld: true })
    await sendTo(channel, '-100123', { id: 'm-1', text: '`a` ended.\n```\nx\\y`z\n```' })
    const long = `\`a\` ended.\n\`\`\`\n${'\\'.repeat(3_900)}\n\`\`\``
    await sendTo(channel, '-100123', { id: 'm-2', text: long })
    expect(fake.texts('-100123')).toEqual(['`a` ended\\.\n\n```\nx\\\\y\\`z\n```', long])
    expect(fake.acts.map(({ fields }) => fields['parse_mode'])).toEqual(['MarkdownV2', undefined])
  })

  test.each(CHAT_PLATFORMS)('on %s is never cut: what is longer than the limit is refused', async (platform) => {
    const { channel, fake } = await chatUnderTest(platform)
    const [place] = CHAT_PLACES[platform]
    const maxChars = channel.limits?.maxChars ?? 0
    const error = await refusalOf(sendTo(channel, place, { text: 'x'.repeat(maxChars + 1) }))
    expect(error).toMatchObject({ kind: 'refused', message: `a message has at most ${maxChars} characters here` })
    expect(fake.calls()).toBe(0)
  })

  test('in a thread: of Slack, of Discord once its channel is known, in a topic of Telegram, by the id of the SDK', async () => {
    const slack = await chatUnderTest('slack')
    await sendTo(slack.channel, 'C123:1700000000.000100')
    expect(slack.fake.acts[0]?.fields).toMatchObject({ channel: 'C123', thread_ts: '1700000000.000100' })
    const discord = await chatUnderTest('discord')
    await sendTo(discord.channel, '1:4001:4009')
    expect(discord.fake.texts('4009')).toEqual(['the result'])
    const telegram = await chatUnderTest('telegram')
    await sendTo(telegram.channel, '-100123:7')
    expect(telegram.fake.acts[0]?.fields).toMatchObject({ chat_id: '-100123', message_thread_id: 7 })
    const teams = await chatUnderTest('teams')
    const encoded = [CHAT_PLACES.teams[0], 'https://smba.example/'].map((part) =>
      Buffer.from(part).toString('base64url'),
    )
    await sendTo(teams.channel, encoded.join(':'))
    expect(teams.fake.texts(CHAT_PLACES.teams[0])).toEqual(['the result'])
  })
})

describe('signs of work', () => {
  test.each([
    ['discord', 8_000],
    ['telegram', 4_000],
    ['teams', 4_000],
  ] as const)('on %s are typing, every %i ms', async (platform, everyMs) => {
    const { channel, fake } = await chatUnderTest(platform)
    const [place] = CHAT_PLACES[platform]
    const presence = presenceOf(channel.presence, 'typing')
    expect(presence.everyMs).toBe(everyMs)
    await presence.show({ target: { channel: platform, id: place }, signal: never })
    expect(fake.acts).toMatchObject([{ kind: 'typing', place }])
    fake.fail(place, tooMany(platform, 3))
    const refused = refusalOf(
      Promise.resolve(presence.show({ target: { channel: platform, id: place }, signal: never })),
    )
    expect(await refused).toMatchObject({ kind: 'retry', status: 429 })
  })

  test('on Slack are the start notice, which is deleted; that it is gone already is fine', async () => {
    const { channel, fake } = await chatUnderTest('slack')
    const { messageId = '' } = (await sendTo(channel, 'C123', { kind: 'start', text: 'it goes on' })) ?? {}
    const presence = presenceOf(channel.presence, 'placeholder')
    const call = { target: { channel: 'slack', id: 'C123' }, signal: never, messageId }
    await presence.clear(call)
    expect(fake.texts('C123')).toEqual([])
    expect(fake.acts.map(({ kind }) => kind)).toEqual(['message', 'deleted'])
    fake.fail('C123', { status: 200, body: { ok: false, error: 'message_not_found' } })
    await expect(presence.clear(call)).resolves.toBeUndefined()
    fake.fail('C123', { status: 200, body: { ok: false, error: 'cant_delete_message' } })
    expect(await refusalOf(Promise.resolve(presence.clear(call)))).toMatchObject({ kind: 'refused' })
  })
})

describe('what a platform says', () => {
  const said = (error: string): { status: number; body: unknown } => ({ status: 200, body: { ok: false, error } })
  const telegram = (code: number, description: string): { status: number; body: unknown } => ({
    status: code,
    body: { ok: false, error_code: code, description },
  })
  test.each([
    ['slack', said('channel_not_found'), 'refused', undefined],
    ['slack', said('invalid_auth'), 'refused', undefined],
    ['slack', said('is_archived'), 'gone', undefined],
    ['slack', said('internal_error'), 'retry', undefined],
    ['slack', said('ratelimited'), 'retry', 429],
    ['slack', { status: 403, body: 'Forbidden' }, 'refused', 403],
    ['slack', { status: 500, body: 'oops' }, 'retry', 500],
    ['discord', { status: 401, body: { message: '401: Unauthorized', code: 0 } }, 'refused', 401],
    ['discord', { status: 403, body: { message: 'Missing Access', code: 50_001 } }, 'refused', 403],
    ['discord', { status: 404, body: { message: 'Unknown Channel', code: 10_003 } }, 'gone', 404],
    ['discord', { status: 400, body: { message: 'Thread is archived', code: 50_083 } }, 'gone', 400],
    ['discord', { status: 502, body: 'Bad Gateway' }, 'retry', 502],
    ['telegram', telegram(401, 'Unauthorized'), 'refused', 401],
    ['telegram', telegram(403, 'Forbidden: bot was blocked by the user'), 'refused', 403],
    ['telegram', telegram(400, 'Bad Request: chat not found'), 'refused', 400],
    ['telegram', telegram(400, 'Bad Request: group chat was upgraded to a supergroup chat'), 'gone', 400],
    ['telegram', telegram(500, 'Internal Server Error'), 'retry', undefined],
    ['teams', { status: 401, body: {} }, 'refused', 401],
    ['teams', { status: 403, body: {} }, 'refused', 403],
    ['teams', { status: 404, body: {} }, 'gone', 404],
    ['teams', { status: 413, body: {} }, 'refused', 413],
    ['teams', { status: 500, body: {} }, 'retry', 500],
  ] as const)('%s: %j is %s', async (platform, fault, kind, status) => {
    const { channel, fake } = await chatUnderTest(platform)
    const [place] = CHAT_PLACES[platform]
    fake.fail(place, fault)
    const error = await refusalOf(sendTo(channel, place))
    expect({ kind: error.kind, status: error.status }).toEqual({ kind, status })
    expect(error.message.startsWith(`${platform}: `)).toBe(true)
    expect(error.cause).toBeUndefined()
    expect(JSON.stringify([error.message, Object.entries(error)])).not.toContain('canary')
  })

  test.each(CHAT_PLATFORMS)(
    '%s: 429 is handed on at once with its time, and nothing is tried by itself',
    async (platform) => {
      const { channel, fake } = await chatUnderTest(platform)
      const [place] = CHAT_PLACES[platform]
      fake.fail(place, tooMany(platform, 2))
      expect(await refusalOf(sendTo(channel, place))).toMatchObject({ kind: 'retry', status: 429, retryAfterMs: 2_000 })
      expect(fake.calls()).toBe(1)
      fake.fail(place, { status: 500, body: {} })
      expect(await refusalOf(sendTo(channel, place))).toMatchObject({ kind: 'retry' })
      expect(fake.calls()).toBe(2)
    },
  )
})

describe('order', () => {
  test.each(CHAT_PLATFORMS)('%s: a message that was given up goes first, and is sent once', async (platform) => {
    const { channel, fake } = await chatUnderTest(platform)
    const [place, other] = CHAT_PLACES[platform]
    fake.fail(place, 'held')
    const controller = new AbortController()
    const givenUp = sendTo(channel, place, { id: 'm-1', text: 'first' }, controller.signal)
    await expect.poll(() => fake.texts(place)).toEqual(['first'])
    controller.abort(new Error('it takes too long'))
    await expect(givenUp).rejects.toThrow('it takes too long')

    fake.fail(place)
    const next = sendTo(channel, place, { id: 'm-2', text: 'second' })
    const again = sendTo(channel, place, { id: 'm-1', text: 'first' })
    await sendTo(channel, other, { id: 'm-3', text: 'elsewhere' })
    expect(fake.texts(place)).toEqual(['first'])
    fake.release()
    expect(await again).toEqual({ messageId: platform === 'telegram' ? '-100123:1000' : '1000' })
    await next
    expect(fake.texts(place)).toEqual(['first', 'second'])
  })

  test('a message that was given up and then failed is sent again', async () => {
    const { channel, fake } = await chatUnderTest('discord')
    fake.fail('4001', 'no answer')
    const controller = new AbortController()
    const givenUp = sendTo(channel, '4001', { id: 'm-1' }, controller.signal)
    await expect.poll(() => fake.calls()).toBe(1)
    controller.abort(new Error('it takes too long'))
    await expect(givenUp).rejects.toThrow('it takes too long')
    await fake.close()
    await refusalOf(sendTo(channel, '4001', { id: 'm-1' }))
    expect(fake.calls()).toBe(1)
  })
})

describe('adapters', () => {
  test('an adapter or a bot of the host is used as it is', async () => {
    const fake = await startChatPlatform('discord')
    const adapter = createDiscordAdapter({ ...CHAT_CONFIGS.discord, ...RECEIVING, apiUrl: fake.url })
    await sendTo(chatChannel({ adapter }), '4001', { id: 'm-1' })
    await adapter.postMessage('discord:1:4001', 'a message of the host @everyone')
    expect(fake.acts[0]?.fields).toHaveProperty('allowed_mentions')
    expect(fake.acts[1]?.fields).not.toHaveProperty('allowed_mentions')

    const chat = new Chat({
      userName: 'bot',
      // The packages of one release carry copies of `chat` of their own, with types of their own.
      adapters: { discord: adapter as never },
      state: createMemoryState() as never,
      logger: 'silent',
    })
    await sendTo(chatChannel({ chat, platform: 'discord' }), '4002', { id: 'm-2' })
    expect(fake.texts('4002')).toEqual(['the result'])
    await chat.shutdown()
  })

  test('a Slack adapter that tries again by itself is refused', async () => {
    const fake = await startChatPlatform('slack')
    const config = { botToken: 'x', webhookVerifier: () => false, apiUrl: fake.url }
    expect(() => chatChannel({ adapter: createSlackAdapter(config) })).toThrow('webClientOptions: SLACK_CLIENT_OPTIONS')
    const adapter = createSlackAdapter({ ...config, webClientOptions: SLACK_CLIENT_OPTIONS })
    await sendTo(chatChannel({ adapter }), 'C123')
    expect(fake.texts('C123')).toEqual(['the result'])
  })

  test('bad options are refused when the channel is made', () => {
    const make = (options: object) => (): unknown => chatChannel(options)
    const adapter: ChatAdapter = {
      name: 'irc',
      postMessage: () => Promise.resolve({ id: '' }),
      deleteMessage: () => Promise.resolve(),
      startTyping: () => Promise.resolve(),
    }
    expect(make({})).toThrow('options must be one of adapter, chat and config')
    expect(make({ adapter, config: {} })).toThrow('one of adapter, chat and config')
    expect(make({ adapter })).toThrow('adapter.name must be one of slack, discord, telegram, teams')
    expect(make({ adapter: {} })).toThrow('adapter must be an adapter of the Chat SDK')
    expect(make({ adapter: { ...adapter, name: 'teams' }, platform: 'slack' })).toThrow('platform must be left out')
    expect(make({ config: {} })).toThrow('platform must be one of')
    expect(make({ chat: {}, platform: 'slack' })).toThrow('chat must be a Chat instance')
    expect(make({ token: 'x' })).toThrow('options has no option "token"')
  })

  test('what an adapter cannot be made from is a refusal for each message', async () => {
    const channel = chatChannel({ platform: 'discord', config: {} })
    expect(await refusalOf(sendTo(channel, '4001'))).toMatchObject({ kind: 'refused' })
  })
})

/** What a Discord adapter needs to receive, which is not done here. */
const RECEIVING = { applicationId: '1', webhookVerifier: () => false, logger: silent() }

function silent(): never {
  const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger }
  return logger as never
}

function presenceOf<Kind extends ChannelPresence['kind']>(
  presence: ChannelPresence | undefined,
  kind: Kind,
): Extract<ChannelPresence, { readonly kind: Kind }> {
  expect(presence?.kind).toBe(kind)
  return presence as Extract<ChannelPresence, { readonly kind: Kind }>
}
