/**
 * One side of the comparison of jobs, in a process of its own: `node jobs-side.js who=… store=… location=… port=… callers=…`.
 * A message is a number of jobs to run, the answer a message with its timing. It ends with its parent.
 */
import { startBullmq, startBullmqCalls } from '../bullmq-jobs.ts'
import { answer, type Jobs } from '../jobs.ts'
import { collectGarbage, type Timing } from '../measuring.ts'
import { startOutlive } from '../outlive-jobs.ts'
import { startPgBoss } from '../pg-boss-jobs.ts'
import { readArguments } from '../reporting.ts'
import { openStoreAt, type StoreKind } from '../store-place.ts'
import type { JobsSideName } from './start-jobs-side.ts'

const { who = 'outlive', store = 'redis', location = '', port = '0', callers: given = 'Infinity' } = readArguments()
const callers = Number(given)
const undos: (() => Promise<void>)[] = []
const onEnd = (undo: () => Promise<void>): void => void undos.push(undo)

const START: Readonly<Record<JobsSideName, () => Promise<Jobs>>> = {
  outlive: () => startOutlive(() => openStoreAt(store as StoreKind, location, 'own'), callers, onEnd),
  bullmq: () =>
    callers === Infinity ? startBullmq(Number(port), onEnd) : startBullmqCalls(Number(port), callers, onEnd),
  pgBoss: () => startPgBoss(location, onEnd),
}

/** Microseconds per job. */
async function time(jobs: Jobs, count: number): Promise<Timing> {
  collectGarbage()
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  const resultOf = await jobs.run(count)
  const tookMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(startedCpu)
  for (const n of [0, count >> 1, count - 1]) {
    const result = await resultOf(n)
    if (JSON.stringify(result) !== JSON.stringify(await answer(n)))
      throw new Error(`job ${n} gave ${JSON.stringify(result)}`)
  }
  return { us: (tookMs * 1_000) / count, cpuUs: (user + system) / count }
}

const jobs = await START[who as JobsSideName]()
process.on('message', (count: number) => {
  void time(jobs, count).then((timing) => process.send?.(timing))
})
process.on('disconnect', () => {
  void (async () => {
    for (const undo of undos.reverse()) await undo()
    process.exit()
  })()
})
process.send?.('ready')
