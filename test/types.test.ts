import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { typeCheckCodeBlocks, writeCodeBlocks } from './support/code-blocks.ts'
import { REPOSITORY, SCRATCH } from './support/repository.ts'

const code = readFileSync(join(REPOSITORY, 'test/types.test-d.ts'), 'utf8')
const folder = join(SCRATCH, 'types')

/** The file as it is, and changed so that the compiler has to complain. */
const VERSIONS: Readonly<Record<string, string>> = {
  original: code,
  'without-directives': code.replaceAll('// @ts-expect-error -- ', '// '),
  'wrong-expectations': code
    .replaceAll('RunOutcome<number>', 'RunOutcome<string>')
    .replaceAll('TaskHandle<string[]>', 'TaskHandle<unknown[]>'),
}

let reports: readonly string[] = []
const linesOf = (version: string): string[] =>
  reports.filter((report) => report.startsWith(`${version}:`)).map((report) => report.split(':', 2).join(':'))

beforeAll(() => {
  const blocks = Object.entries(VERSIONS).map(([source, changed]) => ({ source, line: 1, code: changed, flags: [] }))
  reports = typeCheckCodeBlocks(writeCodeBlocks(folder, blocks))
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('types are inferred as promised, and what must not compile does not', () => {
  expect(reports.filter((report) => report.startsWith('original:'))).toEqual([])
})

test('each refusal is the doing of the line below its directive', () => {
  const directives = code.split('\n').filter((line) => line.includes('// @ts-expect-error -- '))
  expect(directives.length).toBeGreaterThan(25)
  expect(new Set(linesOf('without-directives')).size).toBe(directives.length)
})

test('a wrong expectation about a type is noticed', () => {
  expect(linesOf('wrong-expectations').length).toBeGreaterThan(5)
})
