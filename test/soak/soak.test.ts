import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRandom, type Random } from '../../src/testing/simulation/random.ts'
import { buildProgram, runProgram } from '../support/child-program.ts'
import { fc } from '../support/properties.ts'
import { SCRATCH } from '../support/repository.ts'
import { drawFaults, SOAK_FAULTS } from './faults.ts'
import { judgeGrowth, type Sample } from './growth.ts'
import { meanOf, seriesOf } from './measured.ts'

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
      series((minutes, index) => 5_000 + 200 * minutes + scatter(index)),
      ALLOWED,
    ),
  ).toMatchObject({
    verdict: 'grows',
    first: 5_200,
    last: 7_200,
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

/** What a worker had under way in a sound run of ten minutes, every half minute. */
const UNDER_WAY = [20, 27, 20, 29, 26, 20, 17, 18, 13, 20, 23, 25, 29, 25, 22, 22, 28, 22, 22, 25]
const SAMPLES = 21
const MEASUREMENTS = 10
const RUNS = 1_000
const HALF_A_HANDLE = 0.5

/** Such values in another order, in runs of up to four neighbours. */
function drawNoise(random: Random): number[] {
  const length = 1 + random.below(4)
  const drawn: number[] = []
  while (drawn.length < SAMPLES) {
    const from = random.below(UNDER_WAY.length - length)
    drawn.push(...UNDER_WAY.slice(from, from + length))
  }
  return drawn
}

/** Measured several times for a sample, and half of the time what was under way is so still. */
function drawMeasured(random: Random): number[] {
  return Array.from({ length: SAMPLES }, () => {
    let under = random.pick(UNDER_WAY)
    const measured = Array.from({ length: MEASUREMENTS }, () => {
      if (random.chance(0.5)) under = random.pick(UNDER_WAY)
      return { under }
    })
    return meanOf(measured)['under'] ?? 0
  })
}

/** How many of a thousand runs are said to grow. */
function countGrowing(draw: (random: Random) => readonly Sample[], allowed: number): number {
  const seeds = fc.sample(fc.noBias(fc.integer({ min: 0 })), RUNS)
  return seeds.filter((seed) => judgeGrowth(draw(createRandom(seed)), allowed).verdict === 'grows').length
}

test('what goes up and down with the load does not grow', () => {
  const seen = UNDER_WAY.map((value, index) => ({ atMs: index * 29_999, value }))
  const judged = judgeGrowth(seen, HALF_A_HANDLE)
  expect(judged.verdict).toBe('flat')
  expect(judged.perMinute).toBeCloseTo(1.06, 2)
  for (const drawValues of [drawNoise, drawMeasured]) {
    const draw = (random: Random): Sample[] => {
      const values = drawValues(random)
      return series((_, index) => values[index] ?? 0)
    }
    expect(countGrowing(draw, HALF_A_HANDLE)).toBeLessThanOrEqual(RUNS / 100)
  }
})

test('one handle more every half minute is found in ten minutes, above all that goes up and down', () => {
  const draw = (random: Random): Sample[] => {
    const values = drawMeasured(random)
    return series((_, index) => (values[index] ?? 0) + index)
  }
  expect(countGrowing(draw, HALF_A_HANDLE)).toBeGreaterThanOrEqual(RUNS * 0.99)
})

test('a heap that grows by twice what it may is found in ten minutes, and one that grows by half of that is not', () => {
  const [mayGrow, wave] = [200 * 1_024, 400 * 1_024]
  const drawAt = (part: number) => (random: Random) =>
    series((minutes) => 2 ** 25 + part * mayGrow * minutes + wave * (2 * random() - 1))
  expect(countGrowing(drawAt(2), mayGrow)).toBeGreaterThanOrEqual(RUNS * 0.99)
  expect(countGrowing(drawAt(0.5), mayGrow)).toBe(0)
})

test('of several measurements the mean counts, for each kind by itself; what is not named is 0', () => {
  expect(meanOf([{ heap: 5 }, { heap: 9, TCPSocketWrap: 4 }, { heap: 7, TCPSocketWrap: 2 }])).toEqual({
    heap: 7,
    TCPSocketWrap: 2,
  })
  const samples = [
    { atMs: 1, values: { heap: 5 } },
    { atMs: 2, values: { heap: 6, Timeout: 3 } },
  ]
  expect(seriesOf(samples)).toEqual({
    heap: [
      { atMs: 1, value: 5 },
      { atMs: 2, value: 6 },
    ],
    Timeout: [
      { atMs: 1, value: 0 },
      { atMs: 2, value: 3 },
    ],
  })
})
