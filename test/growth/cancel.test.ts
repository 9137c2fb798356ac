import { createTaskSupervisor } from 'outlive'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'
import { expectGrowth, processorMs } from './growth-ratio.ts'

/** How long it takes to spawn this many children below one parent, and to cancel them all. */
async function spawnAndCancel(children: number): Promise<{ readonly spawnMs: number; readonly cancelMs: number }> {
  const tasks = createTaskSupervisor({ limits: { maxLive: Infinity, maxChildren: Infinity } })
  const leaf = {
    name: 'leaf',
    run: (_: undefined, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  }
  let onSpawned: (elapsedMs: number) => void = () => undefined
  const spawned = new Promise<number>((resolve) => (onSpawned = resolve))
  const root = await tasks.spawn(async (_: undefined, ctx) => {
    const spawnAll = async (): Promise<void> => {
      for (let index = 0; index < children; index += 1) await ctx.spawn(leaf)
    }
    onSpawned(await processorMs(spawnAll))
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  const spawnMs = await spawned
  const cancelMs = await processorMs(async () => {
    expect((await root.cancel()).count).toBe(children + 1)
  })
  await tasks.shutdown()
  return { spawnMs, cancelMs }
}

async function complete(children: number): Promise<number> {
  const tasks = createTaskSupervisor({ limits: { maxLive: Infinity, maxChildren: Infinity } })
  const releases: (() => void)[] = []
  const leaf = { name: 'leaf', run: () => new Promise<void>((resolve) => releases.push(resolve)) }
  const root = await tasks.spawn(async (_: undefined, ctx) => {
    for (let index = 0; index < children; index += 1) await ctx.spawn(leaf)
  })
  while (releases.length < children) await new Promise((resolve) => setImmediate(resolve))
  const completedMs = await processorMs(async () => {
    for (const release of releases) release()
    expect((await root.wait()).status).toBe('completed')
  })
  await tasks.shutdown()
  return completedMs
}

test('8,000 children take less than 2.5 times as long as 4,000: to spawn, and to cancel', async () => {
  await expectGrowth({ size: 4_000, below: 2.5 }, async (size) => {
    const { spawnMs, cancelMs } = await spawnAndCancel(size)
    return [spawnMs, cancelMs]
  })
})

test('8,000 children end in less than 2.5 times the time of 4,000', async () => {
  await expectGrowth({ size: 4_000, below: 2.5 }, async (size) => [await complete(size)])
})

test('a chain of 100,000 tasks is cancelled without exhausting the stack', async () => {
  const { ann, settle, tasks } = setup({
    limits: { maxDepth: Infinity, maxLive: Infinity },
    retention: { maxFinished: 10 },
    timeoutMs: Infinity,
  })
  let signals = 0
  let deepest = 0
  const chain = async (
    left: number,
    ctx: { readonly depth: number; readonly signal: AbortSignal; spawn: typeof ann.spawn },
  ): Promise<void> => {
    deepest = Math.max(deepest, ctx.depth)
    if (left > 0) await ctx.spawn({ name: 'chain', run: chain }, left - 1)
    await new Promise<void>((resolve) => {
      ctx.signal.addEventListener('abort', () => {
        signals += 1
        resolve()
      })
    })
  }
  const root = await ann.spawn({ name: 'chain', run: chain }, 99_999)
  await settle()
  expect(deepest).toBe(99_999)
  const report = await root.cancel()
  expect(report.count).toBe(100_000)
  expect(report.tasks.every(({ status }) => status === 'cancelled')).toBe(true)
  expect(signals).toBe(100_000)
  expect((await tasks.operator.stats()).live).toBe(0)
})
