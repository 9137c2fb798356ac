/** What a task leaves behind in a host that runs for long: heap per task after a million of them, and what hangs on. */
import { createChurn } from './churning.ts'
import { collectGarbage, createBenchSupervisor, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'

const { variant = 'memoised', tasks: given = '1000000', laps: lapsGiven = '10' } = readArguments()
const laps = Number(lapsGiven)
const perLap = Number(given) / laps
const FIRST = 20_000

let warnings = 0
process.on('warning', () => (warnings += 1))

const supervisor = createBenchSupervisor(variant as Variant)
const churn = createChurn(supervisor)

/** The heap once nothing is on its way and all that is unreachable is gone. */
const settledHeap = async (): Promise<number> => {
  for (let turn = 0; turn < 5; turn += 1) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

// The first tasks pay for what is made once, and fill what retention keeps.
await churn.run(Math.min(perLap, FIRST))
const startedMs = performance.now()
const heaps = [await settledHeap()]
for (let lap = 0; lap < laps; lap += 1) {
  await churn.run(perLap)
  heaps.push(await settledHeap())
}
const seconds = (performance.now() - startedMs) / 1_000
const left = await churn.left()
const { live, streams, listeners } = left
if (warnings + live + streams + listeners > 0) throw new Error(JSON.stringify({ warnings, ...left }))
report({
  bytes: slopeOf(heaps) / perLap,
  heapMb: (heaps.at(-1) ?? Number.NaN) / 2 ** 20,
  ...left,
  handles: process.getActiveResourcesInfo().length,
  seconds,
})
await supervisor.shutdown()

/** The slope of the straight line that fits values at 0, 1, 2, … best. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const [above, below] = values.reduce(
    ([above, below], value, at) => [above + (at - middle) * (value - mean), below + (at - middle) ** 2],
    [0, 0],
  )
  return above / below
}
