import { expect, test } from 'vitest'
import { cutPages, type Fits } from '../../src/faces/tools/cut-pages.ts'
import { expectReached, fc } from '../support/properties.ts'

/** Texts with paragraphs, lines, words, characters of two places, halves of such, and runs of what a fence is made of. */
const texts = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('word', ' ', '\n', '\n\n', 'a', 'longer_word_without_an_end') },
      { weight: 2, arbitrary: fc.constantFrom('😀', '👩‍👩‍👧', '\ud83d', '\ude00', '\r\n', '`', '````') },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
    ),
    { maxLength: 400, size: 'max' },
  )
  .map((parts) => parts.join(''))

/** Ways to count tokens, also one that counts a longer text as less. */
const counters: Readonly<Record<string, (text: string) => number>> = {
  'four characters a token': (text) => Math.ceil(text.length / 4),
  'a token a character': (text) => Array.from(text).length,
  'a token a word': (text) => text.split(/\s+/u).length,
  'less at a word’s end': (text) => text.length - (text.endsWith('d') ? 20 : 0),
  bytes: (text) => Buffer.byteLength(text),
}

test('the pages of a text are the text, each fits, and none ends inside a character', () => {
  let pagesSeen = 0
  const property = fc.property(
    texts,
    fc.constantFrom(...Object.keys(counters)),
    fc.integer({ min: 4, max: 200 }),
    (text, counter, most) => {
      const fits: Fits = (part) => (counters[counter]?.(part) ?? 0) <= most
      const pages = cutPages(text, fits)
      pagesSeen += pages.length
      expect(pages.join('')).toBe(text)
      expect(pages.filter((page) => !fits(page))).toEqual([])
      expect(pages.flatMap((page) => Array.from(page))).toEqual(Array.from(text))
      if (text !== '') expect(pages).not.toContain('')
    },
  )
  fc.assert(property, { numRuns: 400 })
  expectReached({ pages: pagesSeen }, 1_000)
})

test('where nothing fits, each page is one whole character', () => {
  expect(cutPages('a😀\ud83db', () => false)).toEqual(['a', '😀', '\ud83d', 'b'])
  expect(cutPages('', () => false)).toEqual([''])
})

const upTo =
  (chars: number): Fits =>
  (part) =>
    part.length <= chars

test('a page ends after a paragraph that ends late, else after a line, else after a word, else anywhere', () => {
  const ends = (text: string, chars: number): string | undefined => cutPages(text, upTo(chars))[0]
  expect(ends('12345678\n\nab\ncd ef', 12)).toBe('12345678\n\n')
  expect(ends('12\n\n5678\n0 cd ef', 12)).toBe('12\n\n5678\n')
  expect(ends('12\n\n5678 0cd ef', 12)).toBe('12\n\n5678 ')
  expect(ends('12\n\n567890cdefghij', 12)).toBe('12\n\n567890cd')
  expect(ends('12345678\n\nab', 12)).toBe('12345678\n\nab')
})

test('pages are nearly as long as they may be, and few questions are asked for each', () => {
  for (const chars of [10, 100, 1_600, 8_000, 100_000]) {
    let asked = 0
    const fits: Fits = (part) => {
      asked += 1
      return part.length <= chars
    }
    const pages = cutPages('x'.repeat(chars * 10), fits)
    expect(pages.length).toBeLessThanOrEqual(11)
    expect(asked / pages.length).toBeLessThan(25)
  }
})

test('a text of a megabyte is cut without reading it all again for each page', () => {
  let read = 0
  const fits: Fits = (part) => {
    read += part.length
    return part.length <= 8_000
  }
  const text = 'some words and a line of them\n'.repeat(35_000)
  expect(cutPages(text, fits).join('')).toBe(text)
  expect(read / text.length).toBeLessThan(20)
})
