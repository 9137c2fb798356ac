import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram, runProgram } from '../support/child-program.ts'
import { SCRATCH } from '../support/repository.ts'
import { drawFaults, SOAK_FAULTS } from './faults.ts'
import { judgeGrowth, type Sample } from './growth.ts'

const folder = join(SCRATCH, `soak-${process.pid}`)
let program = ''
beforeAll(() => {
  program = buildProgram(folder, 'test/soak/run.ts', ['test/support'])
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a short soak sees each fault, is ended by one Ctrl-C, and reports that all is sound', async () => {
  const given = { minutes: '5', seed: '7', 'fault-seconds': '0.8', 'lease-ms': '500', rate: '8' }
  const running = runProgram(
    program,
    Object.entries(given).map(([name, value]) => `--${name}=${value}`),
  )
  await running.whenPrinted(new RegExp(`(fault: [^]*){${SOAK_FAULTS.length + 1}}`))
  running.signal('SIGINT')
  const { exitCode, stdout, stderr } = await running.ended
  expect({ exitCode, stdout: exitCode === 0 ? '' : stdout, stderr: exitCode === 0 ? '' : stderr }).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: '',
  })
  expect(stdout).toMatch(/^# Soak of \d+ s, seed 7: sound\n/)
  for (const kind of SOAK_FAULTS) expect(stdout).toMatch(new RegExp(`^- faults: .*${kind} [12]`, 'm'))
  expect(Number(/- (\d+) tasks \(completed/.exec(stdout)?.[1])).toBeGreaterThan(10)
  expect(Number(/results: delivered (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(5)
  expect(stderr).toMatch(/^seed 7\n/)
  await expect.poll(() => running.livingProcesses()).toEqual([])
})

test('faults come in rounds of each kind, the same ones for the same seed, and the first worker is never killed', () => {
  const draw = (seed: number) => {
    const next = drawFaults(seed, { workers: 3, leaseMs: 1_000 })
    return Array.from({ length: 200 }, () => next())
  }
  const faults = draw(1)
  expect(draw(1)).toEqual(faults)
  expect(draw(2)).not.toEqual(faults)
  for (let from = 0; from < faults.length; from += SOAK_FAULTS.length) {
    const round = faults.slice(from, from + SOAK_FAULTS.length).map(({ kind }) => kind)
    expect(round.toSorted()).toEqual(SOAK_FAULTS.toSorted())
  }
  const killed = faults.flatMap((fault) => (fault.kind === 'kill' ? [fault.worker] : []))
  expect(new Set(killed)).toEqual(new Set([1, 2]))
})

const MINUTE_MS = 60_000
const ALLOWED = 100
/** Ten minutes, a sample every 30 s. */
const series = (valueAt: (minutes: number, index: number) => number): Sample[] =>
  Array.from({ length: 21 }, (_, index) => ({ atMs: 7_000 + index * 30_000, value: valueAt(index / 2, index) }))

test('a series grows when it rises by more than it may, and by more than it scatters', () => {
  const scatter = (index: number): number => (index % 2 === 0 ? 200 : -200)
  expect(
    judgeGrowth(
      series(() => 5_000),
      ALLOWED,
    ).verdict,
  ).toBe('flat')
  expect(
    judgeGrowth(
      series((_, index) => 5_000 + scatter(index)),
      ALLOWED,
    ).verdict,
  ).toBe('flat')
  expect(
    judgeGrowth(
      series((minutes) => 5_000 + 90 * minutes),
      ALLOWED,
    ).verdict,
  ).toBe('flat')
  expect(
    judgeGrowth(
      series((minutes, index) => 5_000 + 150 * minutes + scatter(index)),
      ALLOWED,
    ),
  ).toMatchObject({
    verdict: 'grows',
    first: 5_200,
    last: 6_700,
  })
  expect(
    judgeGrowth(
      series((minutes) => 5_000 - 500 * minutes),
      ALLOWED,
    ).verdict,
  ).toBe('flat')
})

test('how it begins does not count, and what is too short is not judged', () => {
  const warming = series((minutes) => (minutes < 2 ? 5_000 * minutes : 10_000))
  expect(judgeGrowth(warming, ALLOWED)).toMatchObject({ verdict: 'flat', perMinute: 0, samples: 17 })
  const short = series((minutes) => 5_000 * minutes).filter(({ atMs }) => atMs < 4 * MINUTE_MS)
  expect(judgeGrowth(short, ALLOWED).verdict).toBe('unknown')
  expect(judgeGrowth([], ALLOWED).verdict).toBe('unknown')
})
