/**
 * What every channel has to keep to, as plain cases without a test framework. Each case gets a fresh channel whose receiver
 * has nothing yet.
 *
 * Run them all:
 * `for (const { title, run } of CHANNEL_CONTRACT) test(title, () => run(createChannel))`
 */
import assert from 'node:assert/strict'
import {
  channelCase,
  failureOf,
  kindOf,
  messageOf,
  sendTo,
  type ArrivedMessage,
  type ChannelContractCase,
} from './channel-case.ts'

/** Texts with what means something to somebody on their way, and the words that must get through. */
const NASTY: Readonly<Record<string, { readonly text: string; readonly words: readonly string[] }>> = {
  'a fence that is open': { text: 'before\n````js\nlet inside = 1', words: ['before', 'inside'] },
  'a fence that closes': { text: 'before\n```\n# outside', words: ['before', 'outside'] },
  'a call to everybody': { text: 'hello @everyone and <!channel> bye', words: ['hello', 'everyone', 'bye'] },
  'terminal codes': {
    text: 'red \u001b[31mletters\u001b[0m \u001b]0;title\u0007\u009b2Jend',
    words: ['red', 'letters', 'end'],
  },
  'a zero byte': { text: 'first\u0000second', words: ['first', 'second'] },
  'half a character': { text: 'first \ud83d second', words: ['first', 'second'] },
  'line breaks of all kinds': { text: 'one\r\ntwo\rthree\u2028four', words: ['one', 'two', 'three', 'four'] },
  'a head of a request': { text: 'first\r\nx-evil: 1\r\n\r\nsecond', words: ['first', 'evil', 'second'] },
  'what looks like JSON': { text: '{"__proto__":{"admin":true}} "quoted" \\u0041', words: ['admin', 'quoted'] },
  'what looks like HTML': { text: '<b onclick="x">bold</b> &amp; plain', words: ['bold', 'plain'] },
  'signs of many places': { text: 'é 🙂 👩‍👩‍👧 ض 漢字 ok', words: ['é', '🙂', '漢字', 'ok'] },
}

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/u
const HALF_CHARACTER = /\p{Surrogate}/u

