import {
  createTaskSupervisor,
  memoryStore,
  type Session,
  type StoredRecord,
  type TaskHandle,
  type TaskStore,
} from 'outlive'
import { createManualClock } from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'

/** So many ends later a task is packed. */
const UNPACKED = 1_000
const ALL = { limit: 100_000 } as const

interface Shop {
  readonly store: TaskStore
  readonly ann: Session
  readonly bob: Session
  /** Ends as many tasks of another owner as it takes for all before them to be packed. */
  readonly passOver: () => Promise<void>
}

/** Tasks of many kinds, ended before those that make them old. */
function open(retention: { readonly maxFinished: number } = { maxFinished: Infinity }): Shop {
  const store = memoryStore()
  const clock = createManualClock()
  const tasks = createTaskSupervisor({
    store,
    clock,
    retention: { ...retention, finishedMs: Infinity },
    channels: { mail: { send: () => undefined } },
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  const [ann, bob, cy] = ['ann', 'bob', 'cy'].map((owner) => tasks.session({ owner })) as [Session, Session, Session]
  return {
    store,
    ann,
    bob,
    async passOver() {
      for (let n = 0; n < UNPACKED; n += 1) await cy.spawn(quick)
      await cy.whenIdle()
      await clock.advance(1)
    },
  }
}

const quick = (): void => undefined

async function spawnOfEachKind({ ann, bob }: Shop): Promise<string[]> {
  const ids: string[] = []
  const toEnd = async (spawned: Promise<TaskHandle>): Promise<void> => {
    const task = await spawned
    ids.push(task.taskId)
    await task.wait()
  }
  for (const session of [ann, bob]) {
    for (let n = 0; n < 4; n += 1) {
      await toEnd(session.spawn(quick))
      await toEnd(session.spawn(() => `a result, ${'ü'.repeat(n)}`))
    }
    await toEnd(session.spawn(quick, undefined, { name: 'named', metadata: { n: 1 } }))
    await toEnd(session.spawn(quick, undefined, { deliverTo: 'mail:x' }))
    await toEnd(session.spawn(() => Promise.reject(new Error('no'))))
    await toEnd(session.spawn((_, ctx) => ctx.emit('said', 1)))
    await toEnd(
      session.spawn(async (_, ctx) => {
        for (let n = 0; n < 3; n += 1) ids.push((await ctx.spawn(quick)).taskId)
      }),
    )
  }
  return ids
}

/** Everything that can be read of these tasks. */
async function readAll(store: TaskStore, ids: readonly string[]): Promise<unknown> {
  const feeds = []
  for (const owner of ['ann', 'bob', undefined]) {
    const { entries } = await store.readFeed({ ...(owner === undefined ? {} : { owner }), after: 0, ...ALL })
    feeds.push(entries.filter(({ record }) => ids.includes(record.taskId)))
  }
  const [records, events] = [[] as unknown[], [] as unknown[]]
  for (const taskId of ids) {
    records.push(await store.read(taskId))
    events.push(await store.readEvents({ taskId, afterSeq: 0, limit: 10 }), await store.readOutbox(taskId))
  }
  return {
    feeds,
    records,
    events,
    list: [await store.list({ owner: 'ann', ...ALL }), await store.list({ owner: 'bob', ...ALL })],
  }
}

/** What is packed is made again each time it is read. */
async function isPacked(store: TaskStore, taskId: string): Promise<boolean> {
  return (await store.read(taskId)) !== (await store.read(taskId))
}

describe('rows that are packed', () => {
  test('what is packed is read as it was', async () => {
    const shop = open()
    const ids = await spawnOfEachKind(shop)
    const before = await readAll(shop.store, ids)
    for (const id of ids) expect(await isPacked(shop.store, id)).toBe(false)
    await shop.passOver()
    expect(await readAll(shop.store, ids)).toEqual(before)
    const packed = await Promise.all(ids.map((id) => isPacked(shop.store, id)))
    // The first of each tool shows the others what they have in common.
    expect(packed.slice(0, 8)).toEqual([false, false, true, true, true, true, true, true])
    expect(packed.filter(Boolean).length).toBeGreaterThan(16)
  })

  test('a feed that is read in small pages goes through what is packed', async () => {
    const shop = open()
    await spawnOfEachKind(shop)
    await shop.passOver()
    const { entries } = await shop.store.readFeed({ owner: 'ann', after: 0, ...ALL })
    const paged = []
    for (let after = 0, isLast = false; !isLast;) {
      const page = await shop.store.readFeed({ owner: 'ann', after, limit: 7 })
      paged.push(...page.entries)
      after = page.upTo
      isLast = page.isLast
    }
    expect(paged).toEqual(entries)
    expect(entries.map(({ ownerPosition }) => ownerPosition)).toEqual(entries.map((_, index) => index + 1))
  })

  test('a packed task may be redirected, and its lines follow what there was', async () => {
    const shop = open()
    const ids = await spawnOfEachKind(shop)
    await shop.passOver()
    const [, , taskId = ''] = ids
    expect(await isPacked(shop.store, taskId)).toBe(true)
    const before = await shop.store.readEvents({ taskId, afterSeq: 0, limit: 10 })
    await shop.ann.redirect(taskId, 'mail:later')
    expect(await shop.ann.deliveries(taskId)).toMatchObject([{ target: 'mail:later' }])
    expect(await shop.store.readEvents({ taskId, afterSeq: 0, limit: 10 })).toMatchObject(
      before.map(({ event }) => ({ event })),
    )
    const { entries } = await shop.store.readFeed({ owner: 'ann', after: 0, ...ALL })
    const types = entries.filter(({ record }) => record.taskId === taskId).map(({ event }) => event.type)
    expect(types.slice(0, 4)).toEqual(['task.queued', 'task.started', 'task.completed', 'delivery.requested'])
  })

  test('a last commit that is repeated gets its first answer, and another one is stale', async () => {
    const shop = open()
    const ids = await spawnOfEachKind(shop)
    const [, , taskId = ''] = ids
    const record = (await shop.store.read(taskId)) as StoredRecord
    await shop.passOver()
    expect(await isPacked(shop.store, taskId)).toBe(true)
    const rest = { id: 'again', events: [], trimTo: 0, outbox: [], claims: [], attachments: [] }
    const expected = { version: record.version - 1, epoch: record.epoch }
    const [last] = await shop.store.readEvents({ taskId, afterSeq: 2, limit: 1 })
    const { ownerPosition, position } = last ?? {}
    const first = { kind: 'committed', ownerPosition, position }
    expect(await shop.store.commit({ ...rest, expect: expected, record })).toEqual(first)
    expect(await shop.store.commit({ ...rest, expect: expected, record })).toEqual(first)
    const other = { ...record, endedAt: (record.endedAt ?? 0) + 1 }
    expect(await shop.store.commit({ ...rest, expect: expected, record: other })).toEqual({ kind: 'stale' })
    expect(await shop.store.read(taskId)).toBe(record)
  })

  test('what is packed is dropped with all it has', async () => {
    const shop = open()
    const ids = await spawnOfEachKind(shop)
    await shop.passOver()
    await shop.store.prune({ maxFinished: 0, maxFinishedBytes: 0, finishedMs: 0, now: 0, maxEvicted: 100_000 })
    for (const taskId of ids) expect(await shop.store.read(taskId)).toBeUndefined()
    for (const owner of ['ann', undefined]) {
      const page = await shop.store.readFeed({ ...(owner === undefined ? {} : { owner }), after: 0, ...ALL })
      expect(page.entries).toEqual([])
    }
    expect((await shop.store.list(ALL)).records).toEqual([])
    expect(Object.values(await shop.store.count(undefined)).filter((count) => count !== 0)).toEqual([])
  })

  test('what ends in one turn is packed in the turns after it', async () => {
    const shop = open()
    const spawned = await Promise.all(Array.from({ length: 5 * UNPACKED }, () => shop.ann.spawn(quick)))
    await shop.passOver()
    const packed = await Promise.all(spawned.map(({ taskId }) => isPacked(shop.store, taskId)))
    expect(packed.filter((is) => !is)).toHaveLength(1)
  })

  test('a store that keeps no more than the last thousand packs nothing', async () => {
    const shop = open({ maxFinished: UNPACKED })
    const ids = await spawnOfEachKind(shop)
    await shop.passOver()
    const { records } = await shop.store.list(ALL)
    for (const { taskId } of records) expect(await isPacked(shop.store, taskId)).toBe(false)
    expect(records.some(({ taskId }) => ids.includes(taskId))).toBe(false)
  })
})
