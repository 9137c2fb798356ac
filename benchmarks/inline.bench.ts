/** A quick call, answered inline: one by one or in batches of 1,000, beside the floor. */
import { raceWithDeadline } from './floor.ts'
import {
  createBenchSupervisor,
  inBatches,
  median,
  oneByOne,
  readArguments,
  report,
  timeTasks,
  type Timing,
  type Variant,
} from './measuring.ts'

const { variant = 'memoised', order = 'one', rounds = '5', tasks: perRound = '20000' } = readArguments()
const inOrder = order === 'one' ? oneByOne : inBatches
const count = Number(perRound)

const plusOne = async (n: number): Promise<number> => n + 1
const floor = inOrder((n) => raceWithDeadline(() => plusOne(n), 10_000))

// Before anything of the library has run: what the floor costs in a process that has no task manager.
await floor(5_000)
const untouched: Timing[] = []
for (let round = 0; round < 3; round += 1) untouched.push(await timeTasks(count, floor))

const supervisor = createBenchSupervisor(variant as Variant)
const session = supervisor.session({ owner: 'bench' })
const outlive = inOrder(async (n) => {
  const outcome = await session.run(plusOne, n)
  if (outcome.kind !== 'inline') throw new Error('a quick call went to the background')
  return outcome.value
})

for (let warm = 0; warm < 3; warm += 1) {
  await floor(5_000)
  await outlive(5_000)
}
const floors: Timing[] = []
const ours: Timing[] = []
for (let round = 0; round < Number(rounds); round += 1) {
  const isFloorFirst = round % 2 === 0
  if (isFloorFirst) floors.push(await timeTasks(count, floor))
  ours.push(await timeTasks(count, outlive))
  if (!isFloorFirst) floors.push(await timeTasks(count, floor))
}
await supervisor.shutdown()

/** Compares each round with the floor's round beside it. */
const paired = (compare: (own: Timing, beside: Timing) => number): number =>
  median(ours.map((own, round) => compare(own, floors[round] ?? { us: Number.NaN, cpuUs: Number.NaN })))

report({
  ratio: paired((own, beside) => own.us / beside.us),
  cpuRatio: paired((own, beside) => own.cpuUs / beside.cpuUs),
  overUs: paired((own, beside) => own.us - beside.us),
  outliveUs: median(ours.map(({ us }) => us)),
  floorUs: median(floors.map(({ us }) => us)),
  untouchedFloorUs: median(untouched.map(({ us }) => us)),
})
