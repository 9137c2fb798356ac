/**
 * Jobs from end to end on one server: taken on, run, their results kept and readable. `outlive` in turns with a queue that
 * has the same server: BullMQ over Redis, pg-boss over PostgreSQL. All jobs are there at once, or `callers` make them, each of
 * whom waits for a result before he calls again. Time on the processors is that of this process, and of Redis.
 */
import { createTaskSupervisor } from 'outlive'
import { startBullmq, startBullmqCalls } from './bullmq-jobs.ts'
import { answer, callInTurns, type Jobs } from './jobs.ts'
import { collectGarbage, paired, type Timing } from './measuring.ts'
import { startPgBoss } from './pg-boss-jobs.ts'
import { readArguments, report } from './reporting.ts'
import { startPlace, type StoreKind, type StorePlace } from './store-place.ts'

const { store: kind = 'redis', rounds = '3', jobs = '2000', callers = 'Infinity' } = readArguments()
const count = Number(jobs)
const callerCount = Number(callers)
const undos: (() => Promise<void>)[] = []
const onEnd = (undo: () => Promise<void>): void => void undos.push(undo)

try {
  const place = await startPlace(kind as StoreKind, onEnd)
  const ours = await startOutlive(place)
  const peer = await startPeer(place)

  for (let warm = 0; warm < 2; warm += 1) {
    await time(place, peer)
    await time(place, ours)
  }
  const owns: Timing[] = []
  const peers: Timing[] = []
  for (let round = 0; round < Number(rounds); round += 1) {
    if (round % 2 === 0) peers.push(await time(place, peer))
    owns.push(await time(place, ours))
    if (round % 2 === 1) peers.push(await time(place, peer))
  }
  report({
    ratio: paired(owns, peers, (own, beside) => own.us / beside.us),
    cpuRatio: paired(owns, peers, (own, beside) => own.cpuUs / beside.cpuUs),
    jobsPerSecond: owns.map(({ us }) => 1e6 / us),
    peerPerSecond: peers.map(({ us }) => 1e6 / us),
    cpuUs: owns.map(({ cpuUs }) => cpuUs),
    peerCpuUs: peers.map(({ cpuUs }) => cpuUs),
  })
} finally {
  for (const undo of undos.reverse()) await undo()
}

async function startPeer({ location, port }: StorePlace): Promise<Jobs> {
  if (kind === 'postgres') return startPgBoss(location, onEnd)
  return callerCount === Infinity ? startBullmq(port, onEnd) : startBullmqCalls(port, callerCount, onEnd)
}

async function startOutlive(place: StorePlace): Promise<Jobs> {
  const tasks = createTaskSupervisor({
    store: await place.openStore('own'),
    limits: { maxLive: Infinity },
    // All jobs come at once, and the last of them waits for the others.
    commitWaitMs: 30_000,
    logger: { warn: () => undefined, error: (told, message) => console.error(message, told) },
    retention: { maxFinished: Infinity, maxFinishedBytes: Infinity },
  })
  onEnd(async () => void (await tasks.shutdown()))
  const session = tasks.session({ owner: 'bench' })
  // What is read is read by a store that has written nothing.
  const reader = await place.openStore('own')
  onEnd(async () => reader.close())
  return {
    async run(count) {
      const ids: string[] = []
      await callInTurns({ count, callers: callerCount }, async (n) => {
        const task = await session.spawn(answer, n)
        ids[n] = task.taskId
        await task.wait({ waitMs: 60_000 })
      })
      return async (n) => {
        const record = await reader.read(ids[n] ?? '')
        return record?.resultJson === undefined ? undefined : (JSON.parse(record.resultJson) as unknown)
      }
    },
  }
}

/** Microseconds per job. */
async function time(place: StorePlace, jobs: Jobs): Promise<Timing> {
  collectGarbage()
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  const startedServerMs = await place.serverCpuMs()
  const resultOf = await jobs.run(count)
  const tookMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(startedCpu)
  const serverMs = (await place.serverCpuMs()) - startedServerMs
  for (const n of [0, count >> 1, count - 1]) {
    const result = await resultOf(n)
    if (JSON.stringify(result) !== JSON.stringify(await answer(n)))
      throw new Error(`job ${n} gave ${JSON.stringify(result)}`)
  }
  return { us: (tookMs * 1_000) / count, cpuUs: (user + system + serverMs * 1_000) / count }
}
