import { expect, test } from 'vitest'
import { startStopwatch } from '../support/stopwatch.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The process stands still, as one that gets no processor does. */
const standStill = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

test('a stopwatch goes on while something is waited for, and while it is worked', async () => {
  const waitedMs = startStopwatch()
  const untilMs = performance.now() + 10_000
  while (waitedMs() < 100 && performance.now() < untilMs) await pause(10)
  expect(performance.now()).toBeLessThan(untilMs)

  const workedMs = startStopwatch()
  const { user: before } = process.cpuUsage()
  while (process.cpuUsage().user - before < 200_000);
  // With threads that help it, it has more of the processors than by the clock.
  expect(workedMs()).toBeGreaterThan(50)
})

test('a stopwatch does not count what a process stands still', async () => {
  const tookMs = startStopwatch()
  const fromMs = performance.now()
  standStill(500)
  await pause(1)
  expect(performance.now() - fromMs).toBeGreaterThan(490)
  expect(tookMs()).toBeLessThan(250)
})
