/** What a run has measured, raw, as it is kept in `benchmarks/results`: a file for each section. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../root.ts'
import type { Effort, SectionName } from '../cases/case.ts'
import type { Row } from '../reporting.ts'

export const RESULTS = join(ROOT, 'benchmarks/results')

/** One case: the rows of each of its processes. */
export interface CaseResult {
  readonly name: string
  readonly processes: readonly ProcessResult[]
}

export interface ProcessResult {
  /** The average load of the machine over a minute, when the process had ended. */
  readonly load: number
  readonly rows: readonly Row[]
}

export interface RunFacts {
  readonly startedAt: string
  readonly minutes: number
  readonly effort: Effort
  readonly node: string
  readonly machine: { readonly processors: string; readonly gib: number; readonly system: string }
  readonly load: { readonly before: number; readonly after: number }
  /** Of everything that is compared. */
  readonly versions: Readonly<Record<string, string>>
}

export interface SectionResult {
  readonly section: SectionName
  readonly run: RunFacts
  readonly cases: readonly CaseResult[]
}

const PACKAGES = [
  'outlive',
  'xstate',
  'rxjs',
  'p-queue',
  'effect',
  'effection',
  'better-all',
  '@modelcontextprotocol/sdk',
  'bullmq',
  'pg-boss',
  'ioredis',
  'pg',
  'libsql',
]

export function readVersions(): Readonly<Record<string, string>> {
  const versions: Record<string, string> = {}
  for (const name of PACKAGES) {
    const folder = name === 'outlive' ? ROOT : join(ROOT, 'node_modules', name)
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string }
    versions[name] = version
  }
  for (const [name, program, pattern] of PROGRAMS) versions[name] = versionOf(program, pattern)
  return versions
}

const PROGRAMS = [
  ['Python', 'python3', /Python ([\d.]+)/],
  ['Redis', 'redis-server', /v=([\d.]+)/],
] as const

function versionOf(program: string, pattern: RegExp): string {
  try {
    return pattern.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  } catch {
    return 'absent'
  }
}

export function describeMachine(): RunFacts['machine'] {
  const all = cpus()
  return {
    processors: `${all.length} × ${all[0]?.model.trim() ?? 'unknown'}`,
    gib: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
  }
}

export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10
}

/** Replaces all that was kept of the run before, so that what is there is always of one run. */
export function writeResults(sections: readonly SectionResult[]): void {
  rmSync(RESULTS, { recursive: true, force: true })
  mkdirSync(RESULTS, { recursive: true })
  for (const section of sections) {
    writeFileSync(join(RESULTS, `${section.section}.json`), `${toJson(section)}\n`)
  }
}

export function readResults(): SectionResult[] {
  return readdirSync(RESULTS)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(RESULTS, file), 'utf8')) as SectionResult)
}

/** Five digits are more than a measurement has; rounds stay on one line. */
function toJson(value: unknown): string {
  const rounded = JSON.stringify(
    value,
    (_key, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value),
    2,
  )
  return rounded.replaceAll(
    /\[\s+([-\d.e+,\s]+?)\s+\]/g,
    (_all, numbers: string) => `[${numbers.replaceAll(/\s+/g, ' ')}]`,
  )
}
