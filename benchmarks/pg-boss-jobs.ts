/**
 * The jobs as pg-boss does them fastest: inserted at once, fetched a hundred at a time without a pause between, and completed
 * with a result each, as many at a time as there are connections.
 */
import { randomUUID } from 'node:crypto'
import PgBoss from 'pg-boss'
import { answer, type Jobs } from './jobs.ts'

const QUEUE = 'jobs'
const BATCH = 100

export async function startPgBoss(url: string, onEnd: (undo: () => Promise<void>) => void): Promise<Jobs> {
  const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false })
  boss.on('error', (error) => console.error(error))
  await boss.start()
  onEnd(() => boss.stop({ graceful: false }))
  await boss.createQueue(QUEUE)
  return {
    async run(count) {
      const ids = Array.from({ length: count }, () => randomUUID())
      await boss.insert(ids.map((id, n) => ({ id, name: QUEUE, data: { n } })))
      for (let left = count; left > 0;) {
        const batch = await boss.fetch<{ readonly n: number }>(QUEUE, { batchSize: BATCH })
        await Promise.all(batch.map(async ({ id, data: { n } }) => boss.complete(QUEUE, id, await answer(n))))
        left -= batch.length
      }
      return async (n) => (await boss.getJobById(QUEUE, ids[n] ?? ''))?.output as unknown
    },
  }
}
