import { createTaskSupervisor } from 'outlive'
import { expect, test } from 'vitest'

// One of the gates of `npm run bench` that do not depend on how busy the machine is. It has a process to itself: what
// another test leaves behind would be collected in the middle of the measurement.

const MAX_BYTES_PER_FINISHED_TASK = 450
const COUNT = 20_000
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a finished task that is kept holds at most 450 bytes of heap besides its result', async () => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('the tests run with --expose-gc')
  const tasks = createTaskSupervisor({ retention: { maxFinished: Infinity } })
  const nothing = (): void => undefined
  const finish = async (count: number): Promise<number> => {
    for (let n = 0; n < count; n += 1) {
      await tasks.spawn(nothing)
      // What is kept is packed in turns of its own.
      if (n % 100 === 0) await turnOfTheLoop()
    }
    while ((await tasks.stats()).live > 0) await turnOfTheLoop()
    gc()
    gc()
    return process.memoryUsage().heapUsed
  }

  const before = await finish(2_000)
  const after = await finish(COUNT)
  expect((await tasks.stats()).byStatus).toEqual({ completed: COUNT + 2_000 })
  expect((after - before) / COUNT).toBeLessThan(MAX_BYTES_PER_FINISHED_TASK)
  // Its id and its places: less than this would mean that nothing was measured.
  expect((after - before) / COUNT).toBeGreaterThan(150)
  await tasks.shutdown()
})
