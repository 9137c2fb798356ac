import { expect, test } from 'vitest'
import { capText, partOf } from '../../src/kept-text.ts'

test('the parts of a text are the text, and no part ends inside a character unless only half of it would fit', () => {
  const text = 'a😀b😀😀"\\\u2028\ud83d'
  for (let maxChars = 1; maxChars <= text.length; maxChars += 1) {
    const parts: string[] = []
    for (let from = 0; from < text.length; from += parts.at(-1)?.length ?? 1)
      parts.push(partOf(text, { from, maxChars }))
    expect(parts.join('')).toBe(text)
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(maxChars)
    if (maxChars > 1) expect(parts.flatMap((part) => Array.from(part))).toEqual(Array.from(text))
  }
})

test('a text that fits is kept as it is, one that does not ends in a mark', () => {
  expect(capText('abc', 3)).toBe('abc')
  expect(capText('abcd', 3)).toBe('abc…')
  expect(capText('ab😀', 3)).toBe('ab…')
})
