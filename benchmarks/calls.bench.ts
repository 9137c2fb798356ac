/**
 * The same quick call done by everyone: one by one, a thousand at a time, with work that takes a turn of the loop, and with
 * work that reads its signal. Each has a process of its own, and they take turns.
 */
import { BATCH, type Timing } from './measuring.ts'
import { readArguments, reportRows, type Row } from './reporting.ts'
import type { WorkName } from './sides/orders.ts'
import { factsOf, type Side, type SideName } from './sides/start-side.ts'
import { countFor, ratiosTo, startSides, takeTurns } from './sides/taking-turns.ts'

const { rounds = '5', tasks = '20000', peers = '' } = readArguments()

const ALL: readonly SideName[] = [
  'outlive',
  'bare',
  'floor',
  'pQueue',
  'pQueueTimeout',
  'effectTimeout',
  'effectFork',
  'mcpTaskStore',
  'betterAll',
  'effection',
  'effectionRace',
  'xstateActors',
  'xstateSupervisor',
  'stargazer',
  'outliveExplicit',
  'outliveMachine',
  'outliveEverything',
]

const WAYS: readonly { readonly work: WorkName; readonly order: 'one' | 'batch' }[] = [
  { work: 'now', order: 'one' },
  { work: 'now', order: 'batch' },
  { work: 'later', order: 'batch' },
  { work: 'reading', order: 'one' },
]

/** A side is warm after so many calls, or after so long on the processors; for the ways after the first it nearly is. */
const WARM_CALLS = 16_000
const WARMER_CALLS = 6_000
const WARM_CPU_MS = 1_000
/** Who takes longer than this for a batch runs two rounds only. */
const SLOW_US = 1_000

/** Microseconds of a call in the end. */
async function warmUp(call: (count: number) => Promise<Timing>, most: number): Promise<number> {
  let last = await call(BATCH)
  let calls = BATCH
  let cpuMs = (last.cpuUs * BATCH) / 1_000
  while (calls < most && cpuMs < WARM_CPU_MS) {
    last = await call(5 * BATCH)
    calls += 5 * BATCH
    cpuMs += (last.cpuUs * 5 * BATCH) / 1_000
  }
  // On a busy machine the clock runs on while the process waits for a processor.
  return Math.min(last.us, last.cpuUs)
}

const contest = startSides(peers === '' ? ALL : ALL.filter((name) => ['outlive', ...peers.split(',')].includes(name)))
try {
  const figures = new Map<SideName, Record<string, readonly number[]>>(contest.sides.map(({ name }) => [name, {}]))
  for (const [way, { work, order }] of WAYS.entries()) {
    const isFirst = way === 0
    const sides = contest.sides.filter(({ name }) => work !== 'reading' || factsOf(name).hasSignal === true)
    const counts = new Map<SideName, number>()
    const call = (side: Side, count: number): Promise<Timing> => side.ask({ kind: 'calls', work, order, count })
    const slow = new Set<SideName>()
    for (const side of sides) {
      const us = await warmUp((count) => call(side, count), isFirst ? WARM_CALLS : WARMER_CALLS)
      counts.set(side.name, countFor(us, Number(tasks)))
      if (us > SLOW_US) slow.add(side.name)
    }
    const timings = await takeTurns(
      sides,
      (side) => (slow.has(side.name) ? Math.min(2, Number(rounds)) : Number(rounds)),
      (side) => call(side, counts.get(side.name) ?? BATCH),
    )
    const ours = timings.get('outlive') ?? []
    const ourUs = ours.map(({ us }) => us)
    const ourCpuUs = ours.map(({ cpuUs }) => cpuUs)
    for (const [name, own] of timings) {
      const us = own.map((timing) => timing.us)
      const cpuUs = own.map((timing) => timing.cpuUs)
      Object.assign(figures.get(name) ?? {}, {
        [`${work} ${order} us`]: us,
        [`${work} ${order} cpuUs`]: cpuUs,
        [`${work} ${order} ratio`]: ratiosTo(ourUs, us),
        [`${work} ${order} cpuRatio`]: ratiosTo(ourCpuUs, cpuUs),
      })
    }
  }
  const rows = contest.sides.map(({ name }): Row => {
    const { title, lacks } = factsOf(name)
    return { name: title, figures: figures.get(name) ?? {}, ...(lacks === undefined ? {} : { lacks }) }
  })
  reportRows([...rows, ...contest.absent])
} finally {
  contest.close()
}
