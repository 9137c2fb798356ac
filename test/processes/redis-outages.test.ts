import { isTaskError, isTaskEvent } from 'outlive'
import { expect, onTestFinished, test } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { pause, settledAs } from '../support/redis-tasks.ts'
import { isEnd, listAll, openSurvivor, readSoundLog, until } from '../support/survivors.ts'

// A supervisor whose Redis is away: at the start, in the middle of its work, for a reply, and for too long.

/** How long everything may take to be as before once the server is back. */
const BACK_MS = 10_000

async function startProxied(): Promise<{ server: RedisServer; proxy: FaultProxy; url: string }> {
  const server = await startRedis()
  const proxy = await startFaultProxy(server.port)
  onTestFinished(() => proxy.close())
  return { server, proxy, url: `redis://127.0.0.1:${proxy.port}` }
}

test('with a server that is down at the start, start() says so, calls are refused as such, and all work once it is there', async () => {
  const server = await startRedis()
  await server.kill()
  const place = { kind: 'redis', url: server.url, commandTimeoutMs: 500 } as const
  const started = openSurvivor(place)
  expect(await settledAs(started.tasks.start())).toMatchObject({ code: 'store_unavailable' })
  const { ann, tools, tasks } = openSurvivor(place)
  for (const call of [
    () => ann.spawn(tools.echo, { text: 'early', afterMs: 0 }),
    () => ann.list(),
    () => ann.cancelAll(),
    () => ann.wait('unknown'),
  ]) {
    const { code, tookMs } = await settledAs(call())
    expect(code).toBe('store_unavailable')
    expect(tookMs).toBeLessThan(5_000)
  }
  expect(tasks.operator.health()).toMatchObject({ isReady: false, store: 'opening' })
  await server.start()
  for (const survivor of [started, { ann, tools, tasks }]) {
    await until(
      async () => (await settledAs(survivor.ann.spawn(tools.echo, { text: 'now', afterMs: 0 }))).code === undefined,
      BACK_MS,
    )
    await until(() => survivor.tasks.operator.health().isReady, BACK_MS)
  }
  await until(async () => (await ann.stats()).live === 0)
  // What was refused has never run: it is not there, or it was cancelled before it began.
  for (const record of await listAll(ann)) if (record.status !== 'completed') expect(record.startedAt).toBeUndefined()
})

test('a server that is killed under load has every end that was told, once, and gets the rest when it is back', async () => {
  const server = await startRedis({ appendonly: 'yes', appendfsync: 'everysec' })
  const place = { kind: 'redis', url: server.url, commandTimeoutMs: 1_000 } as const
  const { ann, tasks, tools } = openSurvivor(place, { leaseMs: 4_000 })
  await tasks.start()
  const told = new Set<string>()
  const reading = new AbortController()
  const watching = (async () => {
    for await (const item of ann.events({ signal: reading.signal })) {
      if (isTaskEvent(item) && isEnd(item.type)) told.add(`${item.taskId} ${item.seq} ${item.type}`)
    }
  })().catch(() => undefined)
  const stop = new AbortController()
  const spawned: string[] = []
  const refusals = new Set<string | undefined>()
  const lane = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        const task = await ann.spawn(tools.echo, { text: 'x'.repeat(100), afterMs: 20 })
        spawned.push(task.taskId)
        await task.wait()
      } catch (error) {
        refusals.add(isTaskError(error) ? error.code : String(error))
        await pause(50)
      }
    }
  }
  const lanes = Promise.all(Array.from({ length: 100 }, lane))
  await until(() => told.size > 1_000)
  await server.kill()
  const toldBefore = new Set(told)
  await pause(3_000)
  expect(tasks.operator.health().isReady).toBe(false)
  await server.start()
  const readyMs = await until(() => tasks.operator.health().isReady, BACK_MS)
  const afterMs = await until(() => told.size > toldBefore.size + 500, BACK_MS)
  stop.abort()
  await lanes
  const flushedMs = await until(() => tasks.operator.health().unsaved === 0, BACK_MS)
  console.log(
    `${toldBefore.size} ends before the kill; ready ${Math.round(readyMs)} ms after the start, ` +
      `500 ends more after ${Math.round(readyMs + afterMs)} ms, flushed after ${Math.round(readyMs + afterMs + flushedMs)} ms`,
  )
  expect(refusals).toEqual(new Set(['store_unavailable']))
  await until(async () => (await ann.stats()).live === 0)
  reading.abort()
  await watching
  const records = await listAll(ann)
  const ids = new Set(records.map(({ taskId }) => taskId))
  expect(spawned.filter((taskId) => !ids.has(taskId))).toEqual([])
  const log = await readSoundLog(place, records.length)
  const kept = new Set(
    log.flatMap((item) => (isTaskEvent(item) && isEnd(item.type) ? [`${item.taskId} ${item.seq} ${item.type}`] : [])),
  )
  expect([...toldBefore].filter((end) => !kept.has(end))).toEqual([])
  expect([...told].filter((end) => !kept.has(end))).toEqual([])
})

