/** Tasks that come and go, through a supervisor with retention: what is kept of them stays as much as it was. */
import { join } from 'node:path'
import { createTaskSupervisor, type TaskStore, type TaskSupervisor } from 'outlive'
import { redisStore } from 'outlive/redis'
import { sqliteStore } from 'outlive/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { startRedis } from '../support/redis-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { measureFile, measureRedis, type Kept } from '../support/store-kept.ts'

const KEPT = 200
/** Fewer than are kept: nobody waits for a task that was dropped. */
const BATCH = 100
const BEFORE = 1_000
const AFTER = 3_000

const answer = async (n: number) => ({ n, text: 'x'.repeat(270) })

function superviseWith(store: TaskStore): TaskSupervisor {
  const tasks = createTaskSupervisor({ store, retention: { maxFinished: KEPT }, commitWaitMs: 30_000 })
  onTestFinished(async () => void (await tasks.shutdown()))
  return tasks
}

async function churn(tasks: TaskSupervisor, count: number): Promise<void> {
  const session = tasks.session({ owner: 'ann' })
  for (let done = 0; done < count; done += BATCH) {
    const handles = await Promise.all(Array.from({ length: BATCH }, (_, n) => session.spawn(answer, n)))
    for (const { status } of await Promise.all(handles.map((handle) => handle.wait()))) expect(status).toBe('completed')
  }
  await expect.poll(async () => (await tasks.operator.stats()).byStatus).toEqual({ completed: KEPT })
}

async function expectNoGrowth(tasks: TaskSupervisor, measure: () => Promise<Kept>): Promise<void> {
  await churn(tasks, BEFORE)
  const before = await measure()
  await churn(tasks, AFTER)
  const after = await measure()
  expect(before.things).toBeGreaterThan(KEPT)
  expect(after.things / before.things).toBeLessThanOrEqual(1.05)
  expect(after.bytes / before.bytes).toBeLessThanOrEqual(1.05)
}

test('in Redis, a millisecond away', async () => {
  const server = await startRedis()
  const proxy = await startFaultProxy(server.port)
  onTestFinished(proxy.close)
  proxy.delay(1)
  const tasks = superviseWith(redisStore(`redis://127.0.0.1:${proxy.port}`))
  await expectNoGrowth(tasks, () => measureRedis(server.port))
})

test('in a file of SQLite', async () => {
  const file = join(scratchFolder('churn'), 'tasks.db')
  await expectNoGrowth(superviseWith(sqliteStore(file)), () => measureFile(file))
})
