import { expect, test } from 'vitest'
import { toNoticeSettings } from '../../src/delivery/notice-settings.ts'
import { toMessages, type Notice } from '../../src/delivery/notices.ts'
import { sizeOf } from '../../src/delivery/text-size.ts'
import { visibleBody } from '../../src/delivery/visible-text.ts'
import { taskRecord } from '../support/notices.ts'
import { expectReached, fc } from '../support/properties.ts'

const PINGS = ['@everyone', '@here', '<!channel>', '<@U123>', '<@&9>', '<#C1>', '<at>ann</at>', '[x](tg://user?id=1)']
const NASTY = [
  '```',
  '~~~',
  '`',
  '\n',
  '\u001b[31m',
  '\u0007',
  '\u202e',
  '\ud800',
  '\u0000',
  '**',
  '# ',
  '> ',
  '\r\n',
  '`'.repeat(40),
]
const nasty = fc
  .array(fc.oneof(fc.constantFrom(...PINGS, ...NASTY, '👩‍👩‍👧‍👦', 'e\u0301', 'word ', 'a line of text\n'), fc.string()), {
    maxLength: 60,
  })
  .map((pieces) => pieces.join(''))
const limits = fc.record({
  maxChars: fc.integer({ min: 160, max: 600 }),
  unit: fc.constantFrom('utf16' as const, 'codePoints' as const, 'bytes' as const),
})
const caps = fc.record({ maxChars: fc.integer({ min: 1, max: 2_000 }), maxMessages: fc.integer({ min: 1, max: 6 }) })
const end = fc.record({ tool: nasty, name: nasty, taskId: nasty, value: nasty }).map(({ value, ...fields }) => {
  return { kind: 'end' as const, record: taskRecord(fields), value }
})
const start = fc.record({ tool: nasty, name: nasty, description: nasty }).map((fields): Notice => {
  return { kind: 'start', record: taskRecord(fields) }
})
const failure = nasty.map((message): Notice => {
  const failure = { code: 'tool_error' as const, name: message, message, retryable: false }
  return { kind: 'end', record: taskRecord({ status: 'failed', failure }) }
})
const digest = fc.array(end, { minLength: 2, maxLength: 5 }).map((ends): Notice => ({ kind: 'digest', ends }))

test('whatever tasks say: messages fit, are not too many, and outside of fences nothing pings or escapes', () => {
  fc.assert(
    fc.property(fc.oneof(end, start, failure, digest), limits, caps, (notice, limits, caps) => {
      const { texts } = toMessages(notice, toNoticeSettings('notices', caps), limits)
      expect(texts.length).toBeGreaterThan(0)
      expect(texts.length).toBeLessThanOrEqual(caps.maxMessages)
      for (const text of texts) {
        expect(text.trim()).not.toBe('')
        expect(sizeOf(text, limits.unit)).toBeLessThanOrEqual(limits.maxChars)
        expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|[\ud800-\udfff]/u)
        const outside = outsideOf(text)
        // Only where a line with three long names does not fit are names cut, and what is cut is no inline code.
        const isRoomy = limits.maxChars >= 480 && limits.unit !== 'bytes'
        const bare = isRoomy ? outside.replace(/`[^`\n]*`/g, '') : ''
        expect(outside).not.toMatch(/@(?![\u200b\n])|<(?![\u200b\n])|[\u202a-\u202e]/)
        expect(bare).toMatch(/^[A-Za-z\d ().,:·…/\n]*$/)
      }
      expect(toMessages(notice, toNoticeSettings('notices', caps), limits).texts).toEqual(texts)
    }),
    { numRuns: 3_000 },
  )
})

test('what is shown of a result and what is said to be left out are all of it', () => {
  let cut = 0
  fc.assert(
    fc.property(nasty, limits, caps, (value, limits, caps) => {
      const notice = { kind: 'end' as const, record: taskRecord(), value }
      const { texts } = toMessages(notice, toNoticeSettings('notices', caps), limits)
      const body = visibleBody(value)
      if (body.trim() === '') return
      const shown = texts.map(insideOf).join('')
      const left = Number(/\n… ([\d,]+) more characters?\./.exec(texts.at(-1) ?? '')?.[1]?.replaceAll(',', '') ?? 0)
      if (left > 0) cut += 1
      // A cut inside a line ends that line, as a fence has to close.
      const whole = body.slice(0, body.length - left)
      expect(shown.replaceAll('\n', '')).toBe(whole.replaceAll('\n', ''))
    }),
    { numRuns: 3_000 },
  )
  expectReached({ 'results that do not fit': cut }, 150)
})

/** Reads the fences of one message as Markdown does; a fence that is left open fails. */
function readMessage(text: string): { readonly outside: string; readonly inside: string } {
  let fence: string | undefined
  let outside = ''
  let inside = ''
  for (const line of text.split('\n')) {
    const run = /^(`{3,})(json)?$/.exec(line)?.[1]
    if (fence === undefined && run !== undefined) fence = run
    else if (fence !== undefined && line === fence) fence = undefined
    else if (fence === undefined) outside += `${line}\n`
    else inside += `${line}\n`
  }
  expect(fence).toBeUndefined()
  return { outside, inside }
}

const outsideOf = (text: string): string => readMessage(text).outside
const insideOf = (text: string): string => readMessage(text).inside
