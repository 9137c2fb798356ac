import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { REPOSITORY } from './support/repository.ts'
import { readTestTitles } from './support/test-titles.ts'

/** The behaviours that have to hold, as ranges of row numbers. */
const ROWS = '1-66, 68-77, 79'
/** The faults that have to be borne, as ranges of their numbers. */
const FAULTS = 'B12-B13, B15, C9-C11, D1-D8, D10-D18, E1-E9, F1-F9, F11, F13-F15, G1-G17, I9-I14, I16, I19, J10'

const rows = readFileSync(join(REPOSITORY, 'docs/coverage.md'), 'utf8')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => /^\|\s*[A-Z]?\d+\s*\|/.test(line))
  .map((line) => {
    const cells = line.split(/(?<!\\)\|/).slice(1, -1)
    const [row = '', behaviour = '', tests = ''] = cells.map((cell) => cell.trim().replaceAll('\\|', '|'))
    return { row, behaviour, tests: tests.split(/<br\s*\/?>/).map((entry) => entry.trim()) }
  })

test('every behaviour and every fault has one row, in order', () => {
  const expected = `${ROWS}, ${FAULTS}`.split(', ').flatMap((range) => {
    const [first = '', last = first] = range.split('-')
    const letter = /^[A-Z]?/.exec(first)?.[0] ?? ''
    const numbers = [first, last].map((name) => Number(name.slice(letter.length)))
    const [from = NaN, to = NaN] = numbers
    return Array.from({ length: to - from + 1 }, (_, index) => `${letter}${from + index}`)
  })
  expect(rows.map(({ row }) => row)).toEqual(expected)
  expect(rows.filter(({ behaviour }) => behaviour === '')).toEqual([])
})

test('every test that the table names exists and runs', () => {
  const problems = rows.flatMap(({ row, tests }) =>
    tests
      .map((entry) => describeProblem(entry))
      .flatMap((problem) => (problem === undefined ? [] : `row ${row}: ${problem}`)),
  )
  expect(problems).toEqual([])
})

test('a table entry without a file, without a test or with a wrong title is a problem', () => {
  expect(describeProblem('')).toMatch('is not of the form')
  expect(describeProblem('test/no-such-file.test.ts › a title')).toMatch('no such file')
  expect(describeProblem('test/docs-coverage.test.ts › no such title')).toMatch('no such test')
  expect(
    describeProblem('test/docs-coverage.test.ts › every behaviour and every fault has one row, in order'),
  ).toBeUndefined()
  expect(
    describeProblem('`docs-coverage.test.ts` › every behaviour and every fault has one row, in order'),
  ).toBeUndefined()
})

/** What is wrong with `file.test.ts › title`. The file is given from the root or from `test/`, in backticks or without. */
function describeProblem(entry: string): string | undefined {
  const match = /^`?(?<path>[\w./-]+\.test\.ts)`? › (?<title>.+)$/.exec(entry)?.groups
  const { path, title } = match ?? {}
  if (path === undefined || title === undefined) return `"${entry}" is not of the form "file.test.ts › title"`
  const file = [path, `test/${path}`].find((candidate) => existsSync(join(REPOSITORY, candidate)))
  if (file === undefined) return `no such file: ${path}`
  const found = readTestTitles(file).filter((candidate) => candidate.title === title)
  if (found.length === 0) return `no such test in ${file}: ${title}`
  return found.some(({ mayNotRun }) => mayNotRun) ? `may not run: ${file} › ${title}` : undefined
}
