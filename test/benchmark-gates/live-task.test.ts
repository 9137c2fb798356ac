import { createTaskSupervisor } from 'outlive'
import { expect, test } from 'vitest'

// One of the gates of `npm run bench` that do not depend on how busy the machine is. It has a process to itself: what
// another test leaves behind would be collected in the middle of the measurement.

const MAX_BYTES_PER_LIVE_TASK = 3_000
const COUNT = 20_000

test('a live inline call that has not read its signal holds at most 3,000 bytes of heap, its promise included', async () => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('the tests run with --expose-gc')
  const tasks = createTaskSupervisor({
    inlineMs: 600_000,
    graceMs: 1,
    limits: { maxLive: Infinity },
    logger: { warn: () => undefined, error: () => undefined },
  })
  let started = 0
  const never = (): Promise<number> => {
    started += 1
    return new Promise<number>(() => undefined)
  }
  const held: Promise<unknown>[] = []
  const start = async (count: number): Promise<number> => {
    for (let n = 0; n < count; n += 1) held.push(tasks.run(never))
    while (started < held.length) await new Promise((resolve) => setImmediate(resolve))
    gc()
    gc()
    return process.memoryUsage().heapUsed
  }

  const before = await start(1_000)
  const after = await start(COUNT)
  expect(await tasks.stats()).toMatchObject({ live: COUNT + 1_000 })
  expect((after - before) / COUNT).toBeLessThan(MAX_BYTES_PER_LIVE_TASK)
  // A task that is really held: less than this would mean that nothing was measured.
  expect((after - before) / COUNT).toBeGreaterThan(1_000)

  const ended = Promise.allSettled(held)
  await tasks.cancelAll()
  expect((await ended).every(({ status }) => status === 'rejected')).toBe(true)
  await tasks.shutdown()
})
