/** A program that uses the library, as people start it: built into a folder of its own, and run as a process. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { onTestFinished } from 'vitest'
import { listFiles, REPOSITORY } from './repository.ts'

/** In the environment of the program and of every process it starts. */
const MARK = 'OUTLIVE_CHILD_TEST'

export interface Ended {
  /** Absent when a signal ended it. */
  readonly exitCode: number | null
  /** What ended it by force. */
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildProgram {
  /** Resolves when the output matches, or what goes to stderr; rejects when the process ends before. */
  whenPrinted(pattern: RegExp): Promise<void>
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<Ended>
  /** Processes that are still there because of it: itself, and whatever it started. */
  livingProcesses(): number[]
}

/**
 * Turns the library, and everything in the folder of the program, into JavaScript, file by file; what imports `outlive`
 * there gets these sources. Gives the program as it was built. `others`: folders that it needs besides.
 */
export function buildProgram(folder: string, program: string, others: readonly string[] = []): string {
  rmSync(folder, { recursive: true, force: true })
  const compilerOptions: ts.CompilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    jsx: ts.JsxEmit.ReactJSX,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
  }
  const sources = ['src', 'machines', dirname(program), ...others].flatMap((root) => [
    ...listFiles(root, '.ts').filter((file) => !file.endsWith('.d.ts')),
    ...listFiles(root, '.tsx'),
  ])
  const toTarget = (source: string): string => join(folder, source.replace(/\.tsx?$/, '.js'))
  for (const source of sources) {
    const code = readFileSync(join(REPOSITORY, source), 'utf8')
    const target = toTarget(source)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, ts.transpileModule(code, { fileName: source, compilerOptions }).outputText)
  }
  const manifest = {
    name: 'outlive',
    type: 'module',
    exports: {
      '.': './src/index.js',
      './testing': './src/testing/index.js',
      './tools': './src/faces/tools/index.js',
      './sqlite': './src/adapters/sql/sqlite.js',
      './postgres': './src/adapters/sql/postgres.js',
      './redis': './src/adapters/redis/index.js',
      './channels/webhook': './src/adapters/channels/webhook/index.js',
    },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  return toTarget(program)
}

/** `nodeOptions` are for Node itself. */
export function runProgram(
  program: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): ChildProgram {
  const mark = `${process.pid}-${Math.random()}`
  const { INIT_CWD: _, ...env } = process.env
  const child = spawn(process.execPath, [...nodeOptions, program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...env, [MARK]: mark },
  })
  // Whatever the test found, nothing of it stays behind.
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, stdout, stderr }))
  })
  return {
    ended,
    signal: (name) => void child.kill(name),
    livingProcesses: () => processesWith(`${MARK}=${mark}`),
    whenPrinted: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(stdout) || pattern.test(stderr)) resolve()
        }
        child.stdout.on('data', look)
        child.stderr.on('data', look)
        child.on('close', () => reject(new Error(`it never printed ${String(pattern)}:\n${stdout}${stderr}`)))
        look()
      }),
  }
}

/** Processes with this in their environment, by `/proc`. */
function processesWith(variable: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(join('/proc', name, 'environ'), 'utf8').includes(variable)
      } catch {
        // It ended while we looked.
        return false
      }
    })
    .map(Number)
}
