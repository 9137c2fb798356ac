import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import { sqliteStore, type SqliteDatabase } from 'outlive/sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BASE_AT, commitOf, recordOf } from '../../src/testing/contract-case.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { expectWhole } from '../support/store-writers.ts'

/** A libsql database that waits as long for others as the test wants. */
function openDatabase(file: string, busyMs = 0): SqliteDatabase {
  const database = new Database(file) as unknown as SqliteDatabase
  onTestFinished(() => void database.close())
  return {
    prepare: (sql) => database.prepare(sql),
    exec: (sql) => database.exec(sql.includes('busy_timeout') ? `pragma busy_timeout = ${busyMs}` : sql),
    close: () => database.close(),
  }
}

function openStore(options: Parameters<typeof sqliteStore>[0]): ReturnType<typeof sqliteStore> {
  const store = sqliteStore(options)
  onTestFinished(() => store.close())
  return store
}

const large = (taskId: string) => commitOf(recordOf(taskId, { metadata: { text: 'x'.repeat(100_000) } }))
const pagesOf = (database: SqliteDatabase): number =>
  (database.prepare('pragma page_count').all([]) as { page_count: number }[])[0]?.page_count ?? 0

test('a full disk refuses a commit whole, and the same commit succeeds when there is room', async () => {
  const database = openDatabase(join(scratchFolder('full'), 'tasks.db'))
  const store = openStore({ database })
  await store.commit(commitOf(recordOf('before')))
  const limit = pagesOf(database) + 40
  database.prepare(`pragma max_page_count = ${limit}`).all([])
  const commits = Array.from({ length: 5 }, (_, index) => large(`large-${index}`))
  const refused: typeof commits = []
  for (const commit of commits) {
    const reply = await Promise.resolve(store.commit(commit)).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'store_full', retryable: true })
      refused.push(commit)
      return undefined
    })
    if (reply !== undefined) expect(reply.kind).toBe('committed')
  }
  expect(refused.length).toBeGreaterThan(1)
  for (const { record } of refused) expect(await store.read(record.taskId)).toBeUndefined()
  expect((await store.commit(commitOf(recordOf('small')))).kind).toBe('committed')
  database.prepare(`pragma max_page_count = ${limit * 100}`).all([])
  for (const commit of refused) expect((await store.commit(commit)).kind).toBe('committed')
  expect(await expectWhole(store, ['ann'])).toBe(commits.length + 2)
})

