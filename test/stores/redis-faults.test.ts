import { Redis } from 'ioredis'
import type { StoreHint } from 'outlive'
import { redisStore, type RedisStore, type RedisStoreOptions } from 'outlive/redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { begin, commitUntilAnswered, finish, pause, settledAs, untilItWorks } from '../support/redis-tasks.ts'
import { startStopwatch } from '../support/stopwatch.ts'

// What breaks in production, done to a real server and to the way there.

async function openStore(options: RedisStoreOptions): Promise<RedisStore> {
  const store = redisStore(options)
  onTestFinished(() => store.close())
  await store.open()
  return store
}

async function behindProxy(
  options: RedisStoreOptions = {},
): Promise<{ server: RedisServer; proxy: FaultProxy; store: RedisStore }> {
  const server = await startRedis()
  const proxy = await startFaultProxy(server.port)
  onTestFinished(() => proxy.close())
  const store = await openStore({ url: `redis://127.0.0.1:${proxy.port}`, ...options })
  return { server, proxy, store }
}

async function seqsOf(store: RedisStore, taskId: string): Promise<number[]> {
  return (await store.readEvents({ taskId, afterSeq: 0, limit: 100 })).map(({ event }) => event.seq)
}

/** The number of the store's connection for commands, as the server counts connections. */
async function connectionsSoFar(server: RedisServer): Promise<number> {
  const info = await server.client.info('stats')
  return Number(/total_connections_received:(\d+)/.exec(info)?.[1])
}

describe('a server that ends', () => {
  test('a server that is killed under load loses nothing that was acknowledged, and nothing is there twice', async () => {
    const server = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const store = await openStore({ url: server.url, commandTimeoutMs: 1_000 })
    expect(store.durability).toBe('power')
    const acknowledged = new Set<string>()
    const tasks = Array.from({ length: 1_500 }, (_, index) => `t${index}`)
    const queue = [...tasks]
    const worker = async (): Promise<void> => {
      for (let taskId = queue.shift(); taskId !== undefined; taskId = queue.shift()) {
        const owner = `owner ${taskId.at(-1)}`
        for (const change of [begin(taskId, { owner }), finish(taskId, { owner })]) {
          expect((await commitUntilAnswered(store, change)).kind).toBe('committed')
          acknowledged.add(change.id)
        }
      }
    }
    const working = Promise.all(Array.from({ length: 100 }, worker))
    while (acknowledged.size < 300) await pause(1)
    const before = new Set(acknowledged)
    await server.kill()
    await pause(500)
    await server.start()
    for (const id of before) {
      const [taskId, version] = id.split(':')
      const kept = await server.client.hget(`{outlive}:task:${taskId}`, 'version')
      expect(Number(kept)).toBeGreaterThanOrEqual(Number(version))
    }
    await working
    expect(acknowledged.size).toBe(3_000)
    for (const taskId of tasks) expect(await seqsOf(store, taskId)).toEqual([1, 2])
    const { entries, isLast } = await store.readFeed({ after: 0, limit: 10_000 })
    expect(isLast).toBe(true)
    expect(entries.map(({ position }) => position)).toEqual(Array.from({ length: 3_000 }, (_, index) => index + 1))
    expect(new Set(entries.map(({ event, record }) => `${record.taskId} ${event.seq}`)).size).toBe(3_000)
    const change = finish('t7', { owner: 'owner 7' })
    const first = await store.commit(change)
    expect(first.kind).toBe('committed')
    await expect(store.commit(change)).resolves.toEqual(first)
  })

  test('a server that is paused: calls end at their limit, and what was applied all the same is harmless', async () => {
    const server = await startRedis()
    const store = await openStore({ url: server.url, commandTimeoutMs: 300 })
    await store.commit(begin('a'))
    server.pause()
    const [late, read] = await Promise.all([settledAs(store.commit(finish('a'))), settledAs(store.read('a'))])
    expect([late.code, read.code]).toEqual(['store_unavailable', 'store_unavailable'])
    expect(Math.max(late.tookMs, read.tookMs)).toBeLessThan(2_000)
    await pause(1_000)
    const whilePaused = await settledAs(store.read('a'))
    expect(whilePaused.code).toBe('store_unavailable')
    expect(whilePaused.tookMs).toBeLessThan(1_000)
    server.resume()
    expect((await commitUntilAnswered(store, finish('a'))).kind).toBe('committed')
    expect(await seqsOf(store, 'a')).toEqual([1, 2])
    expect(await store.lastPosition('ann')).toBe(2)
  })

  test('a server that is down at the start: the store says so in time, and finds it when it comes', async () => {
    const server = await startRedis()
    await server.kill()
    const store = redisStore({ url: server.url, commandTimeoutMs: 300 })
    onTestFinished(() => store.close())
    const { code, tookMs } = await settledAs(store.open())
    expect(code).toBe('store_unavailable')
    expect(tookMs).toBeLessThan(2_000)
    await server.start()
    await untilItWorks(() => store.commit(begin('a')))
    expect((await store.read('a'))?.taskId).toBe('a')
  })
})

