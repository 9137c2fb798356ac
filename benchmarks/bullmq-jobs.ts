/** The jobs as BullMQ does them fastest: a worker that runs 100 at a time, all results kept. */
import { Job, Queue, Worker } from 'bullmq'
import { answer, callInTurns, type Jobs } from './jobs.ts'

/** All are added in bulk. */
export async function startBullmq(port: number, onEnd: (undo: () => Promise<void>) => void): Promise<Jobs> {
  const { queue, worker } = await startQueue(port, onEnd)
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
      return resultsOf(queue, (n) => added[n]?.id)
    },
  }
}

/**
 * Each is added by itself, by callers who wait for their results. They hear of them from the worker, who is in their process:
 * events that come over the server, as they do for other processes, take longer.
 */
export async function startBullmqCalls(
  port: number,
  callers: number,
  onEnd: (undo: () => Promise<void>) => void,
): Promise<Jobs> {
  const { queue, worker } = await startQueue(port, onEnd)
  const ended = new Set<string>()
  const waiting = new Map<string, () => void>()
  worker.on('completed', ({ id = '' }) => {
    const tell = waiting.get(id)
    if (tell === undefined) ended.add(id)
    else tell()
    waiting.delete(id)
  })
  return {
    async run(count) {
      const ids: string[] = []
      await callInTurns({ count, callers }, async (n) => {
        const { id = '' } = await queue.add('answer', n)
        ids[n] = id
        if (!ended.delete(id)) await new Promise<void>((resolve) => waiting.set(id, resolve))
      })
      return resultsOf(queue, (n) => ids[n])
    },
  }
}

async function startQueue(
  port: number,
  onEnd: (undo: () => Promise<void>) => void,
): Promise<{ readonly queue: Queue<number>; readonly worker: Worker<number> }> {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const queue = new Queue<number>('jobs', { connection })
  const worker = new Worker<number>('jobs', async ({ data }) => answer(data), { connection, concurrency: 100 })
  onEnd(async () => {
    await worker.close()
    await queue.close()
  })
  await worker.waitUntilReady()
  return { queue, worker }
}

function resultsOf(queue: Queue<number>, idOf: (n: number) => string | undefined): (n: number) => Promise<unknown> {
  return async (n) => (await Job.fromId<number>(queue, idOf(n) ?? ''))?.returnvalue as unknown
}
