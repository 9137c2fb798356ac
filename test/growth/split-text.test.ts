import { expect, test } from 'vitest'
import { splitText } from '../../src/delivery/split-text.ts'
import { expectGrowth, processorMs } from './growth-ratio.ts'

const TEXTS: Readonly<Record<string, string>> = {
  'lines in a fence': 'some code that is not long\n',
  'one line of words': 'words and words ',
  'one line without a space': 'x',
  'one run of backticks': '`',
  'one line that opens a fence': 'info ',
  'one run of tildes': '~',
  'backticks and spaces': '``` ',
  flags: '🇩🇪',
  'marks on one letter': '\u0301',
  'empty lines': '\n',
}
const HEADS: Readonly<Record<string, string>> = { 'lines in a fence': '```js\n', 'one line that opens a fence': '~~~' }
const MAX_RATIO = 3

test.each(Object.entries(TEXTS))('twice as much of %s takes about twice as long to split', async (name, unit) => {
  const head = HEADS[name] ?? ''
  const chars = 400_000
  const measure = async (size: number): Promise<readonly number[]> => {
    const text = head + unit.repeat(Math.ceil(size / unit.length))
    const took = await processorMs(async () => {
      let parts = 0
      for (const maxUnit of ['utf16', 'bytes'] as const)
        parts += splitText(text, { maxChars: 2_000, unit: maxUnit }).length
      expect(parts).toBeGreaterThan(size / 2_000)
    })
    return [took]
  }
  await expectGrowth({ size: chars, below: MAX_RATIO }, measure)
})
