import { describe, expect, test } from 'vitest'
import { toNoticeSettings } from '../../src/delivery/notice-settings.ts'
import { toMessages, type DigestNotice, type EndNotice, type Notice } from '../../src/delivery/notices.ts'
import { taskRecord } from '../support/notices.ts'

const SETTINGS = toNoticeSettings('notices', undefined)
const LIMITS = { maxChars: 2_000 }
const TASK = '`V1StGXR8Z5jdHi6BmyTpQw`'

function textsOf(notice: Notice, options?: unknown, limits = LIMITS): readonly string[] {
  const { texts, templateError } = toMessages(notice, toNoticeSettings('notices', options), limits)
  expect(templateError).toBeUndefined()
  return texts
}

function textOf(notice: Notice): string {
  const [text = '', ...others] = textsOf(notice)
  expect(others).toEqual([])
  return text
}

const completed = (value: unknown, fields = {}): EndNotice => ({ kind: 'end', record: taskRecord(fields), value })
const failed = (message: string, fields = {}): EndNotice => ({
  kind: 'end',
  record: taskRecord({
    status: 'failed',
    failure: { code: 'tool_error', name: 'TypeError', message, retryable: false },
    ...fields,
  }),
})
const cancelled = (fields = {}): EndNotice => ({
  kind: 'end',
  record: taskRecord({ status: 'cancelled', cause: { reason: 'user', note: 'no longer needed' }, ...fields }),
})

