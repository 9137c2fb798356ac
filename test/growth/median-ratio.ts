const ROUNDS = 7

/**
 * How much longer twice the size takes, or `times` the size, for each figure that is measured: the median of the large
 * runs over the median of the small ones. The two take turns, so that what else the machine does hits both.
 */
export async function medianRatio(
  size: number,
  measure: (size: number) => Promise<readonly number[]>,
  times = 2,
): Promise<number[]> {
  await measure(size)
  const small: (readonly number[])[] = []
  const large: (readonly number[])[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    small.push(await measure(size))
    large.push(await measure(times * size))
  }
  return (small[0] ?? []).map((_, figure) => median(large, figure) / median(small, figure))
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

function median(runs: readonly (readonly number[])[], figure: number): number {
  const sorted = runs.map((run) => run[figure] ?? 0).toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
