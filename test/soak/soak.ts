/** One soak from the start of its processes to its findings. */
import { checkAtRest, type Findings } from './check.ts'
import { describeFault, drawFaults, SOAK_FAULTS, type SoakFaultKind } from './faults.ts'
import { judgeGrowth, type Growth, type Sample } from './growth.ts'
import type { Measured } from './worker.ts'
import { startWorld, WORKERS, type SoakWorld } from './world.ts'

export interface SoakOptions {
  readonly seed: number
  readonly durationMs: number
  /** A fault so often. */
  readonly faultEveryMs: number
  readonly leaseMs: number
  /** Trees that are begun in a second. */
  readonly rate: number
  /** Ends the run before its time, with what there is. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

export interface SoakReport extends Findings {
  readonly seed: number
  readonly ranMs: number
  readonly faults: Readonly<Record<SoakFaultKind, number>>
  readonly calls: number
  readonly refusals: Readonly<Record<string, number>>
  readonly workers: readonly WorkerReport[]
}

/** A process that lived until the end, and how long. */
interface WorkerReport {
  readonly name: string
  readonly livedMs: number
  readonly growth: Readonly<Record<Series, Growth>>
  readonly counters: Readonly<Record<string, number>>
}

const SERIES = ['heapBytes', 'handles', 'listeners'] as const
type Series = (typeof SERIES)[number]
/** What may be put down to caches that fill slowly, per minute. */
const ALLOWED: Readonly<Record<Series, number>> = { heapBytes: 200 * 1_024, handles: 0.5, listeners: 0.5 }
const REST_MS = 120_000

interface Life {
  startedMs: number
  readonly samples: Record<Series, Sample[]>
  counters: Measured['counters']
}

const newLife = (): Life => ({
  startedMs: performance.now(),
  samples: { heapBytes: [], handles: [], listeners: [] },
  counters: {},
})

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seed, leaseMs, durationMs, faultEveryMs, signal, say } = options
  const world = await startWorld(options)
  try {
    const startedMs = performance.now()
    const lives = Array.from({ length: WORKERS }, newLife)
    const faults = Object.fromEntries(SOAK_FAULTS.map((kind) => [kind, 0])) as Record<SoakFaultKind, number>
    const drawFault = drawFaults(seed, { workers: WORKERS, leaseMs })
    const passedMs = (): number => performance.now() - startedMs
    const tell = (line: string): void => say(`${String(Math.round(passedMs() / 1_000)).padStart(5)} s  ${line}`)

    for (let round = 1; !signal.aborted && world.lost.length === 0; round += 1) {
      const dueMs = Math.min(round * faultEveryMs, durationMs)
      await pause(Math.max(0, dueMs - passedMs()), signal)
      // Just before the next fault everything has had the longest time to be as ever.
      await sample(world, lives)
      const { calls, refusals } = world.counts()
      const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0)
      tell(`${calls} calls, ${refused} refused, ${describeLives(lives)}`)
      if (signal.aborted || passedMs() >= durationMs) break
      const fault = drawFault()
      tell(`fault: ${describeFault(fault)}`)
      await world.suffer(fault)
      faults[fault.kind] += 1
      if (fault.kind === 'kill') lives[fault.worker] = newLife()
    }
    const ranMs = passedMs()
    tell('no more calls; everything comes to rest')
    await world.stopLoad()
    const findings = await checkAtRest(world, REST_MS)
    tell(`${findings.tasks} tasks, ${findings.events} events, ${findings.breaches.length} breaches`)
    const workers = lives.map((life, index) => reportOf(life, `worker ${index + 1}`))
    const grown = workers.flatMap(({ name, growth }) =>
      SERIES.filter((series) => growth[series].verdict === 'grows').map((series) => `${name}: ${series} grow`),
    )
    const lost = world.lost.map((name) => `${name} has ended by itself`)
    return {
      ...findings,
      breaches: [...lost, ...findings.breaches, ...grown],
      seed,
      ranMs,
      faults,
      workers,
      ...world.counts(),
    }
  } finally {
    await world.close()
  }
}

async function sample(world: SoakWorld, lives: readonly Life[]): Promise<void> {
  const atMs = performance.now()
  const measureOne = async (life: Life, index: number): Promise<void> => {
    const measured = await world.measure(index).catch(() => undefined)
    // One that does not answer in time is measured the next time.
    if (measured === undefined) return
    for (const series of SERIES) life.samples[series].push({ atMs, value: measured[series] })
    life.counters = measured.counters
  }
  await Promise.all(lives.map(measureOne))
}

function reportOf(life: Life, name: string): WorkerReport {
  const growth = Object.fromEntries(
    SERIES.map((series) => [series, judgeGrowth(life.samples[series], ALLOWED[series])]),
  ) as Record<Series, Growth>
  return { name, livedMs: performance.now() - life.startedMs, growth, counters: life.counters }
}

function describeLives(lives: readonly Life[]): string {
  const heaps = lives.map(({ samples }) => ((samples.heapBytes.at(-1)?.value ?? 0) / 2 ** 20).toFixed(1))
  const handles = lives.map(({ samples }) => samples.handles.at(-1)?.value ?? 0)
  return `heap ${heaps.join(' / ')} MiB, handles ${handles.join(' / ')}`
}

/** Resolves after so long, or when the signal says so. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
