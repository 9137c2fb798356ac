/** Starts a side of the comparison of jobs. Nothing that one side has loaded, or has entered, costs the other anything. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Timing } from '../measuring.ts'

export type JobsSideName = 'outlive' | 'bullmq' | 'pgBoss'

export interface JobsSide {
  /** Runs so many jobs, and checks what they have given. Microseconds per job, of this process. */
  time(count: number): Promise<Timing>
  close(): Promise<void>
}

/** @throws when it ends before it is ready */
export async function startJobsSide(given: Readonly<Record<string, string>>): Promise<JobsSide> {
  const child = fork(
    fileURLToPath(new URL('jobs-side.js', import.meta.url)),
    Object.entries(given).map(([name, value]) => `${name}=${value}`),
    { execArgv: ['--expose-gc'] },
  )
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the side of the jobs has ended with ${String(code)}`)
  })
  // Whoever waits hears of it; once closed, nobody does.
  ended.catch(() => undefined)
  const message = async (): Promise<unknown> => (await Promise.race([once(child, 'message'), ended]))[0]
  await message()
  return {
    async time(count) {
      child.send(count)
      return (await message()) as Timing
    },
    async close() {
      child.disconnect()
      await ended.catch(() => undefined)
    },
  }
}
