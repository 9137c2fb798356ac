/** A quick call of ours, answered inline: one by one or in batches of 1,000, beside the floor in the same process. */
import { inBatches, oneByOne, paired, timeTasks, type Timing } from './measuring.ts'
import { PEERS } from './peers/index.ts'
import type { Peer, Work } from './peers/peer.ts'
import { readArguments, report } from './reporting.ts'

const {
  peer: name = 'outlive',
  order = 'one',
  work: kind = 'now',
  rounds = '5',
  tasks: perRound = '20000',
} = readArguments()
const OURS: Readonly<Record<string, Peer>> = {
  outlive: PEERS.outlive,
  explicit: PEERS.outliveExplicit,
  machine: PEERS.outliveMachine,
  everything: PEERS.outliveEverything,
}
const inOrder = order === 'one' ? oneByOne : inBatches
const count = Number(perRound)

const WORKS: Readonly<Record<string, Work>> = {
  now: async (n) => n + 1,
  later: (n) => new Promise((resolve) => setImmediate(() => resolve(n + 1))),
  async reading(n, given) {
    if (given?.signal.aborted !== false) throw new Error('there is no signal, or it is aborted')
    return n + 1
  },
}
const [ours, work] = [OURS[name], WORKS[kind]]
if (ours === undefined || work === undefined) throw new Error(`there is no ${name} or no ${kind}`)
const assignment = { work, readsSignal: kind === 'reading' }

const floor = await PEERS.floor.open(assignment)
const runFloor = inOrder(floor.call)
// Before anything of the library has run: what the floor costs in a process that has no task manager.
await runFloor(5_000)
const untouched: Timing[] = []
for (let round = 0; round < 3; round += 1) untouched.push(await timeTasks(count, runFloor))

const own = await ours.open(assignment)
const runOwn = inOrder(own.call)
for (let warm = 0; warm < 3; warm += 1) {
  await runFloor(5_000)
  await runOwn(5_000)
}
const floors: Timing[] = []
const owns: Timing[] = []
for (let round = 0; round < Number(rounds); round += 1) {
  const isFloorFirst = round % 2 === 0
  if (isFloorFirst) floors.push(await timeTasks(count, runFloor))
  owns.push(await timeTasks(count, runOwn))
  if (!isFloorFirst) floors.push(await timeTasks(count, runFloor))
}
await own.close()

report({
  ratio: paired(owns, floors, (own, beside) => own.us / beside.us),
  cpuRatio: paired(owns, floors, (own, beside) => own.cpuUs / beside.cpuUs),
  overUs: paired(owns, floors, (own, beside) => own.us - beside.us),
  outliveUs: owns.map(({ us }) => us),
  floorUs: floors.map(({ us }) => us),
  untouchedFloorUs: untouched.map(({ us }) => us),
})
