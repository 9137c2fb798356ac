import { createTaskSupervisor } from 'outlive'
import { expect, test } from 'vitest'
import { createChurn } from '../../benchmarks/churning.ts'
import { collectGarbage } from './growth-ratio.ts'

const WARM_UP = 20_000
const LAPS = 5
const PER_LAP = 10_000
const MAX_BYTES_PER_TASK = 10
/** What a lap may differ by, whatever it leaves: code that is compiled, and code that is dropped. */
const NOISE_BYTES = 100_000

test('tasks that come and go, with names that never come again and waits that are given up, leave less than 10 bytes each', async () => {
  const tasks = createTaskSupervisor()
  const churn = createChurn(tasks)
  await churn.run(WARM_UP)
  const grown: number[] = []
  let before = await settledHeap()
  for (let lap = 0; lap < LAPS; lap += 1) {
    await churn.run(PER_LAP)
    const after = await settledHeap()
    grown.push(after - before)
    before = after
  }
  // A leak is in every lap.
  expect(grown.toSorted((a, b) => a - b)[(LAPS - 1) / 2]).toBeLessThan(MAX_BYTES_PER_TASK * PER_LAP + NOISE_BYTES)
  expect(await churn.left()).toEqual({ live: 0, kept: 500, streams: 0, listeners: 0 })
  await tasks.shutdown()
})

/** The heap once nothing is on its way and all that is unreachable is gone. */
async function settledHeap(): Promise<number> {
  for (let turn = 0; turn < 5; turn += 1) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}
