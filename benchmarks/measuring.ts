/** How the cases measure: supervisors without limits, clean heaps, the clock and the processors. */
import { createTaskSupervisor, type TaskSupervisor, type TaskSupervisorOptions } from 'outlive'

export type Variant = 'memoised' | 'machine' | 'explicit'

const VARIANT_OPTIONS: Readonly<Record<Variant, TaskSupervisorOptions>> = {
  /** As it comes. */
  memoised: {},
  /** The charts themselves, without their table. */
  machine: { memoise: false },
  /** The async context is never entered. */
  explicit: { lineage: 'explicit' },
}

/** A supervisor without limits that a benchmark would hit, and without a voice. */
export function createBenchSupervisor(variant: Variant, options: TaskSupervisorOptions = {}): TaskSupervisor {
  return createTaskSupervisor({
    ...VARIANT_OPTIONS[variant],
    limits: { maxLive: Infinity, maxDepth: Infinity, maxChildren: Infinity },
    logger: { warn: () => undefined, error: () => undefined },
    ...options,
  })
}

/** What is weighed is collected twice: what the first time has let go of is there until the second. */
export function collectGarbage({ times = 2 }: { readonly times?: number } = {}): void {
  if (globalThis.gc === undefined) throw new Error('benchmarks need node --expose-gc')
  for (let time = 0; time < times; time += 1) globalThis.gc()
}

/** Microseconds per task: by the clock, and on the processors. */
export interface Timing {
  readonly us: number
  readonly cpuUs: number
}

/**
 * Times `count` tasks, after a garbage collection and a run-in that is not timed: it is for processes that have slept while
 * others had their turns. What the tasks give is used, so none is left out.
 */
export async function timeTasks(count: number, work: (count: number) => Promise<number>, runIn = 0): Promise<Timing> {
  collectGarbage({ times: 1 })
  if (runIn > 0) await work(runIn)
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  const sum = await work(count)
  const tookMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(startedCpu)
  const expected = (count * (count + 1)) / 2
  if (sum !== expected) throw new Error(`the tasks gave ${sum}, not ${expected}`)
  return { us: (tookMs * 1_000) / count, cpuUs: (user + system) / count }
}

/** Calls one after the other. */
export function oneByOne(call: (n: number) => Promise<number>): (count: number) => Promise<number> {
  return async (count) => {
    let sum = 0
    for (let n = 0; n < count; n += 1) sum += await call(n)
    return sum
  }
}

export const BATCH = 1_000

/** Calls started a thousand at a time. */
export function inBatches(call: (n: number) => Promise<number>): (count: number) => Promise<number> {
  return async (count) => {
    let sum = 0
    for (let first = 0; first < count; first += BATCH) {
      const calls: Promise<number>[] = []
      for (let n = first; n < Math.min(first + BATCH, count); n += 1) calls.push(call(n))
      for (const value of await Promise.all(calls)) sum += value
    }
    return sum
  }
}

/** Compares what was measured in turns, round by round. */
export function paired<Own, Beside>(
  owns: readonly Own[],
  besides: readonly Beside[],
  compare: (own: Own, beside: Beside) => number,
): number[] {
  if (owns.length !== besides.length) throw new Error('rounds that took turns are as many on both sides')
  return owns.flatMap((own, round) => {
    const beside = besides[round]
    return beside === undefined ? [] : [compare(own, beside)]
  })
}
