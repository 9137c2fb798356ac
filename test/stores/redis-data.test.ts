import { Cluster, Redis } from 'ioredis'
import { createTaskSupervisor, type Commit, type OutboxEntry, type TaskContext, type TaskStore } from 'outlive'
import { CLUSTER_CONTRACT, STORE_CONTRACT } from 'outlive/testing'
import { redisStore, type RedisClientFactory, type RedisStore, type RedisStoreOptions } from 'outlive/redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { BASE_AT, commitOf, entryOf, nextOf, recordOf } from '../../src/testing/contract-case.ts'
import { measureMemory } from '../support/redis-memory.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { begin, finish, settledAs } from '../support/redis-tasks.ts'

// What is in Redis, and what stays there.

const undos: (() => Promise<void>)[] = []
let server: RedisServer
let deployments = 0

beforeAll(async () => {
  server = await startRedis({}, (undo) => undos.push(undo))
})
afterAll(async () => {
  for (const undo of undos) await undo()
})

/** A deployment of its own. */
function setup(options: RedisStoreOptions = {}): { store: RedisStore; prefix: string; keys: () => Promise<string[]> } {
  deployments += 1
  const prefix = `data-${deployments}`
  const store = redisStore({ url: server.url, prefix, ...options })
  onTestFinished(() => store.close())
  return { store, prefix, keys: async () => (await server.client.keys(`{${prefix}}:*`)).sort() }
}

const PRUNE_ALL = { maxFinished: 0, maxFinishedBytes: 0, finishedMs: 1, maxEvicted: 10_000, now: BASE_AT }

/** Brings a task with everything that a task may have to its end. */
async function liveAndEnd(store: TaskStore, taskId: string, owner: string): Promise<void> {
  const lineage = {
    owner,
    parentId: 'p',
    rootId: 'p',
    depth: 1,
    conversation: 'c',
    correlation: { runId: 'r' },
    node: 'n1',
  }
  const claims = (['name', 'concurrency', 'dedupe'] as const).map((kind) => ({ owner, kind, key: taskId }))
  const first = begin(taskId, { ...lineage, name: 'reader' })
  await store.commit({ ...first, claims, attachments: [{ kind: 'input', json: '"in"' }] })
  const running = recordOf(taskId, { ...lineage, version: 2, lastSeq: 4 })
  await store.commit(commitOf(running, { types: ['task.output', 'task.output', 'task.output'], trimTo: 2 }))
  const end = { ...lineage, version: 3, lastSeq: 5, resultJson: `"${'x'.repeat(500)}"`, resultBytes: 502 }
  const outbox = ['told', 'dead'].map((name) => entryOf(`${name} ${taskId}`, { taskId, owner, node: 'n1' }))
  await store.commit({ ...finish(taskId, end), trimTo: 4, outbox, attachments: [{ kind: 'result', json: '"out"' }] })
  for (const [index, state] of (['delivered', 'deadLettered'] as const).entries()) {
    await store.putDelivery(nextOf(outbox[index] as OutboxEntry, state))
  }
}

async function liveAndEndMany(store: RedisStore, count: number, from = 0): Promise<void> {
  await store.cluster.join({ node: 'n1', leaseMs: 60_000, now: 0 })
  const many = Array.from({ length: count }, (_, at) => liveAndEnd(store, `t${from + at}`, `owner ${at % 7}`))
  await Promise.all(many)
}

