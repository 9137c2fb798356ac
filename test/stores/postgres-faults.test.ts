import type { Commit, CommitReply, StoreHint } from 'outlive'
import { postgresStore, type PostgresStoreOptions } from 'outlive/postgres'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BASE_AT, commitOf, recordOf } from '../../src/testing/contract-case.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { expectWhole, readWholeFeed } from '../support/store-writers.ts'
import { connectionReset, openPool, serverError, wrappedPool, type OnQuery } from '../support/wrapped-pool.ts'

type Store = ReturnType<typeof postgresStore>

const server = usePostgres()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const isCommit = (text: string): boolean => text === 'commit'

function openStore(options: PostgresStoreOptions): Store {
  const store = postgresStore(options.pool === undefined ? { url: server.url(), ...options } : options)
  onTestFinished(() => store.close())
  return store
}

/** As the writer of a supervisor does it: the same commit until it has an answer. */
async function commitUntilAnswered(store: Store, commit: Commit): Promise<CommitReply> {
  for (;;) {
    try {
      return await store.commit(commit)
    } catch (error) {
      expect(error).toMatchObject({ code: 'store_unavailable', retryable: true })
      await pause(20)
    }
  }
}

/** Makes and ends tasks, one after the other. */
async function writeTasks(store: Store, name: string, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    const taskId = `${name}-${number}`
    const made = await commitUntilAnswered(store, commitOf(recordOf(taskId, { owner: name })))
    expect(made.kind).toBe('committed')
    const end = recordOf(taskId, { owner: name, version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT })
    expect((await commitUntilAnswered(store, commitOf(end, { types: ['task.completed'] }))).kind).toBe('committed')
  }
}

/** One statement writes to several tables. */
function writesInto(text: string, table: string): boolean {
  return new RegExp(`insert into "[^"]+"\\."${table}"`).test(text)
}

describe('the connection that ends at the commit', () => {
  const lostAt = (isApplied: boolean): OnQuery => {
    let isLost = false
    return async ({ text }, ask) => {
      if (!isCommit(text) || isLost) return ask()
      isLost = true
      if (isApplied) await ask()
      throw connectionReset()
    }
  }

  test.each([true, false])('leaves nothing twice and nothing half, applied: %s', async (isApplied) => {
    const schema = server.freshSchema()
    await openStore({ schema }).open()
    const store = openStore({ schema, pool: wrappedPool(server.url(), lostAt(isApplied)) })
    // The first transaction is that of the tables.
    await expect(store.open()).rejects.toMatchObject({ code: 'store_unavailable' })
    const again = openStore({ schema, pool: wrappedPool(server.url(), onSecond(lostAt(isApplied))) })
    const commits = ['a', 'b', 'c'].map((taskId) => commitOf(recordOf(taskId)))
    const first = await Promise.allSettled(commits.map(async (commit) => again.commit(commit)))
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await again.lastPosition(undefined)).toBe(isApplied ? 3 : 0)
    const replies = await Promise.all(commits.map(async (commit) => again.commit(commit)))
    expect(replies).toEqual([1, 2, 3].map((position) => ({ kind: 'committed', ownerPosition: position, position })))
    expect(await expectWhole(again, ['ann'])).toBe(3)
  })
})

/** Lets the first transaction pass. */
function onSecond(onQuery: OnQuery): OnQuery {
  let commits = 0
  return (query, ask) => {
    const isFirst = commits === 0
    if (isCommit(query.text)) commits += 1
    return isFirst ? ask() : onQuery(query, ask)
  }
}

test('connections that the server ends, again and again, lose and double nothing', async () => {
  const schema = server.freshSchema()
  const stores = [openStore({ schema }), openStore({ schema })]
  await Promise.all(stores.map((store) => store.open()))
  const over = new AbortController()
  let ended = 0
  const owners: string[] = []
  // A quick machine has written before many connections were ended.
  const hasEnough = (): boolean => ended > 5
  const write = async (): Promise<void> => {
    do {
      const names = stores.map((_, index) => `w${index} ${owners.length}`)
      owners.push(...names)
      await Promise.all(stores.map((store, index) => writeTasks(store, names[index] ?? '', 60)))
    } while (!hasEnough())
  }
  const writing = write().finally(() => over.abort())
  while (!over.signal.aborted) {
    const gone = await server.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
    )
    ended += gone.length
    await pause(30)
  }
  await writing
  const [store] = stores
  expect(store && (await expectWhole(store, owners))).toBe(owners.length * 120)
})

