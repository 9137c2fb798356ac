/** How much longer more takes. What else the machine does can make a round slower, never quicker. */
import { expect } from 'vitest'

/** A ratio that is low by chance, as something held the small one up, is seen through by then. */
const LEAST_ROUNDS = 3
const MOST_ROUNDS = 20

export interface Growth {
  readonly size: number
  /** Without it, twice as much. */
  readonly times?: number
  /** What the ratio has to stay below, for each figure. */
  readonly below: number
}

/**
 * Fails unless `times` the size takes less than `below` times as long, for each figure that is measured. The two take turns, and
 * the quickest round of each counts. Rounds are added as long as that is too much: what grows too fast does so in all of them.
 */
export async function expectGrowth(
  { size, times = 2, below }: Growth,
  measure: (size: number) => Promise<readonly number[]>,
): Promise<void> {
  await measure(size)
  const small: (readonly number[])[] = []
  const large: (readonly number[])[] = []
  const ratios = (): number[] => (small[0] ?? []).map((_, figure) => least(large, figure) / least(small, figure))
  const isBelow = (): boolean => small.length >= LEAST_ROUNDS && ratios().every((ratio) => ratio < below)
  while (!isBelow() && small.length < MOST_ROUNDS) {
    small.push(await measure(size))
    large.push(await measure(times * size))
  }
  expect(ratios()).not.toEqual([])
  for (const ratio of ratios()) expect(ratio, `after ${small.length} rounds`).toBeLessThan(below)
}

/** Milliseconds that something takes on the processors, from a clean heap: what else the machine does is not in it. */
export async function processorMs(work: () => Promise<unknown>): Promise<number> {
  collectGarbage()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** Starts what is timed next from a clean heap, so that it does not pay for what was made before it. */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('the tests run with --expose-gc')
  globalThis.gc()
}

function least(runs: readonly (readonly number[])[], figure: number): number {
  return Math.min(...runs.map((run) => run[figure] ?? NaN))
}
