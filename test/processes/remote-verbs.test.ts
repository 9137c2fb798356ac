import { join } from 'node:path'
import { isTaskEvent } from 'outlive'
import { expect, test } from 'vitest'
import type { StorePlace } from '../programs/worker-stores.ts'
import { wallMs } from '../programs/worker-tools.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { startRedis } from '../support/redis-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { openSurvivor, percentile, readSoundLog, until } from '../support/survivors.ts'
import { useWorkers } from '../support/worker.ts'

// One owner, two processes: what one of them runs, the other one watches, steers and stops.

/** Without hints from the store everybody looks every two seconds. */
const RECONCILE_MS = 2_000

const startWorker = useWorkers()
const postgres = usePostgres()

async function openPlace(kind: StorePlace['kind']): Promise<StorePlace> {
  switch (kind) {
    case 'redis':
      return { kind, url: (await startRedis()).url }
    case 'sqlite':
      return { kind, file: join(scratchFolder('remote'), 'tasks.db') }
    case 'postgres':
      return { kind, url: postgres.url(), schema: postgres.freshSchema() }
  }
}

async function timed<Value>(work: Promise<Value>): Promise<{ value: Value; tookMs: number }> {
  const tookMs = startStopwatch()
  const value = await work
  return { value, tookMs: tookMs() }
}

test('cancelAll in one process signals what runs in the other, and what is queued there never starts', async () => {
  const place = await openPlace('redis')
  const here = openSurvivor(place)
  const worker = startWorker({ place, settings: { limits: { maxRunning: 50 } } })
  const ids = await worker.call('spawn', 'hold', undefined, 80)
  await worker.whenNoted('started', 50)
  const mine = await here.ann.spawn(here.tools.hold, undefined)
  const sinceCancel = startStopwatch()
  const allStopped = worker.whenNoted('stopped', 50).then(sinceCancel)
  const { value, tookMs } = await timed(here.ann.cancelAll())
  console.log(`cancelAll of 50 running and 30 queued tasks elsewhere took ${Math.round(tookMs)} ms`)
  expect(value.count).toBe(81)
  expect(value.tasks.map(({ taskId }) => taskId).toSorted()).toEqual([...ids, mine.taskId].toSorted())
  expect(new Set(value.tasks.map(({ status }) => status))).toEqual(new Set(['cancelled']))
  expect(await allStopped).toBeLessThan(2_000)
  expect(worker.notes.filter(({ kind }) => kind === 'started')).toHaveLength(50)
  const log = await readSoundLog(place, 81)
  expect(log.filter(({ type }) => type === 'task.started')).toHaveLength(51)
})

test('over PostgreSQL every verb reaches a task of another process by its notification, long before anybody looks', async () => {
  const place = await openPlace('postgres')
  const here = openSurvivor(place)
  const worker = startWorker({ place })
  const [taskId = ''] = await worker.call('spawn', 'dialogue', undefined)
  await until(async () => (await here.ann.get(taskId))?.status === 'running')
  const times: number[] = []
  const order = async (work: Promise<unknown>): Promise<void> => void times.push((await timed(work)).tookMs)

  const asked = until(async () => (await here.ann.get(taskId))?.status === 'waiting')
  const result = here.ann.result(taskId)
  await order(here.ann.send(taskId, 'hello'))
  await asked
  await order(here.ann.redirect(taskId, 'mail:there'))
  await expect(here.ann.answer(taskId, 'other', 'yes')).rejects.toMatchObject({ code: 'question_closed' })
  await order(here.ann.answer(taskId, 'sure', 'yes'))
  await order(result)
  expect(await result).toEqual({ message: 'hello', answer: 'yes' })
  expect((await here.ann.get(taskId))?.targets).toEqual(['mail:there'])

  const [held = ''] = await worker.call('spawn', 'hold', undefined)
  await order(here.ann.background(held))
  const waiting = here.ann.wait(held)
  await order(here.ann.cancel(held))
  expect(await waiting).toMatchObject({ status: 'cancelled', cause: { reason: 'user' } })
  console.log(`verbs over PostgreSQL took ${times.map(Math.round).join(', ')} ms`)
  expect(times.filter((ms) => ms > RECONCILE_MS * 0.75)).toEqual([])
  await readSoundLog(place, 2)
})

test.each(['redis', 'sqlite', 'postgres'] as const)(
  'what a task says is seen in another process at once, in order and without a hole: %s',
  async (kind) => {
    const place = await openPlace(kind)
    const here = openSurvivor(place)
    const worker = startWorker({ place })
    await Promise.all([here.tasks.start(), worker.call('start')])
    const seqs: number[] = []
    const latencies: number[] = []
    const reading = (async () => {
      for await (const item of here.ann.events({ tool: 'talk' })) {
        if (!isTaskEvent(item)) continue
        seqs.push(item.seq)
        if (item.type === 'task.custom') latencies.push(wallMs() - (item.payload as { readonly atMs: number }).atMs)
        if (item.type === 'task.completed') return
      }
    })()
    await worker.call('spawn', 'talk', { everyMs: 25, times: 100 })
    await reading
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    expect(latencies).toHaveLength(100)

    const cancels: number[] = []
    for (const taskId of await worker.call('spawn', 'hold', undefined, 20)) {
      cancels.push((await timed(here.ann.cancel(taskId))).tookMs)
    }
    const show = (values: readonly number[]): string =>
      `p50 ${Math.round(percentile(values, 0.5))} ms, p99 ${Math.round(percentile(values, 0.99))} ms`
    console.log(`${kind}: an event elsewhere: ${show(latencies)}; a remote cancel: ${show(cancels)}`)
    expect(percentile(latencies, 0.5)).toBeLessThan(RECONCILE_MS / 2)
    expect(percentile(cancels, 0.5)).toBeLessThan(RECONCILE_MS / 2)
  },
)
