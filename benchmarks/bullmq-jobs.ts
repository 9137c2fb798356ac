/** The jobs as BullMQ does them fastest: added in bulk, a worker that runs 100 at a time, all results kept. */
import { Job, Queue, Worker } from 'bullmq'
import { answer, type Jobs } from './jobs.ts'

export async function startBullmq(port: number, onEnd: (undo: () => Promise<void>) => void): Promise<Jobs> {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const queue = new Queue<number>('jobs', { connection })
  const worker = new Worker<number>('jobs', async ({ data }) => answer(data), { connection, concurrency: 100 })
  onEnd(async () => {
    await worker.close()
    await queue.close()
  })
  await worker.waitUntilReady()
  return {
    async run(count) {
      let left = count
      const done = new Promise<void>((resolve, reject) => {
        const settle = (): void => {
          left -= 1
          if (left > 0) return
          worker.off('completed', settle)
          resolve()
        }
        worker.on('completed', settle)
        worker.once('failed', (_job, error) => reject(error))
      })
      const added = await queue.addBulk(Array.from({ length: count }, (_, n) => ({ name: 'answer', data: n })))
      await done
      return async (n) => (await Job.fromId<number>(queue, added[n]?.id ?? ''))?.returnvalue as unknown
    },
  }
}
