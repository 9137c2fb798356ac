import type { RestartIntensity, RetryExhausted, ToolPolicy } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, wholeLog } from '../support/branches.ts'
import { setup, type Harness } from '../support/setup.ts'

const told: RetryExhausted[] = []

/** A parent with children that may be tried often, each after 100 ms. */
async function family({ ann, settle }: Harness, restarts: RestartIntensity, policy: ToolPolicy = {}, children = 3) {
  told.length = 0
  const parent = controllableTool('parent', { honoursSignal: true, policy: { restarts, ...policy } })
  const child = controllableTool<number>('child', {
    honoursSignal: true,
    policy: {
      retry: {
        maxAttempts: 100,
        baseMs: 100,
        factor: 1,
        jitter: 'none',
        onExhausted: (_, exhausted) => told.push(exhausted),
      },
    },
  })
  const root = await ann.spawn(parent.tool, undefined)
  for (let index = 0; index < children; index += 1) await parent.call(0).ctx.spawn(child.tool, index)
  await settle()
  /** Fails the last call of one child. */
  const failLast = (index: number): void =>
    child.calls.findLast(({ input }) => input === index)?.reject(new Error(`child ${index}`))
  return { root, parent, child, failLast }
}

test('restarts within the limit are made, by whichever child, and the parent hears of none', async () => {
  const harness = setup()
  const { root, parent, child, failLast } = await family(harness, { max: 3, withinMs: 10_000 })
  for (const index of [0, 1, 1]) {
    failLast(index)
    await harness.advance(100)
  }
  expect(child.calls).toHaveLength(6)
  expect((await root.record()).status).toBe('running')
  expect(parent.call(0).ctx.signal.aborted).toBe(false)
})

test('one restart too many fails the child at once and the parent with it, once, though it isolates failures', async () => {
  const harness = setup()
  const { root, parent, child, failLast } = await family(harness, { max: 2, withinMs: 10_000 })
  failLast(0)
  failLast(1)
  await harness.advance(100)
  failLast(2)
  await harness.settle()
  const failed = child.call(2).ctx.taskId
  expect(await harness.ann.get(failed)).toMatchObject({ status: 'failed', attempt: 1, failure: { message: 'child 2' } })
  expect(await root.record()).toMatchObject({
    status: 'failed',
    cause: { reason: 'child_failed', actor: failed },
    failure: { code: 'child_failed', cause: { message: 'child 2' } },
  })
  expect(parent.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'child_failed' } })
  expect((await harness.ann.stats()).byStatus).toEqual({ failed: 2, cancelled: 2 })
  expect(told).toEqual([{ taskId: failed, owner: 'ann', tool: 'child', attempts: 1, limit: 'restarts' }])
  await harness.advance(100_000)
  expect(child.calls).toHaveLength(5)
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('the window slides: restarts that are old enough count no more', async () => {
  const harness = setup()
  const { root, child, failLast } = await family(harness, { max: 1, withinMs: 1_000 }, {}, 1)
  for (let round = 0; round < 5; round += 1) {
    failLast(0)
    await harness.advance(1_000)
  }
  expect(child.calls).toHaveLength(6)
  failLast(0)
  await harness.advance(999)
  failLast(0)
  await harness.advance(1)
  expect((await root.record()).status).toBe('failed')
})

test('a limit of none lets no child be tried again', async () => {
  const harness = setup()
  const { root, child, failLast } = await family(harness, { max: 0, withinMs: 1 })
  failLast(1)
  await harness.advance(1_000)
  expect(child.calls).toHaveLength(3)
  expect((await root.record()).status).toBe('failed')
})

test('what the children of one attempt were tried again does not count for the next', async () => {
  const harness = setup()
  const retry = { maxAttempts: 2, baseMs: 500, jitter: 'none' as const }
  const { root, parent, child, failLast } = await family(harness, { max: 1, withinMs: 100_000 }, { retry }, 1)
  failLast(0)
  await harness.advance(100)
  failLast(0)
  await harness.settle()
  expect(await root.record()).toMatchObject({ status: 'retrying', attempt: 1, failure: { code: 'child_failed' } })
  await harness.advance(500)
  await parent.call(1).ctx.spawn(child.tool, 0)
  await harness.settle()
  failLast(0)
  await harness.advance(100)
  expect((await root.record()).status).toBe('running')
  failLast(0)
  await harness.settle()
  expect(await root.record()).toMatchObject({ status: 'failed', attempt: 2, failure: { code: 'child_failed' } })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a parent that only waits for its children fails with them as well', async () => {
  const harness = setup()
  const { root, parent, failLast } = await family(harness, { max: 0, withinMs: 1_000 })
  parent.call(0).resolve('done')
  await harness.settle()
  expect((await root.record()).status).toBe('finishing')
  failLast(0)
  await harness.settle()
  expect(await root.record()).toMatchObject({ status: 'failed', failure: { code: 'child_failed' }, partial: 'done' })
})

test('restarts of a detached child are its own affair', async () => {
  const harness = setup()
  const { ann, settle, advance } = harness
  const parent = controllableTool('parent', { policy: { restarts: { max: 0, withinMs: 1_000 } } })
  const child = controllableTool('child', { policy: { retry: { baseMs: 100, jitter: 'none' } } })
  await ann.spawn(parent.tool, undefined)
  await parent.call(0).ctx.spawn(child.tool, undefined, { onParentEnd: 'detach' })
  await settle()
  parent.call(0).resolve(1)
  await settle()
  child.call(0).reject(new Error('broken'))
  await advance(100)
  expect(child.calls).toHaveLength(2)
})
