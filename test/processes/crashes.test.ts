import { join } from 'node:path'
import { isTaskEvent } from 'outlive'
import { expect, test } from 'vitest'
import type { StorePlace } from '../programs/worker-stores.ts'
import { startRedis } from '../support/redis-server.ts'
import { pause } from '../support/redis-tasks.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { seededRandom } from '../support/setup.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { isEnd, listAll, openSurvivor, readSoundLog, until } from '../support/survivors.ts'
import { useWorkers } from '../support/worker.ts'

// Processes that end, or stand still, at the worst moment.

/** Who stands still for two thirds of the lease, as on a busy machine, is no part of these stories; nor is a slow store. */
const settings = { leaseMs: 3_000, commitWaitMs: 60_000 }
const startWorker = useWorkers()

async function openPlace(kind: 'redis' | 'sqlite'): Promise<StorePlace> {
  if (kind === 'redis') return { kind, url: (await startRedis({ appendonly: 'yes' })).url }
  return { kind, file: join(scratchFolder('crashes'), 'tasks.db') }
}

test.each(['kill', 'abort'] as const)(
  'a task that takes its process down comes back ever later, as often as it may, and then fails for good: %s',
  async (how) => {
    const place = await openPlace('sqlite')
    const startedAts: number[] = []
    let taskId = ''
    // Of its first life nothing is kept but that it was queued, so that one does not count.
    for (let life = 1; life <= 4; life += 1) {
      const worker = startWorker({ place, settings })
      if (life === 1) {
        // The order is never answered: the process is gone before.
        worker.call('spawn', 'deadly', how).catch(() => undefined)
      } else await worker.call('start')
      const { signal } = await worker.ended
      expect(signal).toBe(how === 'kill' ? 'SIGKILL' : 'SIGABRT')
      for (const note of worker.notes) {
        if (note.kind !== 'started') continue
        taskId = note.taskId
        startedAts.push(note.atMs)
      }
    }
    expect(startedAts).toHaveLength(4)
    const survivor = openSurvivor(place, settings)
    const record = await survivor.ann.wait(taskId)
    expect(record).toMatchObject({ status: 'failed', attempt: 3, failure: { code: 'interrupted' } })
    expect(survivor.ran).toEqual([])
    const log = await readSoundLog(place, 1)
    const dueAts = log.flatMap((item) => (item.type === 'task.retrying' ? [item.dueAt - item.at] : []))
    expect(dueAts).toEqual([0, 1_000])
  },
)

test('a process that stood still for longer than its lease writes nothing any more, and its tools are told to stop', async () => {
  const place = await openPlace('redis')
  const survivor = openSurvivor(place, settings)
  await survivor.tasks.start()
  const worker = startWorker({ place, settings })
  const held = await worker.call('spawn', 'hold', undefined, 5)
  const again = await worker.call('spawn', 'again', undefined, 5)
  const talking = await worker.call('spawn', 'talk', { everyMs: 10, times: 100_000 }, 5)
  const all = [...held, ...again, ...talking]
  await until(async () => (await survivor.ann.stats()).byStatus.running === all.length)
  worker.signal('SIGSTOP')
  const closed = await survivor.ann.waitAll(all)
  const seqs = new Map(
    (await readSoundLog(place, all.length)).flatMap((item) => (isTaskEvent(item) ? [[item.taskId, item.seq]] : [])),
  )
  worker.signal('SIGCONT')
  await worker.whenNoted('stopped', held.length + again.length)
  // It says that it lives again, under another name, and does new work.
  const [fresh = ''] = await worker.call('spawn', 'echo', { text: 'fresh', afterMs: 0 })
  expect(await survivor.ann.result(fresh)).toBe('fresh')
  expect((await worker.call('stats')).counters).toMatchObject({ lostLeases: 1 })
  expect(survivor.ran.toSorted()).toEqual(again.map((taskId) => `started ${taskId} 2`).toSorted())
  const now = new Map((await listAll(survivor.ann)).map((record) => [record.taskId, record]))
  for (const record of closed) expect(now.get(record.taskId)).toEqual(record)
  const log = await readSoundLog(place, all.length + 1)
  const later = log.filter((item) => isTaskEvent(item) && item.seq > (seqs.get(item.taskId) ?? Infinity))
  expect(later).toEqual([])
})

