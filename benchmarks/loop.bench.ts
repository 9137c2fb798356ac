/**
 * The event loop while 100,000 tasks start, end, come due or are cancelled: the longest time between two turns of it, and the
 * delay of a timer of a millisecond (median, 99th percentile, longest) as Node measures it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunOutcome } from 'outlive'
import { collectGarbage, createBenchSupervisor, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'

const { burst = 'complete', variant = 'memoised', tasks: countGiven = '100000' } = readArguments()
const count = Number(countGiven)

const supervisor = createBenchSupervisor(variant as Variant, { graceMs: 1_000 })
const session = supervisor.session({ owner: 'bench' })
const releases: ((value: number) => void)[] = []
const work = (): Promise<number> => new Promise((resolve) => releases.push(resolve))

let lastTurnMs = 0
let longestMs = 0
let isWatching = true
const turn = (): void => {
  const nowMs = performance.now()
  longestMs = Math.max(longestMs, nowMs - lastTurnMs)
  lastTurnMs = nowMs
  if (isWatching) setImmediate(turn)
}

/** How late the loop was, in milliseconds. */
interface Lateness {
  readonly ms: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** How late the loop is while something happens. */
async function watchLoop(happen: () => Promise<unknown>): Promise<Lateness> {
  collectGarbage()
  await sleep(20)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  longestMs = 0
  lastTurnMs = performance.now()
  delay.enable()
  await happen()
  await sleep(5)
  delay.disable()
  const toMs = (nanoseconds: number): number => nanoseconds / 1e6
  return {
    ms: longestMs,
    p50Ms: toMs(delay.percentile(50)),
    p99Ms: toMs(delay.percentile(99)),
    maxMs: toMs(delay.max),
  }
}

/** The calls, 500 a turn, so that their start is no burst. */
async function startGently(options: { readonly inlineMs: number; readonly timeoutMs?: number }) {
  const calls: Promise<RunOutcome<number>>[] = []
  for (let n = 0; n < count; n += 1) {
    calls.push(session.run(work, undefined, options))
    if (n % 500 === 499) await new Promise((resolve) => setImmediate(resolve))
  }
  return calls
}

async function whenNoneLive(): Promise<void> {
  while ((await session.stats()).live > 0) await sleep(5)
}

/** The same number of bare promises: what no library can do without. */
async function bare(): Promise<{ readonly startMs: number; readonly endMs: number }> {
  const resolves: ((value: number) => void)[] = []
  let promises: Promise<{ readonly value: number }>[] = []
  const { ms: startMs } = await watchLoop(async () => {
    promises = Array.from({ length: count }, () =>
      new Promise<number>((resolve) => resolves.push(resolve)).then((value) => ({ value })),
    )
  })
  const answers = Promise.all(promises)
  const { ms: endMs } = await watchLoop(async () => {
    for (const resolve of resolves) resolve(1)
    await answers
  })
  return { startMs, endMs }
}

/** Longer than it takes to start all of them. */
const DUE_MS = 4_000

const BURSTS: Readonly<Record<string, () => Promise<object>>> = {
  async gentle() {
    let calls: Promise<RunOutcome<number>>[] = []
    const lateness = await watchLoop(async () => (calls = await startGently({ inlineMs: Infinity })))
    for (const release of releases) release(1)
    await Promise.all(calls)
    return lateness
  },
  async start() {
    const calls: Promise<RunOutcome<number>>[] = []
    const lateness = await watchLoop(async () => {
      for (let n = 0; n < count; n += 1) calls.push(session.run(work, undefined, { inlineMs: Infinity }))
      while (releases.length < count) await sleep(1)
    })
    for (const release of releases) release(1)
    await Promise.all(calls)
    const { startMs } = await bare()
    return { ...lateness, bareMs: startMs }
  },
  async complete() {
    const answers = Promise.all(await startGently({ inlineMs: Infinity }))
    const lateness = await watchLoop(async () => {
      for (const release of releases) release(1)
      await answers
    })
    const { endMs } = await bare()
    return { ...lateness, bareMs: endMs }
  },
  async softDeadline() {
    const answers = Promise.all(await startGently({ inlineMs: DUE_MS }))
    return watchLoop(() => answers)
  },
  async hardDeadline() {
    const answers = Promise.allSettled(await startGently({ inlineMs: Infinity, timeoutMs: DUE_MS }))
    return watchLoop(() => answers)
  },
  async cancel() {
    const calls = await startGently({ inlineMs: Infinity })
    const settled = Promise.allSettled(calls)
    return watchLoop(() => session.cancelAll().then(() => settled))
  },
  async quiet() {
    const calls = await startGently({ inlineMs: Infinity })
    // The watching itself would be most of what the processors do.
    isWatching = false
    const cpuBefore = process.cpuUsage()
    await sleep(5_000)
    const { user, system } = process.cpuUsage(cpuBefore)
    const { p50Ms, p99Ms, maxMs } = await watchLoop(() => sleep(3_000))
    for (const release of releases) release(1)
    await Promise.all(calls)
    return { percent: (user + system) / 50_000, p50Ms, p99Ms, maxMs }
  },
}

const run = BURSTS[burst]
if (run === undefined) throw new Error(`there is no burst ${burst}`)
turn()
const measured = await run()
isWatching = false
await session.cancelAll()
await whenNoneLive()
report({ ...measured })
await supervisor.shutdown()
