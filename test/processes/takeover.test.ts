import { join } from 'node:path'
import { isTaskEvent, type TaskEvent } from 'outlive'
import { expect, test } from 'vitest'
import type { StorePlace } from '../programs/worker-stores.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { startRedis } from '../support/redis-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { isEnd, listAll, openSurvivor, readSoundLog, until } from '../support/survivors.ts'
import { useWorkers } from '../support/worker.ts'

// A process that runs many tasks is killed with -9. Another one, which had nothing to do with them, takes over.

/** Whoever stands still for two thirds of it, as on a busy machine, stops by itself what he runs. */
const LEASE_MS = 4_500
/** With a wait for the store that a thousand commits at once do not outlast. */
const settings = { leaseMs: LEASE_MS, commitWaitMs: 60_000 }
/** A process is found dead within its lease and a third of that; the rest is for the work of a busy machine. */
const NOTICED_MS = (LEASE_MS * 4) / 3
const WORK_MS = 8_000

const startWorker = useWorkers()
const postgres = usePostgres()

const stores = [
  { kind: 'redis', count: 1_000 },
  { kind: 'sqlite', count: 1_000 },
  { kind: 'postgres', count: 200 },
] as const

async function openPlace(kind: (typeof stores)[number]['kind']): Promise<StorePlace> {
  switch (kind) {
    case 'redis':
      return { kind, url: (await startRedis({ appendonly: 'yes' })).url }
    case 'sqlite':
      return { kind, file: join(scratchFolder('takeover'), 'tasks.db') }
    case 'postgres':
      return { kind, url: postgres.url(), schema: postgres.freshSchema() }
  }
}

test.each(stores)(
  'the $count running tasks of a process that is killed -9 are closed, or run again where their tool wants it: $kind',
  async ({ kind, count }) => {
    const place = await openPlace(kind)
    const survivor = openSurvivor(place, settings)
    await survivor.tasks.start()
    const worker = startWorker({ place, settings })
    const held = await worker.call('spawn', 'hold', undefined, (count * 3) / 4, { deliverTo: 'mail:ann' })
    const again = await worker.call('spawn', 'again', undefined, count / 4)
    // That they run has to be kept, too: what is only queued begins elsewhere, and does not begin again.
    await until(async () => (await survivor.ann.stats()).byStatus.running === count)

    // A consumer in this process that was there before, and knows of the loss from the events alone.
    const ends: TaskEvent[] = []
    const reading = new AbortController()
    const allEnded = (async () => {
      for await (const item of survivor.ann.events({ after: 'now', signal: reading.signal })) {
        if (isTaskEvent(item) && isEnd(item.type)) ends.push(item)
        if (ends.length === count) return
      }
    })()
    worker.signal('SIGKILL')
    const sinceKill = startStopwatch()
    expect((await worker.ended).signal).toBe('SIGKILL')
    await allEnded
    const tookMs = sinceKill()
    console.log(`${kind}: ${count} tasks recovered ${Math.round(tookMs)} ms after the kill, lease ${LEASE_MS} ms`)
    expect(tookMs).toBeLessThan(NOTICED_MS + WORK_MS)
    reading.abort()

    const records = new Map((await listAll(survivor.ann)).map((record) => [record.taskId, record]))
    expect(records.size).toBe(count)
    for (const taskId of held)
      expect(records.get(taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' } })
    for (const taskId of again) expect(records.get(taskId)).toMatchObject({ status: 'completed', attempt: 2 })
    expect(survivor.ran.toSorted()).toEqual(again.map((taskId) => `started ${taskId} 2`).toSorted())
    expect(new Set(ends.map(({ taskId }) => taskId)).size).toBe(count)
    await until(() => Promise.resolve(survivor.mailed.length >= held.length))
    expect(survivor.mailed.toSorted()).toEqual(held.toSorted())
    const log = await readSoundLog(place, count)
    expect(log.filter(({ type }) => type === 'task.failed')).toHaveLength(held.length)
    expect(log.filter(({ type }) => type === 'task.retrying')).toHaveLength(again.length)
  },
)

test('a consumer of one task sees its end soon after the process that ran it was killed -9', async () => {
  const place = await openPlace('redis')
  const survivor = openSurvivor(place, settings)
  await survivor.tasks.start()
  const worker = startWorker({ place, settings })
  const [taskId = ''] = await worker.call('spawn', 'talk', { everyMs: 20, times: 10_000 })
  let sinceKill: (() => number) | undefined
  const seen: TaskEvent[] = []
  for await (const item of survivor.ann.events({ taskId })) {
    if (!isTaskEvent(item)) continue
    seen.push(item)
    if (item.type === 'task.custom' && sinceKill === undefined) {
      sinceKill = startStopwatch()
      worker.signal('SIGKILL')
    }
  }
  // The stream has ended by itself, with the terminal event.
  const tookMs = sinceKill?.() ?? NaN
  console.log(`one task: its end was seen ${Math.round(tookMs)} ms after the kill, lease ${LEASE_MS} ms`)
  expect(tookMs).toBeLessThan(LEASE_MS * 1.5 + 1_000)
  expect(seen.at(-1)).toMatchObject({ type: 'task.failed', failure: { code: 'interrupted' } })
  expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => index + 1))
})
