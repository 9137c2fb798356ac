/**
 * Whether something grows: a line through samples taken in the course of a run, and how sure that line is.
 *
 * A series grows when its line is sure to rise by more than it may: by more than that still when three times its standard
 * error is taken off. What is under way goes up and down in waves, so a sample resembles the one before, and tells less than
 * one drawn anew: the more they do, the larger the error. The beginning, while code is compiled and caches are filled, is
 * left out.
 */

export interface Sample {
  readonly atMs: number
  readonly value: number
}

export interface Growth {
  readonly samples: number
  readonly first: number
  readonly last: number
  readonly perMinute: number
  /** The standard error of that. */
  readonly uncertainty: number
  /** `unknown`: too short, or too few samples. */
  readonly verdict: 'flat' | 'grows' | 'unknown'
}

const WARM_UP_MS = 120_000
const MIN_SAMPLES = 6
const MIN_SPAN_MS = 180_000
const SURE_ERRORS = 3

/** `allowedPerMinute` is what may be put down to caches that fill slowly. */
export function judgeGrowth(all: readonly Sample[], allowedPerMinute: number): Growth {
  const startMs = all[0]?.atMs ?? 0
  const warm = all.filter(({ atMs }) => atMs - startMs >= WARM_UP_MS)
  const spanMs = (warm.at(-1)?.atMs ?? 0) - (warm[0]?.atMs ?? 0)
  const isEnough = warm.length >= MIN_SAMPLES && spanMs >= MIN_SPAN_MS
  const { slope, error } = fitLine(isEnough ? warm : all)
  const isGrowing = slope - SURE_ERRORS * error > allowedPerMinute
  return {
    samples: (isEnough ? warm : all).length,
    first: all[0]?.value ?? 0,
    last: all.at(-1)?.value ?? 0,
    perMinute: slope,
    uncertainty: error,
    verdict: isEnough ? (isGrowing ? 'grows' : 'flat') : 'unknown',
  }
}

/** Least squares, per minute. */
function fitLine(samples: readonly Sample[]): { readonly slope: number; readonly error: number } {
  const count = samples.length
  if (count < 3) return { slope: 0, error: Infinity }
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, one) => sum + of(one), 0) / count
  const minutes = ({ atMs }: Sample): number => atMs / 60_000
  const [meanX, meanY] = [mean(minutes), mean(({ value }) => value)]
  const spread = samples.reduce((sum, one) => sum + (minutes(one) - meanX) ** 2, 0)
  const slope = samples.reduce((sum, one) => sum + (minutes(one) - meanX) * (one.value - meanY), 0) / spread
  const rests = samples.map((one) => one.value - meanY - slope * (minutes(one) - meanX))
  const rest = rests.reduce((sum, one) => sum + one ** 2, 0)
  return { slope, error: Math.sqrt((rest / (count - 2) / spread) * waves(rests)) }
}

/** By how much neighbours that resemble each other raise the variance of a line. */
function waves(rests: readonly number[]): number {
  const square = rests.reduce((sum, one) => sum + one ** 2, 0)
  if (square === 0) return 1
  const alike = Math.max(0, rests.slice(1).reduce((sum, one, index) => sum + one * (rests[index] ?? 0), 0) / square)
  return (1 + alike) / (1 - alike)
}
