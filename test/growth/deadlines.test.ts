import type { TaskContext } from 'outlive'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'
import { collectGarbage } from './growth-ratio.ts'

const MANY = 100_000
const SAMPLES = 100
/** More than have a timer of their own. */
const DURATIONS = 200
const MAX_TIMERS = 65
/** Of the four thousand a task took: tables stay larger than they have to be for a while. */
const MAX_BYTES_LEFT = 100
/** What is kept of finished tasks goes after a day. */
const DAY_MS = 86_400_000

test('the 300,000 deadlines of 100,000 tasks share a few timers, and a cancel leaves nothing of them, in time or in memory', async () => {
  const { ann, clock, advance, settle } = setup({ limits: { maxLive: Infinity }, retention: { maxFinished: 1 } })
  // A deadline that is left holds its task or its wait, and a task holds its signal.
  const signals: WeakRef<AbortSignal>[] = []
  const waits: WeakRef<Promise<unknown>>[] = []
  let ids: string[] = []
  /** It ignores its signal. */
  const deaf = (_: undefined, ctx: TaskContext): Promise<never> => {
    if (ids.length % (MANY / SAMPLES) === 0) signals.push(new WeakRef(ctx.signal))
    ids.push(ctx.taskId)
    return new Promise(() => undefined)
  }
  let rejected = 0
  const onRejected = (): void => void (rejected += 1)
  const variety = (n: number): number => n % DURATIONS
  const start = async (): Promise<void> => {
    for (let n = 0; n < MANY; n += 1) {
      const options = { inlineMs: 5_000_000 + variety(n), timeoutMs: 10_000_000 + variety(n), durable: true }
      ann.run(deaf, undefined, options).catch(onRejected)
    }
    await settle()
    for (const [n, taskId] of ids.entries()) {
      const wait = ann.wait(taskId, { waitMs: 1_000_000 + variety(n) })
      if (n % (MANY / SAMPLES) === 0) waits.push(new WeakRef(wait))
      wait.then(() => undefined, onRejected)
    }
    await settle()
    expect(ids).toHaveLength(MANY)
    ids = []
  }
  const cancel = async (): Promise<void> => {
    const cancelling = ann.cancelAll()
    await advance(5_000)
    expect((await cancelling).count).toBe(MANY)
    await settle()
  }

  const before = heapUsed()
  await start()
  expect(clock.timerCount()).toBeLessThanOrEqual(MAX_TIMERS)
  expect(clock.heldTimerCount()).toBeGreaterThan(0)
  expect((heapUsed() - before) / MANY).toBeGreaterThan(1_000)
  await cancel()
  expect(rejected).toBe(MANY)
  expect((heapUsed() - before) / MANY).toBeLessThan(MAX_BYTES_LEFT)
  expect([signals.length, waits.length]).toEqual([SAMPLES, SAMPLES])
  expect([...signals, ...waits].filter((sample) => sample.deref() !== undefined)).toHaveLength(0)
  // A duration keeps its timer for the next call, but nothing waits for it, and it goes when it is due.
  expect(clock.heldTimerCount()).toBe(0)
  expect(clock.timerCount()).toBeLessThanOrEqual(MAX_TIMERS)
  await advance(DAY_MS)
  expect(clock.timerCount()).toBe(0)
})

function heapUsed(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}
