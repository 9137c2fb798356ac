import { expect, test } from 'vitest'
import { fenced } from '../../src/fenced-text.ts'
import { fc } from '../support/properties.ts'
import { readFenced } from '../support/tool-calls.ts'

test('nothing in a text closes its fence, and the text comes out as it went in', () => {
  const lines = fc.array(fc.constantFrom('`', '```', '``````', '\n', '\r', ' ', '~~~', 'end', '\n```\n', '\n````  \n'))
  fc.assert(
    fc.property(
      lines.map((parts) => parts.join('')),
      (text) => {
        expect(readFenced(fenced(text))).toEqual({ head: '', data: text })
      },
    ),
    { numRuns: 1_000 },
  )
})

test('a reader of fences sees one that is closed too early, or not at all', () => {
  expect(() => readFenced('```\na\n```\nb\n```')).toThrow('does not close with the last line')
  expect(() => readFenced('```\na\n')).toThrow('does not close')
  expect(() => readFenced('a')).toThrow('no fence')
})

test('a text with very many runs of backticks has a fence', () => {
  expect(fenced('` '.repeat(500_000)).startsWith('```\n')).toBe(true)
})
