/** One soak from the start of its processes to its findings. */
import { checkAtRest, type Findings } from './check.ts'
import { describeFault, drawFaults, SOAK_FAULTS, type SoakFaultKind } from './faults.ts'
import { judgeGrowth, type Growth } from './growth.ts'
import { meanOf, seriesOf, type Values } from './measured.ts'
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
  /** By what was measured. */
  readonly growth: Readonly<Record<string, Growth>>
  readonly counters: Readonly<Record<string, number>>
}

/** What may be put down to caches that fill slowly, per minute. */
const ALLOWED_HEAP_BYTES = 200 * 1_024
const ALLOWED_OTHERS = 0.5
/** A sample is the mean of so many measurements. */
const MEASUREMENTS = 10
const MEASURE_EVERY_MS = 1_000
const REST_MS = 120_000

interface Life {
  startedMs: number
  readonly samples: { readonly atMs: number; readonly values: Values }[]
  counters: Measured['counters']
}

const newLife = (): Life => ({ startedMs: performance.now(), samples: [], counters: {} })

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seed, leaseMs, durationMs, faultEveryMs, signal, say } = options
  const world = await startWorld(options)
  try {
    const startedMs = performance.now()
    const lives = Array.from({ length: WORKERS }, newLife)
    const faults = Object.fromEntries(SOAK_FAULTS.map((kind) => [kind, 0])) as Record<SoakFaultKind, number>
    const drawFault = drawFaults(seed, { workers: WORKERS, leaseMs })
    const passedMs = (): number => performance.now() - startedMs
    // Just before the next fault everything has had the longest time to be as ever.
    const measureEveryMs = Math.min(MEASURE_EVERY_MS, faultEveryMs / (3 * MEASUREMENTS))
    const tell = (line: string): void => say(`${String(Math.round(passedMs() / 1_000)).padStart(5)} s  ${line}`)

    for (let round = 1; !signal.aborted && world.lost.length === 0; round += 1) {
      const dueMs = Math.min(round * faultEveryMs, durationMs)
      await pause(Math.max(0, dueMs - MEASUREMENTS * measureEveryMs - passedMs()), signal)
      await sample(world, lives, () => pause(measureEveryMs, signal))
      await pause(Math.max(0, dueMs - passedMs()), signal)
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
      Object.keys(growth)
        .filter((what) => growth[what]?.verdict === 'grows')
        .map((what) => `${name}: ${what} grows`),
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

async function sample(world: SoakWorld, lives: readonly Life[], wait: () => Promise<void>): Promise<void> {
  const sampleOne = async (life: Life, index: number): Promise<void> => {
    const atMs = performance.now()
    const measured: Values[] = []
    for (let time = 0; time < MEASUREMENTS; time += 1) {
      const one = await world.measure(index).catch(() => undefined)
      // One that does not answer in time is measured the next time.
      if (one === undefined) break
      measured.push({ heap: one.heapBytes, listeners: one.listeners, ...one.handles })
      life.counters = one.counters
      await wait()
    }
    if (measured.length > 0) life.samples.push({ atMs, values: meanOf(measured) })
  }
  await Promise.all(lives.map(sampleOne))
}

function reportOf({ startedMs, samples, counters }: Life, name: string): WorkerReport {
  const growth = Object.entries(seriesOf(samples)).map(([what, series]): [string, Growth] => [
    what,
    judgeGrowth(series, what === 'heap' ? ALLOWED_HEAP_BYTES : ALLOWED_OTHERS),
  ])
  return { name, livedMs: performance.now() - startedMs, growth: Object.fromEntries(growth), counters }
}

function describeLives(lives: readonly Life[]): string {
  const latest = (what: string, unit: number): string =>
    lives.map(({ samples }) => ((samples.at(-1)?.values[what] ?? 0) / unit).toFixed(1)).join(' / ')
  return `heap ${latest('heap', 2 ** 20)} MiB, sockets ${latest('TCPSocketWrap', 1)}, timers ${latest('Timeout', 1)}`
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