describe('a Cluster', () => {
  test('everything of a deployment is in one slot: both contracts hold on a server in cluster mode', async () => {
    const node = await startRedis({ 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' })
    await node.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await expect.poll(() => node.client.call('CLUSTER', 'INFO')).toContain('cluster_state:ok')
    const redis: RedisClientFactory = (options) =>
      new Cluster([{ host: '127.0.0.1', port: node.port }], {
        redisOptions: { connectTimeout: options.connectTimeout ?? 1_000 },
        enableOfflineQueue: false,
        lazyConnect: true,
        clusterRetryStrategy: () => null,
      })
    for (const [at, { title, run }] of [...STORE_CONTRACT, ...CLUSTER_CONTRACT].entries()) {
      await expect(
        run(() => redisStore({ redis, prefix: `cluster-${at}` })),
        title,
      ).resolves.toBeUndefined()
    }
  })
})

describe('what a server promises', () => {
  test.each([
    [{ appendonly: 'yes', appendfsync: 'always' }, 'power', []],
    [{ appendonly: 'yes', appendfsync: 'everysec' }, 'process', []],
    [{ save: '60 1' }, 'process', ['snapshots only']],
    [{}, 'memory', ['keeps nothing on disk']],
    [{ appendonly: 'yes', maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, 'process', ['allkeys-lru']],
  ])('%o: %s', async (settings, durability, warned) => {
    const { url } = await startRedis(settings as Record<string, string>)
    const store = redisStore(url)
    onTestFinished(() => store.close())
    expect(store.durability).toBe('process')
    const warnings = await store.open()
    expect(store.durability).toBe(durability)
    expect(warnings).toHaveLength(warned.length)
    for (const [at, word] of warned.entries()) expect(warnings[at]).toContain(word)
  })

  test('keys that were written in a form of the future are refused', async () => {
    const { store, prefix } = setup()
    await server.client.set(`{${prefix}}:form`, '2')
    await expect(store.open()).rejects.toMatchObject({
      code: 'store_unusable',
      message: expect.stringContaining('form 2') as unknown,
    })
  })
})

describe('commits', () => {
  test('commits of one group are judged one by one, later ones by what earlier ones have changed', async () => {
    const { store } = setup()
    const claim = { owner: 'ann', kind: 'name', key: 'one' } as const
    const replies = await Promise.all([
      store.commit({ ...begin('a'), claims: [claim] }),
      store.commit({ ...begin('b'), claims: [claim] }),
      store.commit(begin('c')),
      store.commit(begin('c', { tool: 'other' })),
      store.commit({ ...begin('c'), id: 'late' }),
      store.commit(finish('a')),
      store.commit({ ...begin('d'), claims: [claim] }),
      store.commit(begin('e', { node: 'nobody' })),
      store.commit({ ...finish('d'), expect: { version: 7, epoch: 1 } }),
    ])
    expect(replies).toEqual([
      { kind: 'committed', ownerPosition: 1, position: 1 },
      { kind: 'claimed', claim, taskId: 'a' },
      { kind: 'committed', ownerPosition: 2, position: 2 },
      { kind: 'committed', ownerPosition: 2, position: 2 },
      { kind: 'stale' },
      { kind: 'committed', ownerPosition: 3, position: 3 },
      { kind: 'committed', ownerPosition: 4, position: 4 },
      { kind: 'stale' },
      { kind: 'stale' },
    ])
    expect(
      (await store.list({ status: ['running'], owner: 'ann', limit: 9 })).records.map(({ taskId }) => taskId),
    ).toEqual(['c', 'd'])
    expect(await store.count('ann')).toEqual({ running: 2, completed: 1 })
  })

  test('a page of a feed may end and begin between the events of one commit', async () => {
    const { store } = setup()
    const types = ['task.queued', 'task.started', 'task.output', 'task.output', 'task.asked'] as const
    await store.commit(commitOf(recordOf('a', { lastSeq: 5 }), { types }))
    await store.commit(begin('b'))
    await store.commit(commitOf(recordOf('a', { version: 2, lastSeq: 6 }), { types: ['task.resumed'], trimTo: 4 }))
    const seen: string[] = []
    let after = 0
    for (let isLast = false; !isLast;) {
      const page = await store.readFeed({ owner: 'ann', after, limit: 2 })
      seen.push(page.entries.map(({ ownerPosition, event }) => `${ownerPosition}:${event.seq}`).join(' '))
      after = page.upTo
      isLast = page.isLast
    }
    expect(seen).toEqual(['1:1 2:2', '5:5 6:1', '7:6'])
    expect(after).toBe(7)
    const places = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 7, 8].map((from) => store.readFeed({ after: from, limit: 1 })),
    )
    expect(places.map(({ entries }) => entries[0]?.position)).toEqual([1, 2, 5, 5, 5, 6, 7, undefined, undefined])
  })

  test('a task that only reports leaves nothing in the feeds but what was not trimmed', async () => {
    const { store, prefix } = setup()
    await store.commit(begin('a'))
    for (let n = 2; n <= 40; n += 1) {
      const record = recordOf('a', { version: n, lastSeq: n * 2 - 1 })
      await store.commit(commitOf(record, { types: ['task.output', 'task.output'], trimTo: n * 2 - 4 }))
    }
    const lengths = ['feed', 'feedOf:ann', 'events:a'].map((key) => server.client.xlen(`{${prefix}}:${key}`))
    expect(await Promise.all(lengths)).toEqual([3, 3, 4])
  })

  test('a log that was flushed begins anew, under another name and from nothing', async () => {
    const own = await startRedis()
    const [store, other] = [redisStore(own.url), redisStore(own.url)]
    onTestFinished(() => Promise.all([store.close(), other.close()]).then(() => undefined))
    await Promise.all([store.open(), other.open()])
    const before = store.incarnation
    expect(other.incarnation).toBe(before)
    await store.commit(begin('a'))
    await own.client.flushall()
    expect(await store.commit(finish('a'))).toEqual({ kind: 'stale' })
    expect(await store.commit(begin('b'))).toEqual({ kind: 'committed', ownerPosition: 1, position: 1 })
    expect(store.incarnation).not.toBe(before)
    await expect.poll(() => other.incarnation).toBe(store.incarnation)
  })
})

describe('a supervisor', () => {
  test('what it has kept is found by the next one, with its events and its result', async () => {
    const { store, prefix } = setup()
    const first = createTaskSupervisor({ store })
    const work = async (n: number, ctx: TaskContext): Promise<number> => {
      ctx.output('half way')
      return n * 2
    }
    const spawned = Array.from({ length: 50 }, (_, n) => first.session({ owner: 'ann' }).spawn(work, n))
    const tasks = await Promise.all(spawned)
    await Promise.all(tasks.map((task) => task.result()))
    await first.shutdown()
    const second = createTaskSupervisor({ store: redisStore({ url: server.url, prefix }) })
    onTestFinished(() => second.shutdown().then(() => undefined))
    const ann = second.session({ owner: 'ann' })
    expect((await ann.list({ status: 'completed' })).tasks).toHaveLength(50)
    for (const [n, { taskId }] of tasks.entries()) {
      expect(await ann.result(taskId)).toBe(n * 2)
      const types: string[] = []
      for await (const item of ann.handle(taskId).events()) types.push(item.type)
      expect(types).toEqual(['task.queued', 'task.started', 'task.output', 'task.completed'])
    }
    expect(await second.session({ owner: 'bob' }).get(tasks[0]?.taskId ?? '')).toBeUndefined()
  })
})

describe('what stays', () => {
  test('what has ended expires by itself; everything else is an index, or of a task that lives', async () => {
    const { store, prefix, keys } = setup({ resultTtlMs: 50_000 })
    await store.cluster.join({ node: 'n1', leaseMs: 60_000, now: 0 })
    await liveAndEnd(store, 'a', 'ann')
    await store.commit(begin('b'))
    await store.cluster.sendOrder({
      id: 'o',
      node: 'n1',
      from: 'n2',
      owner: 'ann',
      taskId: 'b',
      json: '{}',
      sentAt: Date.now(),
    })
    const lasting: string[] = []
    for (const key of await keys()) {
      const ttl = await server.client.pttl(key)
      const name = key.slice(prefix.length + 3)
      if (ttl === -1) lasting.push(name)
      else if (!name.startsWith('order:')) expect(ttl, name).toBeGreaterThan(3_600_000)
    }
    const ofTasks = lasting.filter((name) => /^(task|events|outbox|order):/.test(name))
    expect(ofTasks).toEqual(['events:b', 'task:b'])
    expect(lasting.length).toBeGreaterThan(10)
  })

  test('what owes a delivery does not expire, and each change of a delivery renews the time of what owes none', async () => {
    const { store, prefix } = setup({ resultTtlMs: 50_000 })
    const names = ['task:a', 'events:a', 'outbox:a'].map((name) => `{${prefix}}:${name}`)
    const ttls = (): Promise<number[]> => Promise.all(names.map((name) => server.client.pttl(name)))
    const entry = entryOf('d')
    await store.commit(begin('a'))
    await store.commit({ ...finish('a'), outbox: [entry] })
    expect(await ttls()).toEqual([-1, -1, -1])
    const dead = nextOf(entry, 'deadLettered')
    for (const settled of [dead, { ...dead, version: 3 }]) {
      await store.putDelivery(settled)
      for (const ttl of await ttls()) expect(ttl).toBeGreaterThan(3_600_000)
      for (const name of names) await server.client.pexpire(name, 60_000)
    }
    const again = nextOf({ ...dead, version: 3 }, 'pending')
    await store.putDelivery(again)
    expect(await ttls()).toEqual([-1, -1, -1])
    await store.putDelivery(nextOf(again, 'delivered'))
    for (const ttl of await ttls()) expect(ttl).toBeGreaterThan(3_600_000)
    const redirected = { version: 3, lastSeq: 3 }
    await store.commit({ ...finish('a', redirected), outbox: [entryOf('e')] })
    expect(await ttls()).toEqual([-1, -1, -1])
  })

  test('a task that begins to owe while it is being dropped is dropped whole, or not at all', async () => {
    const { store } = setup()
    for (let n = 0; n < 40; n += 1) {
      const taskId = `t${n}`
      const entry = entryOf(`d${n}`, { taskId })
      await store.commit(begin(taskId))
      await store.commit(finish(taskId))
      const [reply] = await Promise.all([
        n % 2 === 0 ? store.putDelivery(entry) : store.prune(PRUNE_ALL).then(() => store.putDelivery(entry)),
        store.prune(PRUNE_ALL),
      ])
      const outbox = await store.readOutbox(taskId)
      expect(outbox).toEqual(reply.kind === 'put' ? [entry] : [])
      expect((await store.read(taskId)) === undefined).toBe(reply.kind === 'stale')
    }
  })

  test('after pruning there are as many keys as before, and as much memory is used', async () => {
    // The log of slow calls would keep what they were called with.
    const own = await startRedis({ 'slowlog-log-slower-than': '-1' })
    const store = redisStore(own.url)
    onTestFinished(() => store.close())
    const measure = async (): Promise<{ keys: number; bytes: number }> => {
      expect((await store.prune(PRUNE_ALL)).evicted).toBeGreaterThan(0)
      return { keys: await own.client.dbsize(), bytes: await measureMemory(own.client) }
    }
    await liveAndEndMany(store, 1_000)
    const baseline = await measure()
    for (let round = 1; round <= 3; round += 1) {
      await liveAndEndMany(store, 1_000, round * 1_000)
      expect(await own.client.dbsize()).toBeGreaterThan(3_000)
      const { keys, bytes } = await measure()
      expect(keys).toBe(baseline.keys)
      expect(bytes).toBeLessThan(baseline.bytes * 1.05)
    }
    expect(await own.client.keys('*:owner*')).toEqual([])
    expect(await store.count(undefined)).toEqual({})
    expect(await store.readFeed({ after: 0, limit: 10 })).toMatchObject({ entries: [], isLast: true })
    expect(await own.client.hlen('{outlive}:claims')).toBe(0)
    expect(await own.client.keys('*:open*')).toEqual([])
    expect(await own.client.exists('{outlive}:deliveriesOf')).toBe(0)
    expect(await own.client.hget('{outlive}:counters', 'finishedBytes')).toBe('0')
  })

  test('tasks that have expired before anybody pruned them go from every index with the next pruning', async () => {
    const { store, prefix, keys } = setup()
    await liveAndEndMany(store, 20)
    await store.prune(PRUNE_ALL)
    const baseline = await keys()
    await liveAndEndMany(store, 20, 100)
    await store.commit(begin('alive', { owner: 'owner 1' }))
    for (const key of await keys()) if (/}:(task|events|outbox):t/.test(key)) await server.client.del(key)
    const dedupe = { owner: 'owner 0', kind: 'dedupe', key: 't100' } as const
    expect(await store.claimedBy(dedupe)).toBeUndefined()
    expect((await store.list({ limit: 100 })).records.map(({ taskId }) => taskId)).toEqual(['alive'])
    const feed = await store.readFeed({ owner: 'owner 2', after: 0, limit: 100 })
    expect([feed.entries, feed.isLast]).toEqual([[], true])
    expect(await store.listDeliveries({ state: 'deadLettered', owner: 'owner 3', limit: 10 })).toEqual([])
    expect(await store.prune(PRUNE_ALL)).toEqual({ evicted: 20 })
    expect(await server.client.xlen(`{${prefix}}:feed`)).toBe(1)
    expect(await store.count(undefined)).toEqual({ running: 1 })
    await store.commit(finish('alive', { owner: 'owner 1' }))
    await store.prune(PRUNE_ALL)
    expect(await keys()).toEqual(baseline)
  })

  test('two that prune at once drop each task once, and no more than they have to', async () => {
    const { store, prefix } = setup()
    const other = redisStore({ url: server.url, prefix })
    onTestFinished(() => other.close())
    for (let n = 0; n < 30; n += 1) {
      await store.commit(begin(`t${n}`))
      await store.commit(finish(`t${n}`, { endedAt: BASE_AT + n }))
    }
    const limits = { ...PRUNE_ALL, maxFinished: 10, maxFinishedBytes: 10_000, finishedMs: 1_000_000 }
    const [one, two] = await Promise.all([store.prune(limits), other.prune(limits)])
    expect((one?.evicted ?? 0) + (two?.evicted ?? 0)).toBe(20)
    expect((await store.list({ limit: 100 })).records).toHaveLength(10)
  })
})

