import { expect, test } from 'vitest'
import { createSplitter, splitText } from '../../src/delivery/split-text.ts'
import { sizeOf, type TextUnit } from '../../src/delivery/text-size.ts'
import { expectReached, fc } from '../support/properties.ts'

const UNITS: readonly TextUnit[] = ['utf16', 'codePoints', 'bytes']
const CLUSTERS = ['e\u0301', 'a\u0308\u0323', '👩‍👩‍👧‍👦', '🇩🇪', '👍🏽', 'ก็', '각', '한', '\u{1f600}', 'ß', '語', '\r\n']

const marker = fc
  .tuple(fc.constantFrom('`', '~'), fc.integer({ min: 1, max: 8 }))
  .map(([character, length]) => character.repeat(length))
const word = fc.oneof(fc.constantFrom(...CLUSTERS), fc.constantFrom('a', 'longer', 'x'.repeat(40), 'word'), marker)
const indent = fc.constantFrom('', ' ', '  ', '   ', '    ', '\t')
const line = fc.oneof(
  fc.tuple(indent, fc.array(fc.oneof(word, fc.constantFrom(' ', '  ', '\t')), { maxLength: 30 })).map(joined),
  fc.tuple(indent, fc.tuple(marker, fc.constantFrom('', 'js', ' ts title=x', ' `', '  '))).map(joined),
  fc.constantFrom('', '# A heading', '> ```', '- item', '1. item'),
)
/** Lines that begin, end and look like fences, with characters that take several places. */
const markdown = fc.array(line, { maxLength: 25 }).map((lines) => lines.join('\n'))
/** Runs and opening lines that are longer than a part cannot be kept from looking like something else. */
const keepable = markdown.filter((text) => !/`{12,}|~{12,}|^ {0,3}(```|~~~)[^\n]{30}/m.test(text))
const unit = fc.constantFrom(...UNITS)

function joined([before, words]: readonly [string, readonly string[]]): string {
  return before + words.join('')
}

test('the parts without their added fences are the text, and each of them fits', () => {
  fc.assert(
    fc.property(markdown, unit, fc.integer({ min: 8, max: 400 }), (text, unit, maxChars) => {
      const { parts, sources } = splitAll(text, unit, maxChars)
      expect(sources.join('')).toBe(text)
      expect(splitText(text, { maxChars, unit })).toEqual(parts)
      for (const part of parts) expect(sizeOf(part, unit)).toBeLessThanOrEqual(maxChars)
    }),
    { numRuns: 3_000 },
  )
})

test('each part has the same characters inside and outside of fences as the text, and leaves no fence open', () => {
  let seen = 0
  fc.assert(
    fc.property(keepable, unit, fc.integer({ min: 60, max: 300 }), (text, unit, maxChars) => {
      const { parts, froms, sources } = splitAll(text, unit, maxChars)
      const fences = readFences(text)
      for (const [index, part] of parts.entries()) {
        const from = froms[index] ?? 0
        const source = sources[index] ?? ''
        const opening = fences.openAt(from) ? part.slice(0, part.indexOf('\n') + 1) : ''
        expect(part.slice(opening.length, opening.length + source.length)).toBe(source)
        const ofPart = readFences(part)
        for (let at = 0; at < source.length; at += 1) {
          expect(ofPart.isInside(opening.length + at)).toBe(fences.isInside(from + at))
        }
        expect(ofPart.isOpenAtEnd).toBe(false)
        if (opening !== '') seen += 1
      }
    }),
    { numRuns: 3_000 },
  )
  expectReached({ 'parts that begin inside a fence': seen }, 150)
})

test('no character as people see it is torn apart where it fits into a part', () => {
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
  fc.assert(
    fc.property(keepable, unit, fc.integer({ min: 60, max: 300 }), (text, unit, maxChars) => {
      const boundaries = new Set([...graphemes.segment(text)].map(({ index }) => index))
      for (const from of splitAll(text, unit, maxChars).froms) expect(boundaries.has(from)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('a character that is larger than a part is cut between its code points, and never inside one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('👩‍👩‍👧‍👦', `a${'\u0301'.repeat(50)}`, '\u{1f600}', '🇩🇪🇫🇷'), { minLength: 1, maxLength: 9 }),
      unit,
      fc.integer({ min: 8, max: 12 }),
      (characters, unit, maxChars) => {
        const text = characters.join('')
        const parts = splitText(text, { maxChars, unit })
        expect(parts.join('')).toBe(text)
        for (const part of parts) {
          expect(part).not.toMatch(/[\ud800-\udfff]/u)
          expect(sizeOf(part, unit)).toBeLessThanOrEqual(maxChars)
        }
      },
    ),
  )
})

function splitAll(
  text: string,
  unit: TextUnit,
  maxChars: number,
): { readonly parts: string[]; readonly froms: number[]; readonly sources: string[] } {
  const splitter = createSplitter(text, unit)
  const parts: string[] = []
  const froms: number[] = []
  const sources: string[] = []
  for (let from = 0; from < text.length;) {
    const part = splitter.take(from, maxChars)
    expect(part.from).toBe(from)
    expect(part.to).toBeGreaterThan(from)
    parts.push(part.text)
    froms.push(from)
    sources.push(text.slice(from, part.to))
    from = part.to
  }
  return { parts, froms, sources }
}

/** A second, plain reading of what Markdown takes for a fence: by whole lines. */
function readFences(text: string): {
  readonly isInside: (at: number) => boolean
  readonly openAt: (at: number) => boolean
  readonly isOpenAtEnd: boolean
} {
  const inside: boolean[] = []
  const open: boolean[] = []
  let fence: string | undefined
  for (const row of text.split('\n')) {
    const wasOpen = fence !== undefined
    const begun = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/.exec(row)?.[1]
    const ended = /^ {0,3}(`{3,}|~{3,})[ \t\r]*$/.exec(row)?.[1]
    let isContent = wasOpen
    if (fence === undefined) fence = begun
    else if (ended !== undefined && ended.startsWith(fence)) {
      fence = undefined
      isContent = false
    }
    for (let at = 0; at <= row.length; at += 1) inside.push(isContent)
    for (let at = 0; at <= row.length; at += 1) open.push(wasOpen)
  }
  return { isInside: (at) => inside[at] === true, openAt: (at) => open[at] === true, isOpenAtEnd: fence !== undefined }
}
