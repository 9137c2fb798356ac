import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ShutdownReport } from 'outlive'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram, runProgram, type ChildProgram } from './support/child-program.ts'
import { SCRATCH } from './support/repository.ts'

// Real processes and real signals. They wait for lines and for ends only, so these limits are for a machine that hangs.
let folder = ''
let program = ''
beforeAll(() => {
  mkdirSync(SCRATCH, { recursive: true })
  folder = mkdtempSync(join(SCRATCH, 'signals-'))
  program = buildProgram(folder, 'test/programs/signalled.ts')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('SIGTERM under load: new work is refused, live tasks end or are cancelled, and the process ends with 0', async () => {
  const { child } = await start('load')
  child.signal('SIGTERM')
  const { exitCode, stdout, stderr } = await child.ended
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  const said = stdout.slice(stdout.indexOf('heard')).trimEnd().split('\n')
  expect(said[0]).toBe('heard SIGTERM')
  expect(said.slice(1, 9)).toEqual(Array.from({ length: 8 }, () => 'refused supervisor_closed'))
  expect(said).toHaveLength(10)
  const report = reportIn(stdout)
  expect(report).toMatchObject({ abandoned: 0, unsaved: 0, undelivered: 0 })
  expect(report.completed).toBeGreaterThanOrEqual(20)
  expect(report.cancelled).toBeGreaterThanOrEqual(50)
})

test.each(['abandoned', 'unsaved', 'undelivered'] as const)(
  'work that is left %s ends the process with 1',
  async (kind) => {
    const { child } = await start(kind)
    child.signal('SIGINT')
    const { exitCode, stdout } = await child.ended
    expect(exitCode).toBe(1)
    const { abandoned, unsaved, undelivered } = reportIn(stdout)
    const lost = Object.entries({ abandoned, unsaved, undelivered }).filter(([, count]) => count > 0)
    expect(lost.map(([name]) => name)).toEqual([kind])
  },
)

test.each([
  { first: 'SIGTERM', second: 'SIGTERM', code: 143 },
  { first: 'SIGTERM', second: 'SIGINT', code: 130 },
  { first: 'SIGINT', second: 'SIGINT', code: 130 },
] as const)(
  'a second signal, $second after $first, ends at once with $code, and the store holds whole commits only',
  async ({ first, second, code }) => {
    const { child, log } = await start('patient')
    child.signal(first)
    await child.whenPrinted(new RegExp(`heard ${first}`))
    await untilNoRepeat()
    child.signal(second)
    const { exitCode, stdout, stderr } = await child.ended
    expect(stderr).toBe('')
    expect(exitCode).toBe(code)
    expect(stdout).not.toContain('report')

    const logs = logsIn(log)
    for (const { versions, seqs } of logs.values()) {
      expect(versions).toEqual(versions.map((_, index) => index + 1))
      expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    }
    const kept = [...stdout.matchAll(/^kept (.*)$/gm)].map(([, taskId = '']) => taskId)
    expect(kept.length).toBeGreaterThan(0)
    expect(kept.filter((taskId) => !logs.has(taskId))).toEqual([])
  },
)

test('the same signal again within moments is no second one', async () => {
  const { child } = await start('load')
  for (let times = 0; times < 3; times += 1) child.signal('SIGINT')
  const { exitCode, stdout } = await child.ended
  expect(exitCode).toBe(0)
  expect(reportIn(stdout)).toMatchObject({ abandoned: 0, unsaved: 0, undelivered: 0 })
})

test('a process that something else holds alive is left alive, and the next signal ends it as any other', async () => {
  const { child } = await start('held')
  child.signal('SIGTERM')
  await child.whenPrinted(/^report/m)
  child.signal('SIGTERM')
  expect(await child.ended).toMatchObject({ exitCode: null, signal: 'SIGTERM', stderr: '' })
})

/** Within 200 ms the same signal again is a repeat. */
const untilNoRepeat = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 250))

/** A process in the given scenario, full of work. */
async function start(scenario: string): Promise<{ readonly child: ChildProgram; readonly log: string }> {
  const log = join(mkdtempSync(join(folder, 'log-')), 'commits')
  const child = runProgram(program, [scenario, log])
  await child.whenPrinted(/^ready$/m)
  return { child, log }
}

function reportIn(stdout: string): ShutdownReport {
  return JSON.parse(/^report (.*)$/m.exec(stdout)?.[1] ?? '') as ShutdownReport
}

/** What the store was given of each task, in its order. A line that is not whole is an error. */
function logsIn(file: string): Map<string, { readonly versions: number[]; readonly seqs: number[] }> {
  const logs = new Map<string, { readonly versions: number[]; readonly seqs: number[] }>()
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    const { taskId, version, seqs } = JSON.parse(line) as { taskId: string; version: number; seqs: number[] }
    const log = logs.get(taskId) ?? { versions: [], seqs: [] }
    logs.set(taskId, log)
    log.versions.push(version)
    log.seqs.push(...seqs)
  }
  return logs
}
