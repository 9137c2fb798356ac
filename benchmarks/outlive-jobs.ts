/** The jobs as tasks of `outlive`: spawned and waited for by those who call. */
import { createTaskSupervisor, type TaskStore } from 'outlive'
import { answer, callInTurns, type Jobs } from './jobs.ts'

/** `openStore`: what is read is read by a store that has written nothing. */
export async function startOutlive(
  openStore: () => Promise<TaskStore>,
  callers: number,
  onEnd: (undo: () => Promise<void>) => void,
): Promise<Jobs> {
  const tasks = createTaskSupervisor({
    store: await openStore(),
    limits: { maxLive: Infinity },
    // All jobs may come at once, and the last of them waits for the others.
    commitWaitMs: 30_000,
    logger: { warn: () => undefined, error: (told, message) => console.error(message, told) },
    retention: { maxFinished: Infinity, maxFinishedBytes: Infinity },
  })
  onEnd(async () => void (await tasks.shutdown()))
  const session = tasks.session({ owner: 'bench' })
  const reader = await openStore()
  onEnd(async () => reader.close())
  return {
    async run(count) {
      const ids: string[] = []
      await callInTurns({ count, callers }, async (n) => {
        const task = await session.spawn(answer, n)
        ids[n] = task.taskId
        await task.wait({ waitMs: 60_000 })
      })
      return async (n) => {
        const record = await reader.read(ids[n] ?? '')
        return record?.resultJson === undefined ? undefined : (JSON.parse(record.resultJson) as unknown)
      }
    },
  }
}
