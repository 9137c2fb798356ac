/**
 * Jobs from end to end on one server: taken on, run, their results kept and readable. `outlive` in turns with a queue that
 * has the same server, each in a process of its own: BullMQ over Redis, pg-boss over PostgreSQL. All jobs are there at once, or
 * `callers` make them, each of whom waits for a result before he calls again. Time on the processors is that of the process, and
 * of Redis.
 */
import { paired, type Timing } from './measuring.ts'
import { readArguments, report } from './reporting.ts'
import { startJobsSide, type JobsSide, type JobsSideName } from './sides/start-jobs-side.ts'
import { startPlace, type StoreKind } from './store-place.ts'

const WARM_ROUNDS = 2

const { store: kind = 'redis', rounds = '3', jobs = '2000', callers = 'Infinity' } = readArguments()
const count = Number(jobs)
const undos: (() => Promise<void>)[] = []

try {
  const place = await startPlace(kind as StoreKind, (undo) => undos.push(undo))
  const start = async (who: JobsSideName): Promise<JobsSide> => {
    const side = await startJobsSide({ who, store: kind, location: place.location, port: String(place.port), callers })
    undos.push(() => side.close())
    return side
  }
  const time = async (side: JobsSide): Promise<Timing> => {
    const startedMs = await place.serverCpuMs()
    const { us, cpuUs } = await side.time(count)
    const serverMs = (await place.serverCpuMs()) - startedMs
    return { us, cpuUs: cpuUs + (serverMs * 1_000) / count }
  }

  const own = await start('outlive')
  const peer = await start(kind === 'postgres' ? 'pgBoss' : 'bullmq')
  for (let warm = 0; warm < WARM_ROUNDS; warm += 1) {
    await time(peer)
    await time(own)
  }
  const owns: Timing[] = []
  const peers: Timing[] = []
  for (let round = 0; round < Number(rounds); round += 1) {
    if (round % 2 === 0) peers.push(await time(peer))
    owns.push(await time(own))
    if (round % 2 === 1) peers.push(await time(peer))
  }
  report({
    ratio: paired(owns, peers, (one, beside) => one.us / beside.us),
    cpuRatio: paired(owns, peers, (one, beside) => one.cpuUs / beside.cpuUs),
    jobsPerSecond: owns.map(({ us }) => 1e6 / us),
    peerPerSecond: peers.map(({ us }) => 1e6 / us),
    cpuUs: owns.map(({ cpuUs }) => cpuUs),
    peerCpuUs: peers.map(({ cpuUs }) => cpuUs),
  })
} finally {
  for (const undo of undos.reverse()) await undo()
}
