/**
 * The sources as JavaScript, in a folder of their own. For a bug one file of that copy is written anew, and put right again.
 */
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, expect } from 'vitest'
import { buildProgram } from '../support/child-program.ts'
import { REPOSITORY, SCRATCH } from '../support/repository.ts'
import type { PlantedBug } from './bugs.ts'

/** The first breach that the simulation has found. */
export interface Found {
  readonly seed: number
  readonly name: string
  readonly message: string
  /** Its plan as a test, for either runner. */
  readonly files: { readonly node: string; readonly vitest: string }
}

export interface PlantedCopy {
  readonly folder: string
  /** Gives the undo. */
  plant(bug: Pick<PlantedBug, 'file' | 'find' | 'replace'>): () => void
  hunt(seeds: number): Promise<Found | null>
  /** The cases of contracts that are broken. */
  judge(): Promise<readonly string[]>
}

const STEPS = 120

/** For the tests of one file; it goes with them. */
export function plantedCopy(name: string): PlantedCopy {
  const folder = join(SCRATCH, name)
  let program = ''
  const run = async (file: string, args: readonly string[]): Promise<unknown> => {
    const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], {
      timeout: 240_000,
      maxBuffer: 2 ** 26,
    })
    return JSON.parse(stdout) as unknown
  }
  beforeAll(() => {
    program = buildProgram(folder, 'test/simulations/hunt.ts')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    plant({ file, find, replace }) {
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
    },
    hunt: async (seeds) => (await run(program, [String(seeds), String(STEPS)])) as Found | null,
    judge: async () => (await run(join(dirname(program), 'judge.js'), [])) as string[],
  }
}