export const CHANNEL_CONTRACT: readonly ChannelContractCase[] = [
  channelCase('a message arrives once, as it is, and nowhere else', async ({ channel, places, arrived }) => {
    const [place, other] = places
    await sendTo(channel, place, messageOf('m-1', 'a **first** text\n\nand `more`'))
    assert.deepEqual(textsOf(await arrived(place)), ['a **first** text\n\nand `more`'])
    if (other !== undefined) assert.deepEqual(await arrived(other), [])
  }),

  channelCase('parts arrive in their order, all of them, start notices too', async ({ channel, places, arrived }) => {
    const [place] = places
    await sendTo(channel, place, { ...messageOf('s', 'it has begun'), kind: 'start' })
    const texts = ['part one', 'part two', 'part three', 'part four', 'part five']
    for (const [index, text] of texts.entries()) {
      await sendTo(channel, place, { ...messageOf(`m-${index}`, text), part: index + 1, parts: texts.length })
    }
    assert.deepEqual(textsOf(await arrived(place)), ['it has begun', ...texts])
  }),

  channelCase('a message that is sent again has its id and all of its body again', async (under) => {
    const { channel, places, arrived } = under
    const [place] = places
    for (const _time of [1, 2]) await sendTo(channel, place, messageOf('m-1', 'the text'))
    const [first, ...rest] = await arrived(place)
    assert.ok(first !== undefined && rest.length <= 1, `it arrived ${rest.length + 1} times`)
    for (const again of rest) assert.deepEqual(again, first)
  }),

  channelCase('two messages with one text are two messages', async ({ channel, places, arrived }) => {
    const [place] = places
    for (const id of ['m-1', 'm-2']) await sendTo(channel, place, messageOf(id, 'the text'))
    const messages = await arrived(place)
    assert.deepEqual(textsOf(messages), ['the text', 'the text'])
    const ids = messages.flatMap(({ id }) => (id === undefined ? [] : [id]))
    assert.ok(ids.length === 0 || (ids.length === 2 && ids[0] !== ids[1]), 'their ids are alike')
  }),

  ...Object.entries(NASTY).map(([title, { text, words }]) =>
    channelCase(`${title} arrives as it was, or harmless`, async ({ channel, places, arrived }) => {
      const [place] = places
      await sendTo(channel, place, messageOf('m-1', text))
      await sendTo(channel, place, messageOf('m-2', 'the next one'))
      const texts = textsOf(await arrived(place))
      assert.equal(texts.length, 2)
      assert.equal(texts[1], 'the next one')
      const [got = ''] = texts
      if (got === text) return
      assert.ok(!CONTROL.test(got) && !HALF_CHARACTER.test(got), `what arrived is not harmless: ${JSON.stringify(got)}`)
      assertInOrder(got, words)
    }),
  ),

  channelCase('a message as long as it may be arrives whole', async ({ channel, places, arrived }) => {
    const [place] = places
    const { maxChars = 20_000, unit = 'utf16' } = channel.limits ?? {}
    assert.ok(Number.isInteger(maxChars) && maxChars >= 100, 'limits.maxChars has to be 100 or more')
    assert.ok(['utf16', 'codePoints', 'bytes'].includes(unit))
    const text = `begin${'x'.repeat(Math.min(maxChars, 20_000) - 8)}end`
    await sendTo(channel, place, messageOf('m-1', text))
    assert.deepEqual(textsOf(await arrived(place)), [text])
  }),

  channelCase('messages that are sent at the same time do not mix', async ({ channel, places, arrived }) => {
    const { maxChars = 20_000 } = channel.limits ?? {}
    const sends = Array.from({ length: 20 }, (_, index) => {
      const place = places[index % places.length] ?? places[0]
      const middle = `${index};`.repeat(2_000 / (index + 1)).slice(0, Math.max(0, maxChars - 40))
      return { place, text: `${index} ${middle} end of ${index}` }
    })
    await Promise.all(sends.map(({ place, text }, index) => sendTo(channel, place, messageOf(`m-${index}`, text))))
    for (const place of places) {
      const expected = sends.filter((sent) => sent.place === place).map(({ text }) => text)
      assert.deepEqual(textsOf(await arrived(place)).sort(), expected.sort())
    }
  }),

  channelCase('nothing is sent for a refused id', async ({ channel, places, refused, arrived }) => {
    assert.equal(channel.refuse === undefined, refused.length === 0, 'refused has to name ids if refuse is there')
    for (const place of places) assert.equal(channel.refuse?.(place), undefined)
    for (const id of refused) {
      const reason = channel.refuse?.(id)
      assert.ok(typeof reason === 'string' && reason.length > 0 && reason.length <= 500, `no reason for ${id}`)
      const error = await failureOf(sendTo(channel, id, messageOf('m-1', 'the text')))
      assert.equal(kindOf(error), 'refused')
    }
    for (const place of places) assert.deepEqual(await arrived(place), [])
  }),

  channelCase('whatever the id is, refuse gives an answer', ({ channel }) => {
    const ids = [
      '',
      ' ',
      '..',
      '../a',
      'a/b',
      'a\nb',
      '__proto__',
      'constructor',
      '\u0000',
      'é',
      'x'.repeat(512),
      '@',
      '%',
    ]
    for (const id of ids) {
      const reason: unknown = channel.refuse?.(id)
      assert.ok(reason === undefined || typeof reason === 'string')
    }
  }),

  channelCase('a send that is given up beforehand sends nothing', async ({ channel, places, arrived }) => {
    const [place] = places
    const controller = new AbortController()
    controller.abort(new Error('given up'))
    await failureOf(sendTo(channel, place, messageOf('m-1', 'the text'), controller.signal))
    assert.deepEqual(await arrived(place), [])
  }),

  channelCase('a receipt names one message, or none', async ({ channel, places }) => {
    const [place] = places
    const named: string[] = []
    for (const id of ['m-1', 'm-2']) {
      const receipt: unknown = await sendTo(channel, place, messageOf(id, 'the text'))
      if (receipt === undefined) continue
      assert.ok(typeof receipt === 'object' && receipt !== null, 'a receipt is an object')
      const messageId: unknown = 'messageId' in receipt ? receipt.messageId : undefined
      if (messageId === undefined) continue
      assert.ok(typeof messageId === 'string' && messageId.length > 0, 'a messageId is a text')
      named.push(messageId)
    }
    assert.equal(new Set(named).size, named.length)
  }),
]

function textsOf(messages: readonly ArrivedMessage[]): string[] {
  return messages.map(({ text }) => text)
}

function assertInOrder(text: string, words: readonly string[]): void {
  let at = 0
  for (const word of words) {
    const found = text.indexOf(word, at)
    assert.notEqual(found, -1, `${word} is not where it was in ${JSON.stringify(text)}`)
    at = found + word.length
  }
}
