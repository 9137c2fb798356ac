import { isTaskEvent } from 'outlive'
import { expect, onTestFinished, test } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { pause, settledAs } from '../support/redis-tasks.ts'
import { collect } from '../support/setup.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { isEnd, openSurvivor, readSoundLog, until } from '../support/survivors.ts'
import { useWorkers } from '../support/worker.ts'

// The way to Redis is cut, once and over and over, for two processes at a time.

const startWorker = useWorkers()

async function startProxied(): Promise<{ server: RedisServer; proxy: FaultProxy; url: string }> {
  const server = await startRedis({ appendonly: 'yes' })
  const proxy = await startFaultProxy(server.port)
  onTestFinished(() => proxy.close())
  return { server, proxy, url: `redis://127.0.0.1:${proxy.port}` }
}

test('connections that are killed each second, and then an outage longer than the lease: all goes on within ten seconds', async () => {
  const { server, proxy, url } = await startProxied()
  const place = { kind: 'redis', url } as const
  const leaseMs = 4_000
  const here = openSurvivor(place, { leaseMs })
  const worker = startWorker({ place, settings: { leaseMs } })
  await Promise.all([here.tasks.start(), worker.call('start')])
  const ends = new Set<string>()
  const reading = new AbortController()
  const watching = (async () => {
    for await (const item of here.ann.events({ signal: reading.signal })) {
      if (isTaskEvent(item) && isEnd(item.type)) ends.add(item.taskId)
    }
  })()
  const ids = await worker.call('spawn', 'talk', { everyMs: 20, times: 2_000 }, 3)
  const mine = await here.ann.spawn(here.tools.talk, { everyMs: 20, times: 2_000 })
  const ofOne = collect(here.ann.events({ taskId: ids[0] ?? '' }))
  const waiting = here.ann.waitAll(ids)
  for (let second = 0; second < 10; second += 1) {
    await pause(1_000)
    for (const type of ['normal', 'pubsub'] as const)
      await server.client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
  }
  proxy.refuse()
  await until(async () => !here.tasks.operator.health().isReady && !(await worker.call('health')).isReady)
  await pause(leaseMs * 1.5)
  expect(here.tasks.operator.health()).toMatchObject({ isReady: false, store: 'failing', node: { hasLease: false } })
  expect(await worker.call('health')).toMatchObject({ isReady: false, store: 'failing', node: { hasLease: false } })
  proxy.heal()
  const sinceHealed = startStopwatch()
  await until(async () => here.tasks.operator.health().isReady && (await worker.call('health')).isReady, 10_000)
  const readyMs = sinceHealed()
  const [fresh = ''] = await worker.call('spawn', 'echo', { text: 'fresh', afterMs: 0 })
  expect(await here.ann.result(fresh)).toBe('fresh')
  await until(() => ends.has(fresh), 10_000)
  const resumedMs = sinceHealed()
  console.log(
    `after an outage of ${leaseMs * 1.5} ms: ready after ${Math.round(readyMs)} ms, news after ${Math.round(resumedMs)} ms`,
  )
  expect(resumedMs).toBeLessThan(10_000)
  // Nobody was found dead, so nothing was lost: the tasks that ran still run, and hear their order to stop.
  expect((await here.ann.cancelAll()).tasks.map(({ taskId, status }) => `${taskId} ${status}`).toSorted()).toEqual(
    [...ids, mine.taskId].map((taskId) => `${taskId} cancelled`).toSorted(),
  )
  await until(() => ends.size === 5)
  reading.abort()
  await watching
  // Who waited and watched all the time has seen it through.
  expect((await waiting).map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled'])
  expect(await ofOne.ended).toBeUndefined()
  const seqs = ofOne.items.flatMap((item) =>
    isTaskEvent(item) ? [item.seq] : item.type === 'stream.gap' ? [item.to] : [],
  )
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
  expect(ofOne.items.at(-1)?.type).toBe('task.cancelled')
  await readSoundLog({ kind: 'redis', url: server.url }, 5)
})

test('a cancel while Redis is away stops what runs here at once, and says that it could not reach the rest', async () => {
  const { proxy, url } = await startProxied()
  const place = { kind: 'redis', url } as const
  const here = openSurvivor(place)
  const worker = startWorker({ place })
  const [elsewhere = ''] = await worker.call('spawn', 'hold', undefined)
  await here.ann.spawn(here.tools.hold, undefined)
  const kept = await here.ann.spawn(here.tools.hold, undefined, { name: 'single' })
  await until(async () => (await here.ann.stats()).byStatus.running === 3)
  proxy.refuse()
  expect(await settledAs(here.ann.cancel(elsewhere))).toMatchObject({ code: 'store_unavailable' })
  const one = here.ann.cancel(kept.taskId)
  const all = settledAs(here.ann.cancelAll())
  // The signals are out before anything is known of the store.
  expect(here.ran.filter((line) => line.startsWith('stopped'))).toHaveLength(2)
  expect((await one).tasks).toEqual([{ taskId: kept.taskId, status: 'cancelled' }])
  expect(await all).toMatchObject({ code: 'store_unavailable' })
  expect(worker.notes.filter(({ kind }) => kind === 'stopped')).toEqual([])
  proxy.heal()
  await until(() => here.tasks.operator.health().isReady)
  expect((await here.ann.cancelAll()).tasks).toEqual([{ taskId: elsewhere, status: 'cancelled' }])
  await worker.whenNoted('stopped')
})

test('an outage of ten seconds is told once a second at most of each kind, whatever happens meanwhile', async () => {
  const { proxy, url } = await startProxied()
  const { ann, tasks, tools, logged } = openSurvivor(
    { kind: 'redis', url, commandTimeoutMs: 1_000 },
    { leaseMs: 4_500 },
  )
  await tasks.start()
  const reading = new AbortController()
  const watching = Array.from({ length: 5 }, () => collect(ann.events({ signal: reading.signal })))
  await Promise.all(Array.from({ length: 100 }, () => ann.spawn(tools.talk, { everyMs: 50, times: 300 })))
  expect(logged).toEqual([])
  await until(() => watching.every(({ items }) => items.length > 100))
  proxy.refuse()
  const callingMs = 10_000
  const from = performance.now()
  while (performance.now() - from < callingMs) {
    // Callers do not wait for better times.
    const calls = [ann.list(), ann.stats(), ann.spawn(tools.echo, { text: '', afterMs: 0 }), ann.wait('unknown')]
    await Promise.all(calls.map(settledAs))
    await pause(20)
  }
  proxy.heal()
  await until(() => tasks.operator.health().isReady, 10_000)
  await ann.cancelAll()
  reading.abort()
  for (const { items, ended } of watching) {
    expect(await ended).toBeUndefined()
    expect(items.filter(({ type }) => type === 'stream.paused')).toHaveLength(1)
  }
  const counts = new Map<string, number>()
  for (const { message, atMs } of logged) {
    const kind = `${Math.floor(atMs / 1_000)} ${message}`
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  console.log(`${logged.length} lines in an outage of ten seconds:`, [...new Set(logged.map(({ message }) => message))])
  expect(logged.length).toBeGreaterThan(0)
  expect([...counts].filter(([, count]) => count > 1)).toEqual([])
})