describe('a link that breaks', () => {
  test('a link that swallows everything is noticed within ten seconds, and replaced', async () => {
    const { proxy, store } = await behindProxy({ commandTimeoutMs: 30_000 })
    await store.commit(begin('a'))
    proxy.blackhole()
    const { code, tookMs } = await settledAs(store.commit(finish('a')))
    expect(code).toBe('store_unavailable')
    expect(tookMs).toBeLessThan(10_000)
    proxy.heal()
    expect((await commitUntilAnswered(store, finish('a'))).kind).toBe('committed')
    expect(await seqsOf(store, 'a')).toEqual([1, 2])
  })

  test('a commit whose reply is lost is there once when it is sent again, with its first answer', async () => {
    const { proxy, store } = await behindProxy()
    await store.commit(begin('a'))
    proxy.dropNextReply()
    expect((await settledAs(store.commit(finish('a')))).code).toBe('store_unavailable')
    await untilItWorks(() => store.cluster.readReply('any'))
    expect((await store.read('a'))?.status).toBe('completed')
    const again = await commitUntilAnswered(store, finish('a'))
    expect(again).toEqual({ kind: 'committed', ownerPosition: 2, position: 2 })
    expect(await seqsOf(store, 'a')).toEqual([1, 2])
    expect(await store.lastPosition(undefined)).toBe(2)
  })

  test('a commit that is cut on its way in changes nothing', async () => {
    const { proxy, store } = await behindProxy()
    await store.commit(begin('a'))
    proxy.cutAfter(200, 'toServer')
    expect((await settledAs(store.commit(finish('a')))).code).toBe('store_unavailable')
    await untilItWorks(() => store.read('a'))
    expect((await store.read('a'))?.status).toBe('running')
    expect((await commitUntilAnswered(store, finish('a'))).kind).toBe('committed')
  })

  test('without a connection a call is rejected at once, and nothing is kept to be sent later', async () => {
    const { proxy, store } = await behindProxy()
    proxy.refuse()
    await pause(20)
    const calls = await Promise.all(Array.from({ length: 200 }, () => settledAs(store.commit(begin('a')))))
    expect(new Set(calls.map(({ code }) => code))).toEqual(new Set(['store_unavailable']))
    expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(1_000)
    proxy.heal()
    await untilItWorks(() => store.read('a'))
    expect(await store.read('a')).toBeUndefined()
  })

  test('connections that are killed over and over, and an outage: commits and hints go on within ten seconds', async () => {
    const server = await startRedis({ appendonly: 'yes' })
    const store = await openStore({ url: server.url, commandTimeoutMs: 1_000 })
    const hints: StoreHint[] = []
    store.cluster.watch((hint) => void hints.push(hint))
    const over = new AbortController()
    let written = 0
    const working = (async (): Promise<void> => {
      for (; !over.signal.aborted; written += 1) await commitUntilAnswered(store, begin(`t${written}`))
    })()
    for (let round = 0; round < 8; round += 1) {
      await server.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await pause(250)
    }
    await server.kill()
    await pause(1_500)
    await server.start()
    await untilItWorks(() => store.read('t0'))
    const before = written
    const tookMs = startStopwatch()
    await expect.poll(() => written).toBeGreaterThan(before)
    hints.length = 0
    await expect.poll(() => hints.some(({ owner }) => owner === 'ann')).toBe(true)
    expect(tookMs()).toBeLessThan(10_000)
    over.abort()
    await working
    const feed = await store.readFeed({ after: 0, limit: 100_000 })
    expect(feed.entries.map(({ position }) => position)).toEqual(Array.from({ length: written }, (_, at) => at + 1))
  })

  test('closing while connecting again settles everything within a second, twice is once, and nothing is left', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const { proxy, store } = await behindProxy()
    store.cluster.watch(() => undefined)
    await store.commit(begin('a'))
    proxy.blackhole()
    const before = timers()
    const pending = [store.commit(finish('a')), store.read('a'), store.cluster.sweep({ now: 0 })].map((call) =>
      settledAs(call),
    )
    await pause(50)
    proxy.refuse()
    const tookMs = startStopwatch()
    await Promise.all([store.close(), store.close()])
    const ends = await Promise.all(pending)
    expect(tookMs()).toBeLessThan(1_000)
    expect(ends.map(({ code }) => code)).toEqual(Array.from({ length: 3 }, () => 'store_unavailable'))
    await store.close()
    expect((await settledAs(store.read('a'))).code).toBe('store_unavailable')
    await expect.poll(() => proxy.openConnections()).toBe(0)
    expect(timers()).toBeLessThanOrEqual(before)
  })
})