describe('the built-in texts', () => {
  test('of a start', () => {
    const record = taskRecord({ status: 'running', name: 'researcher', description: 'Prices of tea' })
    expect(textOf({ kind: 'start', record })).toBe(
      `\`researcher\` (\`research\`) goes on in the background · task ${TASK}\n\`\`\`\nPrices of tea\n\`\`\``,
    )
    expect(textOf({ kind: 'start', record: taskRecord() })).toBe(
      `\`research\` goes on in the background · task ${TASK}`,
    )
  })

  test('of a result: a text as it is, anything else as JSON', () => {
    expect(textOf(completed('Found it.'))).toBe(
      `\`research\` completed in 12.3 s · task ${TASK}\n\`\`\`\nFound it.\n\`\`\``,
    )
    expect(textOf(completed({ text: 'Found it.' }))).toContain('```\nFound it.\n```')
    expect(textOf(completed({ found: [1] }))).toContain('```json\n{\n  "found": [\n    1\n  ]\n}\n```')
    expect(textOf(completed(null))).toContain('```json\nnull\n```')
  })

  test('of no result, an empty one, the beginning of one, and one that is too large', () => {
    expect(textOf(completed(undefined))).toBe(`\`research\` completed in 12.3 s with no result · task ${TASK}`)
    expect(textOf(completed(' \n'))).toBe(`\`research\` completed in 12.3 s with an empty result · task ${TASK}`)
    expect(textOf(completed('Once', { truncated: true }))).toMatch(/```\nOnly the beginning of this result is kept\.$/)
    expect(textOf({ ...completed(undefined, { resultBytes: 1_234_567 }), isSpilled: true })).toBe(
      `\`research\` completed in 12.3 s · task ${TASK}\n` +
        `The result is too large to be shown (1,234,567 bytes). Ask for task ${TASK} to read it.`,
    )
  })

  test('of a failure: its reason, without a stack', () => {
    const stack =
      'no such row\n    at read (file:///srv/app/rows.js:3:9)\n    at async /srv/app/main.js:10:1\n    at x.js:1:2'
    expect(textOf(failed(stack))).toBe(
      `\`research\` failed after 12.3 s · task ${TASK}\n\`\`\`\nTypeError: no such row\n\`\`\``,
    )
    expect(textOf(failed('we met at noon (or so)'))).toContain('TypeError: we met at noon (or so)')
    const failure = { code: 'interrupted', name: 'Error', message: 'its process is gone', retryable: true } as const
    expect(textOf(failed('', { failure }))).toBe(
      `\`research\` failed after 12.3 s (interrupted) · task ${TASK}\n\`\`\`\nits process is gone\n\`\`\``,
    )
  })

  test('of a cancelled task: why, the note, and what it had by then', () => {
    expect(textOf(cancelled({ partial: { rows: 3 } }))).toBe(
      `\`research\` was cancelled after 12.3 s (on request) · task ${TASK}\n\`\`\`\nno longer needed\n\`\`\`\n` +
        'What it had by then:\n```json\n{\n  "rows": 3\n}\n```',
    )
    expect(textOf({ ...cancelled({ resultBytes: 5_000 }), isSpilled: true })).toContain(
      'What it had by then is too large to be shown (5,000 bytes).',
    )
  })

  test('durations are from the start to the end, whenever the notice is made', () => {
    const at = (fields: object): string => /(?:in|after|before) [^·(]+[^ ·(]/.exec(textOf(cancelled(fields)))?.[0] ?? ''
    expect(at({ createdAt: 0, startedAt: 5_000, endedAt: 5_040 })).toBe('after 0.0 s')
    expect(at({ startedAt: 0, endedAt: 59_999 })).toBe('after 59.9 s')
    expect(at({ startedAt: 0, endedAt: 125_000 })).toBe('after 2 min 5 s')
    expect(at({ startedAt: 0, endedAt: 2 * 3_600_000 + 61_000 })).toBe('after 2 h 1 min')
    const { startedAt: _never, ...neverStarted } = cancelled().record
    expect(textOf({ kind: 'end', record: neverStarted })).toContain('was cancelled before it started (on request)')
  })

  test('of several ends', () => {
    const digest: DigestNotice = { kind: 'digest', ends: [completed('tea'), failed('no'), cancelled(), completed(1)] }
    expect(textOf(digest)).toBe(
      ['4 tasks have ended: 2 completed, 1 failed, 1 cancelled.', ...digest.ends.map((end) => textOf(end))].join('\n'),
    )
  })
})

describe('what does not fit', () => {
  const lines = (count: number): string =>
    Array.from({ length: count }, (_, n) => `line ${n} of what was found\n`).join('')

  test('is split, with numbers', () => {
    const texts = textsOf(completed(lines(150)))
    expect(texts).toHaveLength(3)
    expect(texts[0]).toMatch(/^`research` completed .*\n```\nline 0 [^]*\n```\n\(1\/3\)$/)
    expect(texts[1]).toMatch(/^\(2\/3\)\n```\nline [^]*\n```$/)
    expect(texts[2]).toMatch(/^\(3\/3\)\n```\nline [^]*line 149 of what was found\n```$/)
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(2_000)
  })

  test('is left out beyond the cap for characters, and the last line says how much', () => {
    const texts = textsOf(completed('x'.repeat(12_345)), undefined, { maxChars: 4_000 })
    expect(texts).toHaveLength(3)
    expect(texts.at(-1)?.split('\n').at(-1)).toBe(`… 3,345 more characters. Ask for task ${TASK} to read all of it.`)
    expect(texts.join('').match(/x/g)).toHaveLength(9_000)
    const [one = ''] = textsOf(completed('x'.repeat(101)), { maxChars: 100 })
    expect(one).toMatch(/\n```\n… 1 more character\. Ask for/)
  })

  test('is left out beyond the cap for messages, and the last line says how much', () => {
    for (const maxMessages of [1, 2, 5]) {
      const texts = textsOf(completed(`${'z'.repeat(99)}\n`.repeat(90)), { maxMessages }, { maxChars: 500 })
      expect(texts).toHaveLength(maxMessages)
      const shown = texts.join('').match(/z/g)?.length ?? 0
      const left = /^… ([\d,]+) more characters\. Ask/.exec(texts.at(-1)?.split('\n').at(-1) ?? '')?.[1]
      // A line break goes with each line of 99.
      expect(Number(left?.replaceAll(',', ''))).toBe(9_000 - Math.round(shown / 0.99))
    }
  })

  test('an error is capped like a result', () => {
    const texts = textsOf(failed('e'.repeat(50_000)))
    expect(texts).toHaveLength(5)
    expect(texts.at(-1)).toMatch(/… 41,0\d\d more characters\./)
  })

  test('short texts of a digest leave their share to the long ones, and tasks that are not named are counted', () => {
    const digest: DigestNotice = {
      kind: 'digest',
      ends: [completed('short'), completed('x'.repeat(3_000)), failed('no')],
    }
    const texts = textsOf(digest, { maxChars: 1_005 })
    expect(texts.join('\n')).toContain('TypeError: no')
    expect(texts.join('').match(/x{3,}/g)?.[0]).toHaveLength(1_005 - 5 - 'TypeError: no'.length)
    expect(texts.at(-1)).toMatch(/\n… 2,013 more characters\. Ask for a task by its id to read all of it\.$/)
    const many: DigestNotice = { kind: 'digest', ends: Array.from({ length: 200 }, () => completed('some text')) }
    expect(textsOf(many, { maxMessages: 2 }).at(-1)).toMatch(
      /\n… 1,\d\d\d more characters and 1\d\d more tasks\. Ask for/,
    )
  })

  test('a task with a very long id is left out in a line that fits', () => {
    const texts = textsOf(completed('x'.repeat(9_999), { taskId: '👩‍👩‍👧‍👦'.repeat(50) }), undefined, { maxChars: 160 })
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(160)
    expect(texts.at(-1)).toMatch(/\n… 9,\d\d\d more characters\.$/)
  })
})

describe('templates', () => {
  test('see frozen records, values and true durations, and say the whole text', () => {
    const seen: unknown[] = []
    const templates = {
      start: (view: unknown) => `started ${String(seen.push(view))}`,
      end: (view: unknown) => `ended ${String(seen.push(view))}`,
      digest: (view: unknown) => `several ${String(seen.push(view))}`,
    }
    const ends = [completed({ rows: [1] }), cancelled()]
    const record = taskRecord({ status: 'running' })
    expect(textsOf({ kind: 'start', record }, { templates })).toEqual(['started 1'])
    expect(textsOf(completed({ rows: [1] }), { templates })).toEqual(['ended 2'])
    expect(textsOf({ kind: 'digest', ends }, { templates })).toEqual(['several 3'])
    const views = [
      { record: taskRecord(), value: { rows: [1] }, durationMs: 12_345 },
      { record: cancelled().record, durationMs: 12_345 },
    ]
    expect(seen).toEqual([{ record }, views[0], { ends: views }])
    const [, end] = seen as { value: { rows: number[] } }[]
    expect(() => end?.value.rows.push(2)).toThrow(TypeError)
  })

  test('are capped and split like the built-in text', () => {
    const end = (): string => `# Result\n\n\`\`\`ts\n${'const a = 1\n'.repeat(2_000)}\`\`\``
    const texts = textsOf(completed('x'), { templates: { end } })
    expect(texts).toHaveLength(5)
    for (const text of texts.slice(1, -1)) expect(text).toMatch(/^\(\d\/5\)\n```ts\nconst [^]*\n```$/)
    expect(texts.at(-1)).toMatch(/\n```\n… 15,\d\d\d more characters\. Ask for task/)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no template')
      },
      'no template',
    ],
    ['gives nothing', () => undefined, 'the template for end has to give a text'],
    ['gives blanks', () => ' \n', 'the template for end has to give a text'],
  ])('one that %s is replaced by the built-in text and reported', (_what, end, message) => {
    const settings = { ...SETTINGS, templates: { end: end as () => string } }
    const { texts, templateError } = toMessages(completed('x'), settings, LIMITS)
    expect(texts).toEqual([textOf(completed('x'))])
    expect(templateError).toMatchObject({ message })
  })
})

test('without limits a notice is one message', () => {
  const { texts } = toMessages(completed('x'.repeat(9_000)), SETTINGS)
  expect(texts).toHaveLength(1)
})

test('settings have defaults, and bad ones are refused by name', () => {
  expect(SETTINGS).toEqual({
    maxChars: 9_000,
    maxMessages: 5,
    templates: {},
    start: undefined,
    typing: true,
    digestMs: 0,
  })
  expect(() => toNoticeSettings('notices', { maxMessages: 101 })).toThrow('notices.maxMessages must be a whole number')
  expect(() => toNoticeSettings('notices', { maxChars: 0 })).toThrow('notices.maxChars must be')
  expect(() => toNoticeSettings('notices', { templates: { end: 'x' } })).toThrow(
    'notices.templates.end must be a function',
  )
  expect(() => toNoticeSettings('notices', { templates: { ends: () => '' } })).toThrow('no option')
})