describe('what is damaged', () => {
  test('a record that is broken, or of another type, is left out and counted, and the rest goes on', async () => {
    const told: unknown[] = []
    const logger = { warn: (fields: unknown) => void told.push(fields), error: () => undefined }
    const { store, prefix } = setup({ logger })
    for (const taskId of ['a', 'b', 'c', 'd', 'e']) await store.commit(begin(taskId))
    const key = (taskId: string): string => `{${prefix}}:task:${taskId}`
    await server.client.hset(key('a'), 'json', '{"taskId":"a","own')
    await server.client.hset(key('b'), 'json', '{"taskId":"b","owner":"ann","version":1,"status":"dreaming"}')
    await server.client.set(key('c'), 'something else')
    await server.client.del(`{${prefix}}:events:d`)
    await server.client.set(`{${prefix}}:events:d`, 'something else')
    const ids = async (): Promise<string[]> =>
      (await store.list({ owner: 'ann', limit: 2 })).records.map(({ taskId }) => taskId)
    expect(await ids()).toEqual(['d', 'e'])
    expect(await Promise.all(['a', 'b', 'c'].map((taskId) => store.read(taskId)))).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    const { entries, isLast } = await store.readFeed({ after: 0, limit: 10 })
    expect([entries.map(({ record }) => record.taskId), isLast]).toEqual([['e'], true])
    expect(await store.readEvents({ taskId: 'd', afterSeq: 0, limit: 10 })).toEqual([])
    expect(await store.commit(finish('c'))).toEqual({ kind: 'stale' })
    const [, next] = await Promise.all([settledAs(store.commit(finish('d'))), store.commit(finish('e'))])
    expect(next.kind).toBe('committed')
    expect(store.damagedTasks()).toBe(4)
    expect(told).toHaveLength(4)
    await ids()
    expect(told).toHaveLength(4)
  })
})

