import { createTaskSupervisor } from 'outlive'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'
import { collectGarbage, medianRatio } from './median-ratio.ts'

/** How long it takes to spawn this many children below one parent, and to cancel them all. */
async function spawnAndCancel(children: number): Promise<{ readonly spawnMs: number; readonly cancelMs: number }> {
  const tasks = createTaskSupervisor({ limits: { maxLive: Infinity, maxChildren: Infinity } })
  const leaf = {
    name: 'leaf',
    run: (_: undefined, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  }
  collectGarbage()
  let onSpawned: (elapsedMs: number) => void = () => undefined
  const spawned = new Promise<number>((resolve) => (onSpawned = resolve))
  const root = await tasks.spawn(async (_: undefined, ctx) => {
    const startedAt = performance.now()
    for (let index = 0; index < children; index += 1) await ctx.spawn(leaf)
    onSpawned(performance.now() - startedAt)
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  const spawnMs = await spawned
  collectGarbage()
  const startedAt = performance.now()
  const report = await root.cancel()
  const cancelMs = performance.now() - startedAt
  expect(report.count).toBe(children + 1)
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
  collectGarbage()
  const startedAt = performance.now()
  for (const release of releases) release()
  expect((await root.wait()).status).toBe('completed')
  const elapsedMs = performance.now() - startedAt
  await tasks.shutdown()
  return elapsedMs
}

test('8,000 children take less than 2.5 times as long as 4,000: to spawn, and to cancel', async () => {
  const ratios = await medianRatio(4_000, async (size) => {
    const { spawnMs, cancelMs } = await spawnAndCancel(size)
    return [spawnMs, cancelMs]
  })
  expect(ratios).toHaveLength(2)
  for (const ratio of ratios) expect(ratio).toBeLessThan(2.5)
})

test('8,000 children end in less than 2.5 times the time of 4,000', async () => {
  const [ratio] = await medianRatio(4_000, async (size) => [await complete(size)])
  expect(ratio).toBeLessThan(2.5)
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
