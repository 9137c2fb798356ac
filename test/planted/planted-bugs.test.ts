import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildProgram } from '../support/child-program.ts'
import { REPOSITORY, SCRATCH } from '../support/repository.ts'
import { PLANTED_BUGS, type PlantedBug } from './bugs.ts'

// The sources are turned into JavaScript once; for each bug one file of that copy is written anew, and put right again.

const SEEDS = 50
const STEPS = 120
const folder = join(SCRATCH, 'planted')
let program = ''

beforeAll(() => {
  program = buildProgram(folder, 'test/simulations/hunt.ts')
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

interface Found {
  readonly seed: number
  readonly name: string
  readonly message: string
}

async function hunt(seeds: number): Promise<Found | null> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, String(seeds), String(STEPS)], {
    timeout: 120_000,
  })
  return JSON.parse(stdout) as Found | null
}

/** Gives the undo. */
function plant({ file, find, replace }: PlantedBug): () => void {
  const source = readFileSync(join(REPOSITORY, file), 'utf8')
  expect(source.split(find)).toHaveLength(2)
  const target = join(folder, file.replace(/\.ts$/, '.js'))
  const sound = readFileSync(target, 'utf8')
  const { outputText } = ts.transpileModule(
    source.replace(find, () => replace),
    {
      fileName: file,
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        rewriteRelativeImportExtensions: true,
        verbatimModuleSyntax: true,
      },
    },
  )
  writeFileSync(target, outputText)
  return () => writeFileSync(target, sound)
}

describe('the simulation', () => {
  test('finds nothing where nothing is planted', { timeout: 120_000 }, async () => {
    expect(await hunt(12)).toBeNull()
  })

  test.each(PLANTED_BUGS)('finds that $title', { timeout: 120_000 }, async (bug) => {
    const undo = plant(bug)
    try {
      const found = await hunt(SEEDS)
      expect(found?.name, `${found?.seed}: ${found?.message}`).toBeDefined()
      expect(bug.foundBy).toContain(found?.name)
    } finally {
      undo()
    }
  })
})
