/** Tasks for tests of the Redis store, and those who do not give up. */
import type { Awaitable, Commit, CommitReply, StoredRecord, TaskStore } from 'outlive'
import { isTaskError } from 'outlive'
import { BASE_AT, commitOf, recordOf } from '../../src/testing/contract-case.ts'
import { startStopwatch } from './stopwatch.ts'

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export const begin = (taskId: string, fields: Partial<StoredRecord> = {}): Commit => commitOf(recordOf(taskId, fields))

export const finish = (taskId: string, fields: Partial<StoredRecord> = {}): Commit =>
  commitOf(recordOf(taskId, { version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT, ...fields }), {
    types: ['task.completed'],
  })

/** Writes until there is an answer, as the runtime does. Anything but an error that may pass ends it. */
export async function commitUntilAnswered(store: TaskStore, change: Commit): Promise<CommitReply> {
  while (true) {
    try {
      return await store.commit(change)
    } catch (error) {
      if (!isTaskError(error) || !error.retryable) throw error
      await pause(20)
    }
  }
}

/** The code of what a promise rejects with, `undefined` when it does not, and how long that took. */
export async function settledAs(call: Awaitable<unknown>): Promise<{ code: string | undefined; tookMs: number }> {
  const tookMs = startStopwatch()
  const code = await Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => (isTaskError(error) ? error.code : String(error)),
  )
  return { code, tookMs: tookMs() }
}

/** Waits until a call succeeds, and says how long that took. */
export async function untilItWorks(call: () => Awaitable<unknown>, withinMs = 10_000): Promise<number> {
  const tookMs = startStopwatch()
  while (true) {
    const { code } = await settledAs(call())
    if (code === undefined) return tookMs()
    if (tookMs() > withinMs) throw new Error(`still ${code} after ${tookMs()} ms`)
    await pause(20)
  }
}
