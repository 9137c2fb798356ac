/** What is made of raw rounds: a middle and a spread. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Between two values that stand beside it, where none stands at it. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const lower = sorted[Math.floor(at)] ?? Number.NaN
  const upper = sorted[Math.ceil(at)] ?? Number.NaN
  return lower + (upper - lower) * (at - Math.floor(at))
}

/** The middle of many rounds, and where the middle half of them lies. */
export interface Spread {
  readonly middle: number
  readonly low: number
  readonly high: number
}

/** Of the rounds of several processes. The middle is the median of the processes' medians, so none of them counts more. */
export function toSpread(processes: readonly (readonly number[])[]): Spread {
  const all = processes.flat()
  return {
    middle: median(processes.filter((rounds) => rounds.length > 0).map(median)),
    low: quantile(all, 0.25),
    high: quantile(all, 0.75),
  }
}
