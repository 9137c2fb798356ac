import { createTaskSupervisor, type TaskContext } from 'outlive'
import { expect, test } from 'vitest'
import { expectGrowth, processorMs } from './growth-ratio.ts'

/** How long a shutdown takes with this many live roots: when they end by themselves, and when they are cancelled. */
async function shutDown(roots: number, ends: 'by themselves' | 'cancelled'): Promise<number> {
  const tasks = createTaskSupervisor({ limits: { maxLive: Infinity } })
  const releases: (() => void)[] = []
  const work = {
    name: 'work',
    run: (_: undefined, { signal }: TaskContext) =>
      new Promise<void>((resolve) => {
        releases.push(resolve)
        signal.addEventListener('abort', () => resolve())
      }),
  }
  for (let index = 0; index < roots; index += 1) await tasks.spawn(work)
  return processorMs(async () => {
    const closing = tasks.shutdown({ graceMs: ends === 'cancelled' ? 1 : 600_000 })
    if (ends === 'by themselves') for (const release of releases) release()
    const report = await closing
    const counted = ends === 'cancelled' ? report.cancelled : report.completed
    expect({ ...report, counted }).toMatchObject({ counted: roots, abandoned: 0, unsaved: 0 })
  })
}

test('a shutdown with 8,000 live tasks takes less than 2.5 times as long as with 4,000, whether they end or are cancelled', async () => {
  await expectGrowth({ size: 4_000, below: 2.5 }, async (size) => [
    await shutDown(size, 'by themselves'),
    await shutDown(size, 'cancelled'),
  ])
})

test('a shutdown waits for 100,000 live tasks and counts each of them', async () => {
  expect(await shutDown(100_000, 'by themselves')).toBeGreaterThan(0)
})