test('a server that is started again is used again, with everything that was answered', async () => {
  const schema = server.freshSchema()
  const store = openStore({ schema })
  await store.open()
  const writing = writeTasks(store, 'w', 100)
  await pause(30)
  await server.stop()
  await expect(store.read('w-1')).rejects.toMatchObject({ code: 'store_unavailable', retryable: true })
  await server.start()
  await writing
  expect(await expectWhole(store, ['w'])).toBe(200)
})

describe('who listens', () => {
  const listeners = "select pid from pg_stat_activity where query ilike 'listen%' or query = 'select 1'"

  test('hears again within two seconds after its connection was ended', async () => {
    const schema = server.freshSchema()
    const [watcher, writer] = [openStore({ schema }), openStore({ schema })]
    await Promise.all([watcher.open(), writer.open()])
    const hints: StoreHint[] = []
    onTestFinished(watcher.cluster.watch((hint) => void hints.push(hint)))
    await expect.poll(() => hints.length).toBeGreaterThan(0)
    const [listener] = await server.query<{ pid: number }>(listeners)
    expect(listener).toBeDefined()
    hints.length = 0
    await server.query('select pg_terminate_backend($1)', [listener?.pid])
    const tookMs = startStopwatch()
    // It may have missed something, and says so.
    await expect.poll(() => hints).toContainEqual({})
    expect(tookMs()).toBeLessThan(2_000)
    hints.length = 0
    await writer.commit(commitOf(recordOf('a')))
    await expect.poll(() => hints).toContainEqual({ owner: 'ann' })
  })

  test('gives its connection back with the last undo', async () => {
    const store = openStore({ schema: server.freshSchema() })
    await store.open()
    const undos = [store.cluster.watch(() => undefined), store.cluster.watch(() => undefined)]
    await expect.poll(() => server.query(listeners)).toHaveLength(1)
    for (const undo of undos) undo()
    await expect.poll(() => server.query(listeners)).toHaveLength(0)
  })
})

describe('a transaction that loses against another one', () => {
  const losing = (times: number, code: string): { readonly onQuery: OnQuery; readonly count: () => number } => {
    let lost = 0
    return {
      count: () => lost,
      onQuery: async ({ text }, ask) => {
        if (!writesInto(text, 'tasks') || lost === times) return ask()
        lost += 1
        throw serverError(code)
      },
    }
  }

  test.each(['40001', '40P01'])('is tried again (%s)', async (code) => {
    const { onQuery, count } = losing(2, code)
    const store = openStore({ schema: server.freshSchema(), pool: wrappedPool(server.url(), onQuery) })
    expect((await store.commit(commitOf(recordOf('a')))).kind).toBe('committed')
    expect(count()).toBe(2)
    expect(await expectWhole(store, ['ann'])).toBe(1)
  })

  test('is given up after some attempts', async () => {
    const { onQuery, count } = losing(Infinity, '40001')
    const store = openStore({ schema: server.freshSchema(), pool: wrappedPool(server.url(), onQuery) })
    await expect(store.commit(commitOf(recordOf('a')))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(count()).toBe(4)
    expect(await store.lastPosition(undefined)).toBe(0)
  })
})

test('a disk that is full is an error of its own', async () => {
  const onQuery: OnQuery = async ({ text }, ask) => {
    if (text.includes('"events"')) throw serverError('53100')
    return ask()
  }
  const schema = server.freshSchema()
  const store = openStore({ schema, pool: wrappedPool(server.url(), onQuery) })
  const commit = commitOf(recordOf('a'))
  await expect(store.commit(commit)).rejects.toMatchObject({ code: 'store_full', retryable: true })
  expect((await openStore({ schema }).commit(commit)).kind).toBe('committed')
})

test('a pool that has no connection left is told within its time', async () => {
  const pool = openPool(server.url(), { max: 1 })
  const store = openStore({ schema: server.freshSchema(), pool, connectTimeoutMs: 200 })
  await store.open()
  const taken = await pool.connect()
  await expect(store.read('a')).rejects.toMatchObject({ code: 'store_unavailable' })
  taken.release()
  expect(await store.read('a')).toBeUndefined()
})

test('a process that stands still in a transaction does not keep the others from writing', async () => {
  const schema = server.freshSchema()
  let isFrozen = false
  let thaw = (): void => undefined
  const frozen = new Promise<void>((resolve) => (thaw = resolve))
  const onQuery: OnQuery = async ({ text }, ask) => {
    if (writesInto(text, 'events')) {
      isFrozen = true
      await frozen
    }
    return ask()
  }
  const still = openStore({ schema, pool: wrappedPool(server.url(), onQuery), queryTimeoutMs: 300 })
  await still.open()
  const lost = Promise.resolve(still.commit(commitOf(recordOf('a')))).catch((error: unknown) => error)
  await expect.poll(() => isFrozen).toBe(true)
  const store = openStore({ schema, queryTimeoutMs: 2_000 })
  expect(await store.commit(commitOf(recordOf('b')))).toMatchObject({ kind: 'committed', position: 1 })
  thaw()
  expect(await lost).toMatchObject({ code: 'store_unavailable' })
  expect(await expectWhole(store, ['ann'])).toBe(1)
})

test('a node is not dead for anybody while a commit that it was judged by is on its way', async () => {
  const schema = server.freshSchema()
  let isHeld = false
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => (letGo = resolve))
  const onQuery: OnQuery = async ({ text }, ask) => {
    if (writesInto(text, 'events')) {
      isHeld = true
      await held
    }
    return ask()
  }
  const [slow, sweeper] = [openStore({ schema, pool: wrappedPool(server.url(), onQuery) }), openStore({ schema })]
  await slow.cluster.join({ node: 'n1', leaseMs: 1, now: 0 })
  await pause(20)
  const commit = Promise.resolve(slow.commit(commitOf(recordOf('a', { node: 'n1' }))))
  await expect.poll(() => isHeld).toBe(true)
  const order: string[] = []
  const swept = Promise.resolve(sweeper.cluster.sweep({ now: 0 })).then((dead) => (order.push('swept'), dead))
  void commit.then(() => order.push('committed')).catch(() => undefined)
  await pause(200)
  expect(order).toEqual([])
  letGo()
  expect((await commit).kind).toBe('committed')
  expect((await swept).map(({ node }) => node)).toEqual(['n1'])
  expect(order).toEqual(['committed', 'swept'])
  expect(await slow.commit(commitOf(recordOf('b', { node: 'n1' })))).toEqual({ kind: 'stale' })
})