describe('deployments', () => {
  test('two deployments on one server know nothing of each other, also when one prefix begins the other', async () => {
    const stores = ['app', 'app:2', 'app-2', 'APP'].map((prefix) => redisStore({ url: server.url, prefix }))
    onTestFinished(() => Promise.all(stores.map((store) => store.close())).then(() => undefined))
    const claim = { owner: 'ann', kind: 'name', key: 'same' } as const
    for (const [at, store] of stores.entries()) {
      await store.cluster.join({ node: `n${at}`, leaseMs: 60_000, now: 0 })
      await store.commit({ ...begin('2:task:a', { node: `n${at}`, tool: `tool ${at}` }), claims: [claim] })
    }
    expect(new Set(stores.map(({ incarnation }) => incarnation)).size).toBe(4)
    for (const [at, store] of stores.entries()) {
      const { records } = await store.list({ limit: 10 })
      expect(records.map(({ tool }) => tool)).toEqual([`tool ${at}`])
      expect(await store.lastPosition(undefined)).toBe(1)
      expect(await store.cluster.renew({ node: `n${(at + 1) % 4}`, leaseMs: 1, now: 0 })).toBe(false)
    }
    const heard: unknown[] = []
    stores[0]?.cluster.watch((hint) => void heard.push(hint))
    await expect.poll(() => heard.length).toBe(1)
    await stores[1]?.commit(begin('b'))
    await stores[0]?.commit(begin('c'))
    await expect.poll(() => heard).toEqual([{}, { owner: 'ann' }])
  })

  test('commands and hints have connections of their own, and none of them blocks', async () => {
    const own = await startRedis()
    const store = redisStore(own.url)
    onTestFinished(() => store.close())
    await store.open()
    store.cluster.watch(() => undefined)
    const connections = async (): Promise<string[]> =>
      String(await own.client.call('CLIENT', 'LIST'))
        .split('\n')
        .filter((line) => line !== '' && !line.includes('cmd=client|list'))
        .map((line) => /sub=(\d+)/.exec(line)?.[1] ?? '')
        .sort()
    await expect.poll(connections).toEqual(['0', '1'])
    await Promise.all(Array.from({ length: 200 }, (_, n) => store.commit(begin(`t${n}`))))
    expect(await own.client.info('clients')).toContain('blocked_clients:0')
    expect(await connections()).toEqual(['0', '1'])
  })
})

