import { expect, test } from 'vitest'
import { cutResult } from '../../src/runtime/values/cut-result.ts'
import { expectReached, fc } from '../support/properties.ts'

/** Every kind of character that JSON or UTF-8 writes in a way of its own, halves of pairs among them. */
const character = fc.oneof(
  fc.constantFrom('"', '\\', '\n', '\u0000', '\u001f', '\u007f', 'a', 'é', '\u2028', '€', '😀', '\ud83d', '\ude00'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
)
const text = fc.array(character, { minLength: 1, maxLength: 100 }).map((characters) => characters.join(''))

const MARK = /… \[(\d+) characters left out\]$/

test('a cut text is a beginning of whole characters with a mark, fits, and is as long as fits', () => {
  let seen = 0
  fc.assert(
    fc.property(text, fc.integer({ min: 40, max: 200 }), (whole, maxBytes) => {
      fc.pre(Buffer.byteLength(JSON.stringify(whole)) > maxBytes)
      seen += 1
      const cut = cutResult(whole, maxBytes)
      const kept = JSON.parse(cut?.json ?? '') as string
      const beginning = kept.replace(MARK, '')
      expect(cut).toMatchObject({ bytes: Buffer.byteLength(cut?.json ?? ''), isCut: true })
      expect(cut?.bytes).toBeLessThanOrEqual(maxBytes)
      expect(whole.startsWith(beginning)).toBe(true)
      expect(beginning.length + Number(MARK.exec(kept)?.[1])).toBe(whole.length)
      const characters = Array.from(whole)
      const count = Array.from(beginning).length
      expect(characters.slice(0, count).join('')).toBe(beginning)
      const oneMore = characters.slice(0, count + 1).join('')
      // The mark may have become one digit shorter than the room that was left for it.
      const markBytes = Buffer.byteLength(`… [${whole.length} characters left out]`)
      expect(Buffer.byteLength(JSON.stringify(oneMore)) + markBytes).toBeGreaterThan(maxBytes)
    }),
    { numRuns: 2_000 },
  )
  expectReached({ 'texts that are cut': seen }, 100)
})

test('where not even the mark fits, nothing is kept', () => {
  expect(cutResult('x'.repeat(100), 30)).toBeUndefined()
  expect(cutResult('x'.repeat(100), 31)?.json).toBe('"… [100 characters left out]"')
})