describe('a server that hangs', () => {
  /** Stops the processes behind all connections of a schema's stores, until the test ends. */
  const hang = async (): Promise<void> => {
    const backends = await server.query<{ pid: number }>(
      "select pid from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
    )
    expect(backends.length).toBeGreaterThan(0)
    for (const { pid } of backends) process.kill(pid, 'SIGSTOP')
    process.kill(server.processId(), 'SIGSTOP')
    onTestFinished(() => {
      process.kill(server.processId(), 'SIGCONT')
      for (const { pid } of backends) process.kill(pid, 'SIGCONT')
    })
  }

  test('is given up after the time of a statement, and left within a second', async () => {
    const store = openStore({ schema: server.freshSchema(), queryTimeoutMs: 200, connectTimeoutMs: 300 })
    await store.open()
    onTestFinished(store.cluster.watch(() => undefined))
    await pause(100)
    await hang()
    const tookMs = startStopwatch()
    await expect(store.commit(commitOf(recordOf('a')))).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(store.read('a')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(tookMs()).toBeLessThan(3_000)
  })

  test('does not keep a store from closing, which settles what is on its way', async () => {
    const store = openStore({ schema: server.freshSchema() })
    await store.open()
    onTestFinished(store.cluster.watch(() => undefined))
    await pause(100)
    await hang()
    const calls = [
      () => store.commit(commitOf(recordOf('a'))),
      () => store.read('a'),
      () => store.cluster.sweep({ now: 0 }),
    ]
    const settled = Promise.allSettled(calls.map(async (call) => call()))
    const tookMs = startStopwatch()
    await store.close()
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(tookMs()).toBeLessThan(1_000)
  })
})

describe('opening', () => {
  test('by several at once makes the tables once', async () => {
    const schema = server.freshSchema()
    const stores = Array.from({ length: 5 }, () => openStore({ schema }))
    await Promise.all(stores.map((store) => store.open()))
    expect(new Set(stores.map(({ incarnation }) => incarnation)).size).toBe(1)
    expect(await server.query(`select * from ${schema}.ledger`)).toHaveLength(1)
  })

  test('refuses a schema that is newer than this code, and changes nothing', async () => {
    const schema = server.freshSchema()
    await openStore({ schema }).open()
    await server.query(`update ${schema}.meta set value = '99' where key = 'schema_version'`)
    const refusal = { code: 'store_unusable', retryable: false, message: expect.stringContaining('99') as unknown }
    await expect(openStore({ schema }).open()).rejects.toMatchObject(refusal)
    await expect(openStore({ schema }).read('a')).rejects.toMatchObject(refusal)
    const [version] = await server.query(`select value from ${schema}.meta where key = 'schema_version'`)
    expect(version).toEqual({ value: '99' })
  })

  test('refuses a schema that holds something else', async () => {
    const schema = server.freshSchema()
    await server.query(`create schema ${schema} create table customers (name text)`)
    await expect(openStore({ schema }).open()).rejects.toMatchObject({ code: 'store_unusable' })
  })

  test('says that a person is needed when the password is wrong, and that nobody answers when nobody does', async () => {
    const wrong = server.url().replace(/:[^:@]+@/, ':wrong@')
    await expect(openStore({ url: wrong }).open()).rejects.toMatchObject({ code: 'store_unusable' })
    const nobody = openStore({ url: 'postgres://postgres@127.0.0.1:1/postgres' })
    await expect(nobody.open()).rejects.toMatchObject({ code: 'store_unavailable', retryable: true })
  })

  test('warns of a server that does not wait for its disk', async () => {
    expect(await openStore({ schema: server.freshSchema() }).open()).toEqual([])
    const careless = `${server.url()}?options=-c%20synchronous_commit%3Doff`
    const warnings = await openStore({ url: careless, schema: server.freshSchema() }).open()
    expect(warnings).toEqual([expect.stringContaining('synchronous_commit switched off')])
  })
})

test('a reader who follows a feed that several write to misses nothing', async () => {
  const schema = server.freshSchema()
  const writers = Array.from({ length: 4 }, () => openStore({ schema }))
  const reader = openStore({ schema })
  await Promise.all([reader, ...writers].map((store) => store.open()))
  const writing = Promise.all(writers.map((store, index) => writeTasks(store, `w${index}`, 40)))
  const seen: number[] = []
  for (let after = 0; after < 320;) {
    const page = await reader.readFeed({ after, limit: 7 })
    seen.push(...page.entries.map(({ position }) => position))
    after = page.upTo
  }
  await writing
  expect(seen).toEqual(Array.from({ length: 320 }, (_, index) => index + 1))
  expect(await readWholeFeed(reader)).toHaveLength(320)
})

test.each([
  [undefined, /^url must be like postgres:/],
  [{}, /^url must be like postgres:/],
  ['not a url', /^url must be like postgres:/],
  ['mysql://localhost/x', /^url must be like postgres:/],
  [{ url: 'postgres://localhost/x', pool: { connect: () => undefined } }, /^url must be absent/],
  [{ pool: {} }, /^pool must be a pool/],
  [{ url: 'postgres://localhost/x', schema: 'Tasks; drop' }, /^schema must be a lower-case name/],
  [{ url: 'postgres://localhost/x', maxConnections: 0 }, /^maxConnections must be a whole number/],
  [{ url: 'postgres://localhost/x', queryTimeoutMs: Infinity }, /^queryTimeoutMs must be/],
  [{ url: 'postgres://localhost/x', connectTimeoutMs: 2 ** 31 }, /^connectTimeoutMs must be at most/],
  [{ url: 'postgres://localhost/x', ssl: true }, /has no option "ssl"/],
])('the options %j are a TypeError', (options, message) => {
  expect(() => postgresStore(options as never)).toThrow(TypeError)
  expect(() => postgresStore(options as never)).toThrow(message)
})

test('no text of a message or an error holds the password', async () => {
  const url = 'postgres://me:secret-word@127.0.0.1:1/x'
  const error: unknown = await openStore({ url })
    .open()
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'store_unavailable' })
  expect(String(error)).not.toContain('secret-word')
  for (const wrong of [{ url, pool: { connect: () => undefined } }, { url: `x${url}` }, { url, schema: 'A' }]) {
    const thrown = messageOfThrown(() => postgresStore(wrong as never))
    expect(thrown).toContain('must be')
    expect(thrown).not.toContain('secret-word')
  }
})

function messageOfThrown(work: () => unknown): string {
  try {
    return String(work())
  } catch (error) {
    return String(error)
  }
}

test('a group of commits takes four trips to the server', async () => {
  const asked: string[] = []
  const count: OnQuery = ({ text }, ask) => {
    asked.push(text)
    return ask()
  }
  const store = openStore({ schema: server.freshSchema(), pool: wrappedPool(server.url(), count) })
  await store.open?.()
  asked.length = 0
  const ids = Array.from({ length: 20 }, (_, index) => `task-${index}`)
  const claim = { owner: 'ann', kind: 'name', key: 'one' } as const
  const [first] = ids.map((taskId, index) =>
    store.commit(commitOf(recordOf(taskId, { owner: 'ann' }), { claims: index === 0 ? [claim] : [] })),
  )
  expect(await first).toMatchObject({ kind: 'committed' })
  // It begins and locks, reads, writes and tells, and ends.
  expect(asked.slice(0, 4).map((text) => /for update|json_build_array|pg_notify|^commit$/.exec(text)?.[0])).toEqual([
    'for update',
    'json_build_array',
    'pg_notify',
    'commit',
  ])
})