test('replies that are lost, with a reset each, double no event and leave no hole', async () => {
  const { proxy, server, url } = await startProxied()
  const { ann, tasks, tools } = openSurvivor({ kind: 'redis', url }, { commitWaitMs: 10_000 })
  await tasks.start()
  // Each loss is followed by a longer wait for the next connection.
  const rounds = 8
  const before = proxy.acceptedConnections()
  for (let round = 0; round < rounds; round += 1) {
    // Just after an outage new work is refused; that is not the matter here.
    await until(() => tasks.operator.health().isReady)
    if (round % 2 === 0) proxy.dropNextReply()
    const task = await ann.spawn(tools.talk, { everyMs: 1, times: 5 })
    if (round % 2 === 1) proxy.dropNextReply()
    expect(await task.result()).toBe(5)
  }
  expect(proxy.acceptedConnections() - before).toBeGreaterThanOrEqual(rounds)
  const log = await readSoundLog({ kind: 'redis', url: server.url }, rounds)
  expect(log.filter(({ type }) => type === 'task.custom')).toHaveLength(rounds * 5)
  expect(log.filter(({ type }) => type === 'task.completed')).toHaveLength(rounds)
  expect((await tasks.operator.stats()).counters).toMatchObject({ refusedCommits: 0 })
})

test('an outage that fills the buffer: new work is refused with store_full, what runs goes on, and every end is kept', async () => {
  const { proxy, server, url } = await startProxied()
  const maxUnsavedBytes = 300_000
  const { ann, tasks, tools, ran } = openSurvivor({ kind: 'redis', url }, { maxUnsavedBytes, leaseMs: 60_000 })
  await tasks.start()
  const text = 'x'.repeat(5_000)
  const ending = await Promise.all(Array.from({ length: 100 }, () => ann.spawn(tools.echo, { text, afterMs: 500 })))
  const held = await ann.spawn(tools.hold, undefined)
  const talking = await ann.spawn(tools.talk, { everyMs: 5, times: 400 })
  const results = Promise.all(ending.map((task) => task.result()))
  const talked = talking.result()
  proxy.refuse()
  const spawn = (): Promise<unknown> => ann.spawn(tools.echo, { text: 'refused', afterMs: 0 })
  await until(async () => (await settledAs(spawn())).code === 'store_full')
  // Those who wait for results have them all the same.
  expect(await results).toEqual(ending.map(() => text))
  expect(await talked).toBe(400)
  expect((await settledAs(spawn())).code).toBe('store_full')
  expect(tasks.operator.health()).toMatchObject({ isReady: false, store: 'failing' })
  expect(ran.filter((line) => line.startsWith('stopped'))).toEqual([])
  proxy.heal()
  await until(() => tasks.operator.health().unsaved === 0, BACK_MS)
  await until(async () => (await settledAs(spawn())).code === undefined, BACK_MS)
  await held.cancel()
  await until(async () => (await ann.stats()).live === 0)
  const records = await listAll(ann)
  for (const { taskId } of ending) {
    expect(records.find((record) => record.taskId === taskId)).toMatchObject({
      status: 'completed',
      resultBytes: text.length + 2,
    })
  }
  expect((await tasks.operator.stats()).counters.unsavedReports).toBeGreaterThan(0)
  await readSoundLog({ kind: 'redis', url: server.url }, records.length)
})
