import { createTaskSupervisor } from 'outlive'
import { describe, expect, test } from 'vitest'
import { splitText } from '../../src/delivery/split-text.ts'
import { checkChannelLimits } from '../../src/delivery/text-size.ts'

const lines = (count: number, of = 'a line of text'): string => Array.from({ length: count }, () => `${of}\n`).join('')

describe('where a text is cut', () => {
  test('a text that fits is one part, as it is, and an empty one is none', () => {
    expect(splitText('# All\n\nof *it*', { maxChars: 100 })).toEqual(['# All\n\nof *it*'])
    expect(splitText('x'.repeat(100), { maxChars: 100 })).toHaveLength(1)
    expect(splitText('x'.repeat(101), { maxChars: 100 })).toHaveLength(2)
    expect(splitText('', { maxChars: 100 })).toEqual([])
  })

  test('between paragraphs, before a heading and before a fence rather than inside them', () => {
    const first = `${lines(4)}\n`
    expect(splitText(`${first}${lines(4)}`, { maxChars: 100 })).toEqual([first, lines(4)])
    expect(splitText(`${lines(4)}# Next\n${lines(3)}`, { maxChars: 100 })[1]).toMatch(/^# Next\n/)
    expect(splitText(`${lines(4)}\`\`\`js\n${lines(3)}\`\`\``, { maxChars: 100 })[1]).toBe(
      `\`\`\`js\n${lines(3)}\`\`\``,
    )
  })

  test('between lines where a block does not fit, and between words where a line does not', () => {
    for (const part of splitText(lines(50), { maxChars: 100 })) expect(part).toMatch(/^(a line of text\n)+$/)
    const words = splitText('word '.repeat(100), { maxChars: 103 })
    expect(words.slice(0, -1).every((part) => part.endsWith('word '))).toBe(true)
  })

  test('a block that would leave most of a part empty is cut', () => {
    const [first = ''] = splitText(`short\n\n${lines(50)}`, { maxChars: 400 })
    expect(first.length).toBeGreaterThan(350)
  })
})

describe('fences', () => {
  test('one that is open at a cut is closed and opened again with its info string', () => {
    const text = `Look:\n\`\`\`ts title=a\n${lines(20)}\`\`\`\nDone.`
    const parts = splitText(text, { maxChars: 120 })
    expect(parts.length).toBeGreaterThan(2)
    expect(parts[0]).toMatch(/^Look:\n```ts title=a\n[^`]+```$/)
    for (const part of parts.slice(1, -1)) expect(part).toMatch(/^```ts title=a\n[^`]+\n```$/)
    expect(parts.at(-1)).toMatch(/^```ts title=a\n[^`]+\n```\nDone\.$/)
  })

  test('a longer one, and one of tildes, is opened again as it was, and shorter ones in it are left alone', () => {
    const text = `~~~~~md\n${'```js\ncode\n```\n~~~\n'.repeat(10)}~~~~~`
    const parts = splitText(text, { maxChars: 80 })
    for (const part of parts) expect(part).toMatch(/^~~~~~md\n[^]*\n~~~~~$/)
  })

  test('one that never closes is closed in each part', () => {
    for (const part of splitText(`\`\`\`\n${lines(20)}`, { maxChars: 100 })) expect(part).toMatch(/^```\n[^`]+\n```$/)
  })

  test('a cut leaves no fence with nothing in it', () => {
    for (let maxChars = 60; maxChars < 120; maxChars += 1) {
      const text = `${lines(3)}\`\`\`js\n${lines(9)}\`\`\`\n${lines(3)}`
      for (const part of splitText(text, { maxChars })) expect(part, `${maxChars}`).not.toMatch(/```(js)?\n```/)
    }
  })

  test('a line that opens or closes one is not cut, wherever the end of a part falls', () => {
    for (let before = 1; before < 150; before += 1) {
      const text = `\`\`\`\`\`\`js\n${'x'.repeat(before)}\n\`\`\`\`\`\`\nend\n${'y'.repeat(before)}\n~~~~~~ts\nz\n~~~~~~`
      for (const part of splitText(text, { maxChars: 60 })) {
        const runs = part.match(/`+|~+/g) ?? []
        expect(runs.length % 2, part).toBe(0)
        for (const run of runs) expect(run, part).toHaveLength(6)
      }
    }
    expect(splitText(`abc\n\`\`\`${'i'.repeat(54)}\ncode\n\`\`\``, { maxChars: 60 })[0]).toBe('abc\n')
  })

  test('an info string that is too long is not repeated, and a fence that is too long is not opened again', () => {
    const [, second] = splitText(`\`\`\`${'i'.repeat(60)}\n${lines(20)}\`\`\``, { maxChars: 100 })
    expect(second).toMatch(/^```\na line/)
    const fence = '`'.repeat(60)
    expect(splitText(`${fence}\n${lines(20)}${fence}`, { maxChars: 100 })[1]).toMatch(/^a line/)
  })
})

describe('limits', () => {
  test('are counted in the unit of the platform', () => {
    const text = '😀'.repeat(100)
    expect(splitText(text, { maxChars: 100, unit: 'codePoints' })).toHaveLength(1)
    expect(splitText(text, { maxChars: 100 })).toHaveLength(2)
    expect(splitText(text, { maxChars: 100, unit: 'bytes' })).toHaveLength(4)
  })

  test('that are too small to cut for are refused', () => {
    expect(() => splitText('x', { maxChars: 7 })).toThrow('maxChars must be at least 8, got 7')
    expect(() => splitText('x', { maxChars: Number.NaN })).toThrow(TypeError)
  })

  test('of a channel are checked when it is set up', () => {
    expect(checkChannelLimits('limits', { maxChars: 2_000, unit: 'bytes' })).toEqual({ maxChars: 2_000, unit: 'bytes' })
    expect(checkChannelLimits('limits', { maxChars: Infinity })).toEqual({ maxChars: Infinity })
    expect(() => checkChannelLimits('limits', { maxChars: 159 })).toThrow('limits.maxChars must be a whole number')
    expect(() => checkChannelLimits('limits', { maxChars: 200.5 })).toThrow(TypeError)
    expect(() => checkChannelLimits('limits', { maxChars: 200, unit: 'words' })).toThrow('limits.unit must be one of')
    expect(() => checkChannelLimits('limits', { max: 200 })).toThrow('limits has no option')
    const tiny = { send: (): void => undefined, limits: { maxChars: 10 } }
    expect(() => createTaskSupervisor({ channels: { tiny } })).toThrow('channels.tiny.limits.maxChars must be')
  })
})