describe('options', () => {
  test.each<[unknown, string]>([
    ['localhost:6379', 'url'],
    [{ url: 6379 }, 'url'],
    [{ host: 'localhost' }, 'host'],
    [{ prefix: '' }, 'prefix'],
    [{ prefix: 'a}b' }, 'prefix'],
    [{ prefix: 'ä' }, 'prefix'],
    [{ redis: 'redis://' }, 'redis'],
    [{ redis: { keyPrefix: 'x:' } }, 'redis.keyPrefix'],
    [{ redis: () => new Redis(), url: 'redis://localhost' }, 'url'],
    [{ resultTtlMs: 0 }, 'resultTtlMs'],
    [{ commandTimeoutMs: Infinity }, 'commandTimeoutMs'],
    [{ maxCommitsPerCall: 0 }, 'maxCommitsPerCall'],
  ])('%o is refused with the name of the option', (options, name) => {
    expect(() => redisStore(options as RedisStoreOptions)).toThrow(TypeError)
    expect(() => redisStore(options as RedisStoreOptions)).toThrow(name)
  })

  test('a client that puts something before the keys is refused when it comes', async () => {
    const { store } = setup({ url: undefined as never, redis: (options) => new Redis({ ...options, keyPrefix: 'x:' }) })
    await expect(store.open()).rejects.toThrow('redis.keyPrefix')
  })

  test('groups of one commit, and of a thousand, give the same answers', async () => {
    for (const maxCommitsPerCall of [1, 1_000]) {
      const { store } = setup({ maxCommitsPerCall })
      const changes: Commit[] = Array.from({ length: 1_000 }, (_, n) => begin(`t${n}`))
      const replies = await Promise.all(changes.map((change) => store.commit(change)))
      expect(replies.map((reply) => (reply.kind === 'committed' ? reply.position : 0))).toEqual(
        Array.from({ length: 1_000 }, (_, n) => n + 1),
      )
    }
  })
})