test('closing while the server hangs is as quick, and leaves no socket behind', async () => {
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  const server = await startRedis()
  await server.client.ping()
  const before = sockets()
  const store = await openStore({ url: server.url })
  store.cluster.watch(() => undefined)
  await expect.poll(sockets).toBe(before + 2)
  server.pause()
  const reading = settledAs(store.read('a'))
  const tookMs = startStopwatch()
  await store.close()
  expect(tookMs()).toBeLessThan(1_000)
  expect((await reading).code).toBe('store_unavailable')
  await expect.poll(sockets).toBe(before)
  expect(tookMs()).toBeLessThan(1_500)
})

describe('a server that says no', () => {
  test('out of memory: writing is `store_full`, reading, dropping and renewing go on, and it recovers', async () => {
    const server = await startRedis()
    const store = await openStore({ url: server.url })
    await store.cluster.join({ node: 'n1', leaseMs: 60_000, now: 0 })
    await store.commit(begin('a'))
    await store.commit(finish('a'))
    await server.client.config('SET', 'maxmemory', '1')
    expect((await settledAs(store.commit(begin('b')))).code).toBe('store_full')
    expect((await store.read('a'))?.status).toBe('completed')
    expect(await store.cluster.renew({ node: 'n1', leaseMs: 60_000, now: 0 })).toBe(true)
    const limits = { maxFinished: 0, maxFinishedBytes: 0, finishedMs: 1, maxEvicted: 10, now: 0 }
    expect(await store.prune(limits)).toEqual({ evicted: 1 })
    expect(await store.read('a')).toBeUndefined()
    expect(await store.read('b')).toBeUndefined()
    await server.client.config('SET', 'maxmemory', '0')
    expect((await store.commit(begin('b'))).kind).toBe('committed')
  })

  test('a primary that was demoted is left for the one that its name leads to now', async () => {
    const settings = { 'repl-diskless-sync-delay': '0' }
    const [old, next] = [await startRedis(settings), await startRedis(settings)]
    let primary = old
    const store = await openStore({ redis: (options) => new Redis({ ...options, port: primary.port }) })
    await store.commit(begin('a'))
    await next.client.call('REPLICAOF', '127.0.0.1', String(old.port))
    await expect.poll(() => next.client.exists('{outlive}:task:a')).toBe(1)
    await next.client.call('REPLICAOF', 'NO', 'ONE')
    await old.client.call('REPLICAOF', '127.0.0.1', String(next.port))
    primary = next
    expect((await settledAs(store.commit(finish('a')))).code).toBe('store_unavailable')
    expect(await commitUntilAnswered(store, finish('a'))).toMatchObject({ kind: 'committed', position: 2 })
    expect(await next.client.hget('{outlive}:task:a', 'version')).toBe('2')
  })

  test('a script that the server has forgotten is sent again', async () => {
    const server = await startRedis()
    const store = await openStore({ url: server.url })
    await store.commit(begin('a'))
    await server.client.script('FLUSH')
    await store.commit(finish('a'))
    await server.client.script('FLUSH')
    expect((await store.list({ limit: 10 })).records).toHaveLength(1)
  })

  test('a busy server: calls are rejected as such, and go on when it is free', async () => {
    const server = await startRedis({ 'busy-reply-threshold': '50' })
    const store = await openStore({ url: server.url, commandTimeoutMs: 3_000 })
    const other = new Redis({ port: server.port })
    onTestFinished(() => other.disconnect())
    const looping = other.eval('while true do end', 0).catch(() => undefined)
    await pause(150)
    const { code } = await settledAs(store.commit(begin('a')))
    expect(code).toBe('store_unavailable')
    await server.client.script('KILL')
    await looping
    expect((await commitUntilAnswered(store, begin('a'))).kind).toBe('committed')
  })

  test('a server that loads its data is waited for', async () => {
    const server = await startRedis({ 'key-load-delay': '1000', 'loading-process-events-interval-bytes': '1024' })
    const store = await openStore({ url: server.url, commandTimeoutMs: 500 })
    await store.commit(begin('a'))
    await server.client.eval("for n = 1, 1500 do redis.call('SET', 'filler' .. n, string.rep('x', 100)) end", 0)
    await server.client.save()
    await server.kill()
    const seen = new Set<string>()
    const starting = server.start()
    const tookMs = startStopwatch()
    for (let isLoaded = false; !isLoaded;) {
      try {
        isLoaded = (await store.read('a')) !== undefined
      } catch (error) {
        seen.add(String(error))
      }
      expect(tookMs()).toBeLessThan(8_000)
      await pause(30)
    }
    await starting
    expect([...seen].join()).toContain('LOADING')
  })

  test('a replica without its primary, and a cluster without its slots, are waited for', async () => {
    const server = await startRedis({ 'replica-serve-stale-data': 'no' })
    const store = await openStore({ url: server.url })
    await server.client.call('REPLICAOF', '127.0.0.1', '1')
    expect((await settledAs(store.read('a'))).code).toBe('store_unavailable')
    await server.client.call('REPLICAOF', 'NO', 'ONE')
    expect((await commitUntilAnswered(store, begin('a'))).kind).toBe('committed')

    const cluster = await startRedis({ 'cluster-enabled': 'yes' })
    const down = redisStore({ url: cluster.url })
    onTestFinished(() => down.close())
    expect((await settledAs(down.open())).code).toBe('store_unavailable')
    await cluster.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await untilItWorks(() => down.commit(begin('a')))
  })

  test('a wrong password is an error for good, at once, and not asked about over and over', async () => {
    const server = await startRedis({ requirepass: 'right' })
    for (const url of [`redis://:wrong@127.0.0.1:${server.port}`, server.url]) {
      const store = redisStore({ url })
      onTestFinished(() => store.close())
      const before = await connectionsSoFar(server)
      const { code, tookMs } = await settledAs(store.open())
      expect(code).toBe('store_unusable')
      expect(tookMs).toBeLessThan(2_000)
      for (let asked = 0; asked < 50; asked += 1) {
        expect((await settledAs(store.commit(begin('a')))).code).toBe('store_unusable')
        await pause(10)
      }
      expect((await connectionsSoFar(server)) - before).toBeLessThanOrEqual(2)
    }
    const store = await openStore({ url: `redis://:right@127.0.0.1:${server.port}` })
    expect((await store.commit(begin('a'))).kind).toBe('committed')
  })

  test('a user who may not do what the store needs is refused, with what is missing in the message', async () => {
    const server = await startRedis()
    await server.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@read', '+ping', '+hello')
    const store = redisStore({ url: server.url, redis: { username: 'reader', password: 'secret' } })
    onTestFinished(() => store.close())
    await expect(store.open()).rejects.toMatchObject({
      code: 'store_unusable',
      message: expect.stringMatching(/eval/i) as unknown,
    })
    await server.client.call(
      'ACL',
      'SETUSER',
      'worker',
      'on',
      '>secret',
      '~{mine}:*',
      '&{mine}:*',
      '+@all',
      '-config',
      '-info',
    )
    const options = { url: server.url, redis: { username: 'worker', password: 'secret' } }
    const mine = redisStore({ ...options, prefix: 'mine' })
    const theirs = redisStore({ ...options, prefix: 'theirs' })
    onTestFinished(() => Promise.all([mine.close(), theirs.close()]).then(() => undefined))
    const warnings = await mine.open()
    expect(warnings.filter((warning) => warning.includes('could not be checked'))).toHaveLength(3)
    expect((await mine.commit(begin('a'))).kind).toBe('committed')
    expect((await settledAs(theirs.open())).code).toBe('store_unusable')
  })
})
