/**
 * Runs the cases in fresh processes, in turns, and compares what they measured with their gates.
 *
 * `NAME`: only the cases whose names contain it; prints, and keeps nothing. `--quick`: one process per case and shorter rounds.
 * `--long`: the stores get a million tasks to forget. `--gate`: the few ratios of `cases/gate-cases.ts` instead, each of which may
 * miss its gate twice. Without a name, the results replace those in `benchmarks/results`, and the page and its charts are rendered
 * from them.
 * The exit code is 1 when a gate is missed, and 130 after Ctrl-C.
 */
import { allCases } from './cases/index.ts'
import { GATE_CASES } from './cases/gate-cases.ts'
import type { Case } from './cases/case.ts'
import { render } from './page/write-page.ts'
import { hasValue, renderCaseRows, renderTable } from './page/tables.ts'
import { format, judge } from './runner/judge.ts'
import { createProgress } from './runner/progress.ts'
import {
  currentLoad,
  describeMachine,
  readVersions,
  writeResults,
  type ProcessResult,
  type RunFacts,
} from './runner/results.ts'
import { runCase } from './runner/run-case.ts'

const FLAGS = ['--quick', '--long', '--gate']
const given = process.argv.slice(2)
const unknown = given.find((argument) => argument.startsWith('-') && !FLAGS.includes(argument))
if (unknown !== undefined) throw new Error(`there is no option ${unknown}`)
const effort = { isQuick: given.includes('--quick'), isLong: given.includes('--long') }
const isGate = given.includes('--gate')
const name = given.find((argument) => !argument.startsWith('-')) ?? ''
const known = isGate ? GATE_CASES : allCases(effort)
const cases = known.filter((one) => one.name.includes(name))
if (cases.length === 0) throw new Error(`no case is called ${name}`)

const stop = new AbortController()
process.once('SIGINT', () => stop.abort(new Error('stopped')))
process.once('SIGTERM', () => stop.abort(new Error('stopped')))

try {
  await runAll()
} catch (error) {
  if (!stop.signal.aborted) throw error
  process.stderr.write('\nStopped; nothing was written.\n')
  process.exitCode = 130
}

async function runAll(): Promise<void> {
  const startedAt = new Date()
  const before = currentLoad()
  const results = await measure()
  if (isGate) await measureAgain(results)
  const run: RunFacts = {
    startedAt: startedAt.toISOString(),
    minutes: (Date.now() - startedAt.getTime()) / 60_000,
    effort,
    node: process.versions.node,
    machine: describeMachine(),
    load: { before, after: currentLoad() },
    versions: readVersions(),
  }
  if (name === '' && !isGate) {
    const sections = [...new Set(cases.map(({ section }) => section))]
    writeResults(
      sections.map((section) => ({
        section,
        run,
        cases: cases
          .filter((one) => one.section === section)
          .map((one) => ({ name: one.name, processes: results.get(one) ?? [] })),
      })),
    )
    await render()
    process.stderr.write('docs/benchmarks.md and its charts show these results.\n')
  }
  print(results, run)
}

/** In turns: each case once, then all of them again. */
async function measure(): Promise<Map<Case, ProcessResult[]>> {
  const results = new Map<Case, ProcessResult[]>(cases.map((one) => [one, []]))
  const processesOf = (one: Case): number => (effort.isQuick ? 1 : (one.processes ?? 3))
  const progress = createProgress(cases.reduce((sum, one) => sum + processesOf(one), 0))
  for (let turn = 0; turn < 3; turn += 1) {
    for (const one of cases.filter((one) => turn < processesOf(one))) {
      progress.begin(one.name)
      const process = await measureOnce(one)
      results.get(one)?.push(process)
      progress.end(
        hasValue(one) ? format(judge(one, [process]).spread.middle, one.unit) : `${process.rows.length} rows`,
      )
    }
  }
  return results
}

/** What misses its gate is measured anew: others on the machine hold up one process or another, and what is broken misses it in each. */
async function measureAgain(results: Map<Case, ProcessResult[]>): Promise<void> {
  for (const one of cases.filter(hasValue)) {
    for (let again = 0; again < 2 && judge(one, results.get(one) ?? []).isMissed; again += 1) {
      process.stderr.write(`once more: ${one.name}\n`)
      results.set(one, [await measureOnce(one)])
    }
  }
}

async function measureOnce(one: Case): Promise<ProcessResult> {
  return { rows: await runCase(one, stop.signal), load: currentLoad() }
}

function print(results: ReadonlyMap<Case, readonly ProcessResult[]>, run: RunFacts): void {
  const single = cases.filter(hasValue)
  console.log(`Node ${run.node}, ${run.machine.processors}; load ${run.load.before} to ${run.load.after}\n`)
  if (single.length > 0) console.log(renderTable(single.map((one) => ({ one, processes: results.get(one) ?? [] }))))
  for (const one of cases) {
    if (!hasValue(one)) console.log(`\n${one.name}\n\n${renderCaseRows(results.get(one) ?? [])}`)
  }
  const missed = single.filter((one) => judge(one, results.get(one) ?? []).isMissed)
  if (missed.length === 0) return
  console.log(`\nMissed: ${missed.map((one) => one.name).join('; ')}`)
  process.exitCode = 1
}