test('commits that come together and find no room are refused together, and nothing of any is kept', async () => {
  const database = openDatabase(join(scratchFolder('full'), 'tasks.db'))
  const store = openStore({ database })
  await store.open()
  database.prepare(`pragma max_page_count = ${pagesOf(database) + 40}`).all([])
  const commits = [commitOf(recordOf('small')), ...['a', 'b'].map(large)]
  const replies = await Promise.allSettled(commits.map(async (commit) => store.commit(commit)))
  expect(replies.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(await store.lastPosition(undefined)).toBe(0)
  expect((await store.commit(commitOf(recordOf('small')))).kind).toBe('committed')
  expect(await expectWhole(store, ['ann'])).toBe(1)
})

test('a commit waits for another process that writes, and is refused when that takes too long', async () => {
  const file = join(scratchFolder('busy'), 'tasks.db')
  const store = openStore({ database: openDatabase(file, 30) })
  await store.commit(commitOf(recordOf('a')))
  const other = openDatabase(file)
  other.exec('begin immediate')
  const commit = commitOf(recordOf('b'))
  await expect(store.commit(commit)).rejects.toMatchObject({ code: 'store_unavailable', retryable: true })
  expect((await store.read('a'))?.taskId).toBe('a')
  other.exec('rollback')
  expect((await store.commit(commit)).kind).toBe('committed')
  expect(await expectWhole(store, ['ann'])).toBe(2)
})

test('two stores of one file do not lose what the other has written', async () => {
  const file = join(scratchFolder('two'), 'tasks.db')
  const [first, second] = [openStore(file), openStore(file)]
  await first.commit(commitOf(recordOf('a')))
  await second.commit(commitOf(recordOf('a', { version: 2, lastSeq: 2 }), { types: ['task.started'] }))
  const late = commitOf(recordOf('a', { version: 2, lastSeq: 2, tool: 'other' }), {
    id: 'late',
    types: ['task.started'],
  })
  expect(await first.commit(late)).toEqual({ kind: 'stale' })
  expect((await first.read('a'))?.tool).toBe('tool')
  expect(await expectWhole(first, ['ann'])).toBe(2)
})

test('who watches opens the store, and is woken by what another connection has written', async () => {
  const file = join(scratchFolder('watch'), 'tasks.db')
  const [first, second] = [openStore(file), openStore(file)]
  await second.open()
  let hints = 0
  const undo = first.cluster.watch(() => void (hints += 1))
  await expect.poll(() => hints).toBe(1)
  await second.commit(commitOf(recordOf('a')))
  await expect.poll(() => hints).toBe(2)
  undo()
  await second.commit(commitOf(recordOf('b')))
  // Ten looks of the real clock: that something does not come has no moment to wait for.
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(hints).toBe(2)
})

describe('a file that cannot be used is refused, and left as it is', () => {
  const expectRefusal = async (file: string, message: RegExp): Promise<void> => {
    const before = readFileSync(file)
    const store = openStore(file)
    const refusal = { code: 'store_unusable', retryable: false, message: expect.stringMatching(message) as unknown }
    await expect(store.open()).rejects.toMatchObject(refusal)
    await expect(store.commit(commitOf(recordOf('a')))).rejects.toMatchObject({ code: 'store_unusable' })
    await store.close()
    expect(readFileSync(file).equals(before)).toBe(true)
  }

  test('because it is no database', async () => {
    const file = join(scratchFolder('damaged'), 'tasks.db')
    writeFileSync(file, 'this is a text, and was always one\n'.repeat(1_000))
    await expectRefusal(file, /not a database/)
  })

  test('because its pages are damaged', async () => {
    const file = join(scratchFolder('damaged'), 'tasks.db')
    const store = openStore(file)
    await store.commit(commitOf(recordOf('a')))
    await store.close()
    const bytes = readFileSync(file)
    bytes.fill(0xff, 100, 4_096)
    writeFileSync(file, bytes)
    await expectRefusal(file, /malformed/)
  })

  test('because it was cut off', async () => {
    const file = join(scratchFolder('damaged'), 'tasks.db')
    const store = openStore(file)
    await store.commit(commitOf(recordOf('a')))
    await store.close()
    truncateSync(file, 8_192)
    await expectRefusal(file, /malformed/)
  })

  test('because it belongs to something else', async () => {
    const file = join(scratchFolder('foreign'), 'tasks.db')
    const other = new Database(file)
    other.exec('create table customers (name text)')
    other.close()
    await expectRefusal(file, /not those of outlive/)
  })

  test('because it is newer than this code', async () => {
    const file = join(scratchFolder('newer'), 'tasks.db')
    const store = openStore(file)
    await store.open()
    await store.close()
    const other = new Database(file)
    other.exec("update meta set value = '99' where key = 'schema_version'")
    other.prepare('pragma wal_checkpoint(truncate)').all()
    other.close()
    await expectRefusal(file, /version 99/)
  })

  test('because it is a folder', async () => {
    const folder = join(scratchFolder('folder'), 'tasks.db')
    mkdirSync(folder)
    await expect(openStore(folder).open()).rejects.toMatchObject({ code: 'store_unusable' })
  })
})

test('a file that could not be opened is tried again by the next call', async () => {
  const folder = join(scratchFolder('later'), 'missing')
  const store = openStore(join(folder, 'tasks.db'))
  await expect(store.read('a')).rejects.toMatchObject({ code: 'store_unusable' })
  expect(() => store.incarnation).toThrow('not open yet')
  mkdirSync(folder)
  expect(await store.read('a')).toBeUndefined()
  expect(store.incarnation).not.toBe('')
})

test('a store that is opened again is the same log, with all that was in it', async () => {
  const file = join(scratchFolder('again'), 'tasks.db')
  const first = openStore(file)
  await first.commit(commitOf(recordOf('a')))
  const { incarnation } = first
  await first.close()
  const second = openStore(file)
  expect((await second.read('a'))?.taskId).toBe('a')
  expect(second.incarnation).toBe(incarnation)
})

test('a closed store rejects, twice closed or never opened', async () => {
  const file = join(scratchFolder('closed'), 'tasks.db')
  const store = openStore(file)
  await Promise.all([store.close(), store.close()])
  await expect(store.read('a')).rejects.toMatchObject({ code: 'store_unavailable' })
  expect(existsSync(file)).toBe(false)
})

test('closing answers what is on its way', async () => {
  const store = openStore(join(scratchFolder('closing'), 'tasks.db'))
  const replies = [1, 2, 3].map(async (number) => store.commit(commitOf(recordOf(`t${number}`))))
  await store.close()
  expect((await Promise.all(replies)).map(({ kind }) => kind)).toEqual(['committed', 'committed', 'committed'])
})

test('a database that was given is used with the settings that are promised, and is left open', async () => {
  const database = openDatabase(join(scratchFolder('given'), 'tasks.db'))
  const store = sqliteStore({ database, durability: 'process' })
  expect(store.durability).toBe('process')
  await store.commit(commitOf(recordOf('a', { status: 'completed', endedAt: BASE_AT })))
  await store.close()
  expect(database.prepare('pragma journal_mode').all([])).toEqual([{ journal_mode: 'wal' }])
  expect(database.prepare('pragma synchronous').all([])).toEqual([{ synchronous: 1 }])
  expect(database.prepare('select task_id from tasks').all([])).toEqual([{ task_id: 'a' }])
  expect(sqliteStore('tasks.db').durability).toBe('power')
})

test.each([
  [undefined, /^file must be a non-empty string/],
  [{}, /^file must be a non-empty string/],
  [{ file: '' }, /^file must be a non-empty string/],
  [':memory:', /memoryStore/],
  [{ file: 'tasks.db', database: {} }, /^file must be absent/],
  [{ database: {} }, /^database must be an open database/],
  [{ file: 'tasks.db', durability: 'memory' }, /^durability must be one of power, process/],
  [{ filename: 'tasks.db' }, /has no option "filename"/],
])('the options %j are a TypeError', (options, message) => {
  expect(() => sqliteStore(options as never)).toThrow(TypeError)
  expect(() => sqliteStore(options as never)).toThrow(message)
})
