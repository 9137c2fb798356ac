import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { readCodeBlocks, typeCheckCodeBlocks, writeCodeBlocks } from './support/code-blocks.ts'
// oxlint-disable-next-line import/no-unassigned-import -- examples with properties draw from the seed of the tests
import './support/properties.ts'
import { listFiles, REPOSITORY, SCRATCH } from './support/repository.ts'

// Every ```ts block of the README and of the pages in docs/ is a whole module, and so is every block of a doc comment that
// imports something; a block of a doc comment without an import is a fragment for the eye.
// `no-run` after `ts` keeps a block from being run (it needs what a test has not); it is type-checked all the same.

const FLAGS = ['no-run']

const pages = [...(existsSync(join(REPOSITORY, 'README.md')) ? ['README.md'] : []), ...listFiles('docs', '.md')]
const sources = ['machines', 'src'].flatMap((folder) => listFiles(folder, '.ts'))
const folder = join(SCRATCH, 'docs-examples')
const blocks = writeCodeBlocks(folder, [
  ...pages.flatMap(readCodeBlocks),
  ...sources.flatMap(readCodeBlocks).filter(({ code }) => /^import /m.test(code)),
])

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

afterEach(() => {
  vi.restoreAllMocks()
})

test('the README shows code, and every flag on an example is a known one', () => {
  const hasReadme = pages.includes('README.md')
  expect(blocks.some(({ source }) => source === 'README.md')).toBe(hasReadme)
  expect(blocks.flatMap(({ flags }) => flags).filter((flag) => !FLAGS.includes(flag))).toEqual([])
})

test('every example compiles', () => {
  expect(typeCheckCodeBlocks(blocks)).toEqual([])
})

test('an example that does not compile is reported with the line it stands on', () => {
  const wrong = {
    source: 'docs/guide.md',
    line: 7,
    code: "const text: string = 'one'\nconst count: string = 2",
    flags: [],
  }
  const reports = typeCheckCodeBlocks(writeCodeBlocks(join(folder, 'wrong'), [wrong]))
  expect(reports).toEqual(["docs/guide.md:8: Type 'number' is not assignable to type 'string'."])
})

describe('every example runs', () => {
  const runnable = blocks.filter(({ flags }) => !flags.includes('no-run'))
  test.runIf(runnable.length > 0).each(runnable)('$source line $line', async ({ file }) => {
    for (const method of ['log', 'info', 'warn', 'error', 'table'] as const) {
      vi.spyOn(console, method).mockImplementation(() => undefined)
    }
    await expect(import(/* @vite-ignore */ file)).resolves.toBeDefined()
  })
})
