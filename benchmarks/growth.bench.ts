/** What a quick call costs while few or many tasks live: at 1,000, at 100,000, and at 1,000 again. */
import { createBenchSupervisor, oneByOne, timeTasks, type Timing, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'
import { median } from './statistics.ts'

const { variant = 'memoised', rounds = '5', tasks: perRound = '20000', few = '1000', many = '100000' } = readArguments()

const supervisor = createBenchSupervisor(variant as Variant, { graceMs: 1, inlineMs: Infinity })
const session = supervisor.session({ owner: 'bench' })
const crowd = supervisor.session({ owner: 'crowd' })
const never = (): Promise<number> => new Promise<number>(() => undefined)
const plusOne = async (n: number): Promise<number> => n + 1
const quick = oneByOne(async (n) => {
  const outcome = await session.run(plusOne, n)
  return outcome.kind === 'inline' ? outcome.value : Number.NaN
})

const raiseTo = async (count: number, runId: string): Promise<void> => {
  const { live } = await crowd.stats()
  for (let n = live; n < count; n += 1) {
    // What becomes of these calls is of no interest; they are cancelled in the end.
    crowd.run(never, undefined, { correlation: { runId } }).catch(() => undefined)
  }
  const { live: now } = await crowd.stats()
  if (now !== count) throw new Error(`${now} tasks live, not ${count}`)
}

const measure = async (): Promise<Timing> => {
  const timings: Timing[] = []
  await quick(5_000)
  for (let round = 0; round < Number(rounds); round += 1) timings.push(await timeTasks(Number(perRound), quick))
  return { us: median(timings.map(({ us }) => us)), cpuUs: median(timings.map(({ cpuUs }) => cpuUs)) }
}

await raiseTo(Number(few), 'few')
await quick(10_000)
const before = await measure()
await raiseTo(Number(many), 'many')
const crowded = await measure()
await crowd.cancelAll({ runId: 'many' })
const after = await measure()
await crowd.cancelAll()

const fewUs = (before.us + after.us) / 2
const growth = crowded.us / fewUs
// On a busy machine the clock runs on while the process waits for a processor.
const cpuGrowth = (2 * crowded.cpuUs) / (before.cpuUs + after.cpuUs)
report({ growth: Math.min(growth, cpuGrowth), fewUs, manyUs: crowded.us, clockGrowth: growth, cpuGrowth })
await supervisor.shutdown()
