/** The longest block of the event loop when 100,000 tasks start, end, come due or are cancelled in one turn. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunOutcome } from 'outlive'
import { collectGarbage, createBenchSupervisor, readArguments, report, type Variant } from './measuring.ts'

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

/** The longest time between two turns of the loop while something happens. */
async function longestBlock(happen: () => Promise<unknown>): Promise<number> {
  collectGarbage()
  await sleep(20)
  longestMs = 0
  lastTurnMs = performance.now()
  await happen()
  await sleep(5)
  return longestMs
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
  const startMs = await longestBlock(async () => {
    promises = Array.from({ length: count }, () =>
      new Promise<number>((resolve) => resolves.push(resolve)).then((value) => ({ value })),
    )
  })
  const endMs = await longestBlock(async () => {
    for (const resolve of resolves) resolve(1)
    await Promise.all(promises)
  })
  return { startMs, endMs }
}

const BURSTS: Readonly<Record<string, () => Promise<Readonly<Record<string, number>>>>> = {
  async start() {
    const calls: Promise<RunOutcome<number>>[] = []
    const ms = await longestBlock(async () => {
      for (let n = 0; n < count; n += 1) calls.push(session.run(work, undefined, { inlineMs: Infinity }))
      while (releases.length < count) await sleep(1)
    })
    for (const release of releases) release(1)
    await Promise.all(calls)
    const { startMs } = await bare()
    return { ms, bareMs: startMs }
  },
  async complete() {
    const calls = await startGently({ inlineMs: Infinity })
    const ms = await longestBlock(async () => {
      for (const release of releases) release(1)
      await Promise.all(calls)
    })
    const { endMs } = await bare()
    return { ms, bareMs: endMs }
  },
  async softDeadline() {
    const calls = await startGently({ inlineMs: 8_000 })
    return { ms: await longestBlock(() => Promise.all(calls)) }
  },
  async hardDeadline() {
    const calls = await startGently({ inlineMs: Infinity, timeoutMs: 8_000 })
    return { ms: await longestBlock(() => Promise.allSettled(calls)) }
  },
  async cancel() {
    const calls = await startGently({ inlineMs: Infinity })
    const settled = Promise.allSettled(calls)
    return { ms: await longestBlock(() => session.cancelAll().then(() => settled)) }
  },
  async quiet() {
    const calls = await startGently({ inlineMs: Infinity })
    const cpuBefore = process.cpuUsage()
    isWatching = false
    await sleep(5_000)
    const { user, system } = process.cpuUsage(cpuBefore)
    for (const release of releases) release(1)
    await Promise.all(calls)
    return { percent: (user + system) / 50_000 }
  },
}

const run = BURSTS[burst]
if (run === undefined) throw new Error(`there is no burst ${burst}`)
turn()
const measured = await run()
isWatching = false
await session.cancelAll()
await whenNoneLive()
report(measured)
await supervisor.shutdown()