test.each(['redis', 'sqlite'] as const)(
  'whenever in the life of a small tree its process is killed -9, another one finishes it: %s',
  async (kind) => {
    const place = await openPlace(kind)
    const random = seededRandom(20)
    const texts = ['one', 'two']
    const survivor = openSurvivor(place, settings)
    await survivor.tasks.start()
    const rounds = 10
    const moments: number[] = []
    // Several at a time: what takes long is to start a process, and to find it dead.
    const lives = Array.from({ length: rounds }, async (_, round) => {
      const worker = startWorker({ place, settings })
      await worker.call('start')
      const spawned = worker.call('spawn', 'tree', texts).catch(() => undefined)
      // Most of them while it runs, the others while it is about to.
      const isRunning = round >= rounds / 4
      if (isRunning) await worker.whenNoted('started')
      const momentMs = Math.round((isRunning ? (round / rounds) * 80 : round * 5) + random() * 10)
      moments.push(momentMs)
      await pause(momentMs)
      worker.signal('SIGKILL')
      await worker.ended
      return (await spawned)?.[0]
    })
    const told = (await Promise.all(lives)).filter((taskId) => taskId !== undefined)
    await until(async () => (await survivor.ann.stats()).live === 0, 40_000)
    const records = await listAll(survivor.ann)
    const roots = records.filter(({ parentId }) => parentId === undefined)
    console.log(
      `${kind}: killed after ${moments.toSorted((a, b) => a - b).join(', ')} ms; ${roots.length} trees kept, ${told.length} told, ${survivor.ran.length} ran again`,
    )
    const ids = roots.map(({ taskId }) => taskId)
    expect(told.filter((taskId) => !ids.includes(taskId))).toEqual([])
    for (const { taskId, status } of roots) {
      expect(status).toBe('completed')
      expect(await survivor.ann.result(taskId)).toEqual(texts)
    }
    for (const { status, failure } of records) if (status === 'failed') expect(failure?.code).toBe('interrupted')
    // Some were in the middle of their lives.
    expect(survivor.ran.length).toBeGreaterThan(0)
    const log = await readSoundLog(place, records.length)
    expect(log.filter((item) => isTaskEvent(item) && isEnd(item.type))).toHaveLength(records.length)
  },
)

test('SIGTERM while the store is away: the process ends within its limits, with a code, and says what is not saved', async () => {
  const server = await startRedis({ appendonly: 'yes' })
  const limits = { graceMs: 500, commitWaitMs: 1_000 }
  const worker = startWorker({ place: { kind: 'redis', url: server.url }, settings: limits })
  await worker.call('start')
  await worker.call('spawn', 'hold', undefined, 20)
  await worker.whenNoted('started', 20)
  await server.kill()
  worker.signal('SIGTERM')
  const sinceSignal = startStopwatch()
  const { exitCode } = await worker.ended
  const tookMs = sinceSignal()
  console.log(`SIGTERM without a store: ended after ${Math.round(tookMs)} ms`)
  // The grace of the call, twice that of the supervisor, five times the wait for a commit; and the rest of a busy machine.
  expect(tookMs).toBeLessThan(200 + 2 * limits.graceMs + 5 * limits.commitWaitMs + 2_000)
  expect(exitCode).toBe(1)
  const reports = worker.notes.flatMap((note) => (note.kind === 'report' ? [note.report] : []))
  expect(reports).toMatchObject([{ completed: 0, cancelled: 20, abandoned: 0, unsaved: 20 }])
})
