import { getEventListeners } from 'node:events'
import { createTaskSupervisor, type TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collect, setup, watch, type Harness } from '../support/setup.ts'
import { expectGrowth, processorMs } from './growth-ratio.ts'

const MANY = 10_000

const warnings: Error[] = []
const onWarning = (warning: Error): void => void warnings.push(warning)
beforeEach(() => {
  warnings.length = 0
  process.on('warning', onWarning)
})
afterEach(async () => {
  // Node hands out warnings on a later tick than the code that caused them.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', onWarning)
  // oxlint-disable-next-line vitest/no-standalone-expect -- a failure here is a failure of the test that has just run
  expect(warnings).toEqual([])
})

/** A parent with 10,000 children: each is awaited inline, waited for and watched, and all of that heeds one signal. */
async function startFamily(signalOf: (parent: TaskContext) => AbortSignal): Promise<{
  readonly harness: Harness
  readonly ctx: TaskContext
  readonly signal: AbortSignal
  readonly seen: readonly ReturnType<typeof watch>[]
  /** Lets the children end by themselves. */
  endChildren(): void
}> {
  const harness = setup({ inlineMs: Infinity, limits: { maxChildren: Infinity }, retention: { maxFinished: 10 } })
  const { ann, settle } = harness
  const parent = controllableTool('parent')
  const child = controllableTool('child')
  await ann.spawn(parent.tool)
  const { ctx } = parent.call(0)
  const signal = signalOf(ctx)
  const options = { signal, cancelSignal: signal, durable: true }
  const seen: ReturnType<typeof watch>[] = []
  for (let n = 0; n < MANY; n += 1) seen.push(watch(ctx.run(child.tool, undefined, options)))
  await settle()
  for (const {
    ctx: { taskId },
  } of child.calls) {
    seen.push(watch(ann.wait(taskId, { signal, waitMs: Infinity })))
    seen.push(watch(collect(ann.events({ taskId, signal })).ended))
  }
  await settle()
  expect(seen).toHaveLength(3 * MANY)
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  const endChildren = (): void => {
    for (const { resolve } of child.calls) resolve(1)
  }
  return { harness, ctx, signal, seen, endChildren }
}

test('10,000 children that share a signal have one listener on it, and none when they have ended', async () => {
  const shared = new AbortController()
  const { harness, signal, seen, endChildren } = await startFamily(() => shared.signal)
  endChildren()
  await harness.settle()
  expect(seen.filter(({ state }) => state !== 'resolved')).toEqual([])
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

test('10,000 children on the signal of their parent have no listener on it once that is cancelled', async () => {
  const { harness, ctx, signal, seen } = await startFamily(({ signal }) => signal)
  const cancelling = harness.ann.cancel(ctx.taskId)
  // The grace: this code ignores its signal.
  await harness.advance(10_000)
  expect((await cancelling).count).toBe(MANY + 1)
  expect(signal.aborted).toBe(true)
  expect(seen.filter(({ state }) => state === 'pending')).toEqual([])
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

/** How long it takes when this many waits for one task are given up, and when this many streams are left. */
async function leave(count: number): Promise<readonly number[]> {
  const tasks = createTaskSupervisor()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await tasks.spawn(work.tool)
  const stop = new AbortController()
  const waits = Array.from({ length: count }, () => task.wait({ signal: stop.signal }))
  const given = Promise.allSettled(waits)
  const streams = Array.from({ length: count }, () => tasks.events())
  await new Promise((resolve) => setImmediate(resolve))
  const givingUpMs = await processorMs(async () => {
    stop.abort()
    await given
  })
  const leavingMs = await processorMs(async () => {
    for (const stream of streams) await stream.return?.()
  })
  await task.cancel()
  await tasks.shutdown()
  return [givingUpMs, leavingMs]
}

// What takes the square of the number takes a hundred times as long; what takes a few milliseconds is not exact.
test('10,000 waits for one task, and 10,000 streams, are left in less than 30 times the time of 1,000', async () => {
  await expectGrowth({ size: 1_000, times: 10, below: 30 }, leave)
})
