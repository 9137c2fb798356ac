/**
 * What every store has to keep to, as plain cases without a test framework. Each case gets a fresh, empty store.
 *
 * Run them all:
 * `for (const { title, run } of STORE_CONTRACT) test(title, () => run(createStore))`
 */
import assert from 'node:assert/strict'
import type { TaskEventType } from '../ports/task-event.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { Commit, TaskStore } from '../ports/task-store.ts'
import {
  BASE_AT,
  commit,
  commitOf,
  contract,
  POLICY,
  recordOf,
  seqsOf,
  type StoreContractCase,
} from './contract-case.ts'
import { DEBT_CASES } from './debt-contract.ts'
import { DELIVERY_CASES } from './delivery-contract.ts'

export const STORE_CONTRACT: readonly StoreContractCase[] = [
  contract('a committed record and its events can be read back', async (store) => {
    const record = recordOf('a', { metadata: { deep: { list: [1, 'two'] } }, resultJson: '{"x":1}', resultBytes: 7 })
    await commit(store, commitOf(record))
    assert.deepEqual(await store.read('a'), record)
    assert.deepEqual(await seqsOf(store, 'a'), [1])
    assert.equal(await store.read('b'), undefined)
  }),

  contract('a commit that expects another version is stale and changes nothing', async (store) => {
    await commit(store, commitOf(recordOf('a')))
    const late = commitOf(recordOf('a', { version: 3, lastSeq: 2, status: 'failed' }), { types: ['task.failed'] })
    assert.deepEqual(await store.commit(late), { kind: 'stale' })
    const twin = commitOf(recordOf('a', { tool: 'other' }), { id: 'another id' })
    assert.deepEqual(await store.commit(twin), { kind: 'stale' })
    assert.equal((await store.read('a'))?.tool, 'tool')
    assert.deepEqual(await seqsOf(store, 'a'), [1])
  }),

  contract('a commit of an older epoch is stale', async (store) => {
    await commit(store, commitOf(recordOf('a', { epoch: 2 })))
    const zombie = commitOf(recordOf('a', { version: 2, lastSeq: 2, epoch: 1 }), { types: ['task.started'] })
    assert.deepEqual(await store.commit(zombie), { kind: 'stale' })
  }),

  contract('a repeated commit gets its first answer and changes nothing', async (store) => {
    const change = commitOf(recordOf('a'))
    const first = await commit(store, change)
    assert.deepEqual(await store.commit(change), first)
    assert.deepEqual(await seqsOf(store, 'a'), [1])
    assert.equal(await store.lastPosition('ann'), 1)
  }),

  contract('positions of an owner are consecutive and are shared with nobody', async (store) => {
    const a = await commit(store, commitOf(recordOf('a', { lastSeq: 2 }), { types: ['task.queued', 'task.started'] }))
    const b = await commit(store, commitOf(recordOf('b', { owner: 'bob' })))
    const c = await commit(store, commitOf(recordOf('c')))
    assert.deepEqual([a.ownerPosition, b.ownerPosition, c.ownerPosition], [1, 1, 3])
    assert.deepEqual([a.position, b.position, c.position], [1, 3, 4])
    assert.equal(await store.lastPosition('ann'), 3)
    assert.equal(await store.lastPosition(undefined), 4)
    assert.equal(await store.lastPosition('nobody'), 0)
  }),

  contract('a feed is read page by page, oldest first, and says where it ends', async (store) => {
    for (const taskId of ['a', 'b', 'c']) await commit(store, commitOf(recordOf(taskId)))
    await commit(store, commitOf(recordOf('x', { owner: 'bob' })))
    const first = await store.readFeed({ owner: 'ann', after: 0, limit: 2 })
    assert.deepEqual(
      first.entries.map((entry) => entry.record.taskId),
      ['a', 'b'],
    )
    assert.deepEqual([first.upTo, first.isLast], [2, false])
    const rest = await store.readFeed({ owner: 'ann', after: first.upTo, limit: 2 })
    assert.deepEqual(
      rest.entries.map((entry) => entry.record.taskId),
      ['c'],
    )
    assert.deepEqual([rest.upTo, rest.isLast], [3, true])
    const all = await store.readFeed({ after: 0, limit: 10 })
    assert.deepEqual(
      all.entries.map((entry) => entry.position),
      [1, 2, 3, 4],
    )
  }),

  contract('trimming drops fresh events, keeps the others, and leaves their places empty', async (store) => {
    const types: TaskEventType[] = ['task.queued', 'task.started', 'task.output', 'task.custom', 'task.progress']
    await commit(store, commitOf(recordOf('a', { lastSeq: 5 }), { types }))
    const next = recordOf('a', { version: 2, lastSeq: 6 })
    await commit(store, commitOf(next, { types: ['task.output'], trimTo: 4 }))
    assert.deepEqual(await seqsOf(store, 'a'), [1, 2, 5, 6])
    const feed = await store.readFeed({ owner: 'ann', after: 0, limit: 10 })
    assert.deepEqual(
      feed.entries.map((entry) => entry.ownerPosition),
      [1, 2, 5, 6],
    )
    assert.equal(feed.upTo, 6)
  }),

  contract('a name is claimed once per owner, and again after its release', async (store) => {
    const claim = { owner: 'ann', kind: 'name', key: 'reader' } as const
    await commit(store, commitOf(recordOf('a'), { claims: [claim] }))
    const refused = await store.commit(commitOf(recordOf('b'), { claims: [claim] }))
    assert.deepEqual(refused, { kind: 'claimed', claim, taskId: 'a' })
    assert.equal(await store.read('b'), undefined)
    await commit(store, commitOf(recordOf('x', { owner: 'bob' }), { claims: [{ ...claim, owner: 'bob' }] }))
    const end = recordOf('a', { version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.completed'] }))
    await commit(store, commitOf(recordOf('b'), { id: 'b again', claims: [claim] }))
  }),

  contract('the end of a task frees all it has claimed, and nothing that others have', async (store) => {
    const claims = ['first', 'second'].map((key) => ({ owner: 'ann', kind: 'concurrency', key }) as const)
    const other = { owner: 'ann', kind: 'concurrency', key: 'third' } as const
    await commit(store, commitOf(recordOf('a'), { claims: claims.slice(0, 1) }))
    await commit(store, commitOf(recordOf('b'), { claims: [other] }))
    const next = recordOf('a', { version: 2, lastSeq: 2 })
    await commit(store, commitOf(next, { types: ['task.started'], claims: claims.slice(1) }))
    const end = recordOf('a', { version: 3, lastSeq: 3, status: 'failed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.failed'] }))
    for (const claim of claims) assert.equal(await store.claimedBy(claim), undefined)
    assert.equal(await store.claimedBy(other), 'b')
  }),

  contract('what is attached is kept beside the record, until its task is dropped', async (store) => {
    await commit(store, commitOf(recordOf('a'), { attachments: [{ kind: 'input', json: '{"n":1}' }] }))
    const end = recordOf('a', { version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT, resultBytes: 5 })
    const attachments = [{ kind: 'result', json: '"long"' }] as const
    await commit(store, commitOf(end, { types: ['task.completed'], attachments }))
    assert.equal(await store.readAttachment('a', 'input'), '{"n":1}')
    assert.equal(await store.readAttachment('a', 'result'), '"long"')
    assert.equal(await store.readAttachment('b', 'input'), undefined)
    assert.deepEqual(await store.read('a'), end)
    await store.prune({ ...POLICY, now: BASE_AT + 9_000 })
    assert.equal(await store.readAttachment('a', 'input'), undefined)
    assert.equal(await store.readAttachment('a', 'result'), undefined)
  }),

  contract('texts come back as they were, whatever characters are in them', async (store) => {
    const text = 'é 🙂 \u0000 \' " \\ % _ * ? \u2028 \ud800 {x}'
    const record = recordOf('a', { tool: text, conversation: text, metadata: { [text]: text } })
    await commit(store, commitOf(record, { attachments: [{ kind: 'input', json: JSON.stringify(text) }] }))
    assert.deepEqual(await store.read('a'), record)
    assert.equal(await store.readAttachment('a', 'input'), JSON.stringify(text))
    const [entry] = await store.readEvents({ taskId: 'a', afterSeq: 0, limit: 1 })
    assert.deepEqual(entry?.record, record)
    const found = await store.list({ owner: 'ann', conversation: text, limit: 1 })
    assert.equal(found.records.length, 1)
  }),

  contract('owners that differ in case, in spaces or in form only are different', async (store) => {
    const owners = ['ann', 'Ann', ' ann', 'ann ', 'a\u0301', '\u00e1']
    for (const [index, owner] of owners.entries()) {
      const claim = { owner, kind: 'name', key: 'same' } as const
      await commit(store, commitOf(recordOf(`t${index}`, { owner }), { claims: [claim] }))
    }
    for (const [index, owner] of owners.entries()) {
      const { records } = await store.list({ owner, limit: 10 })
      assert.deepEqual(
        records.map(({ taskId }) => taskId),
        [`t${index}`],
      )
      assert.equal(await store.lastPosition(owner), 1)
      assert.equal(await store.claimedBy({ owner, kind: 'name', key: 'same' }), `t${index}`)
    }
  }),

  contract('claims of one key and different kinds do not know each other', async (store) => {
    const kinds = ['name', 'concurrency', 'dedupe'] as const
    for (const kind of kinds) {
      await commit(store, commitOf(recordOf(kind), { claims: [{ owner: 'ann', kind, key: 'same' }] }))
    }
    for (const kind of kinds) assert.equal(await store.claimedBy({ owner: 'ann', kind, key: 'same' }), kind)
    assert.equal(await store.claimedBy({ owner: 'bob', kind: 'name', key: 'same' }), undefined)
  }),

  contract(
    'a later commit of a task can claim, and is refused whole when another task holds the claim',
    async (store) => {
      const claim = { owner: 'ann', kind: 'concurrency', key: 'room' } as const
      await commit(store, commitOf(recordOf('a')))
      await commit(store, commitOf(recordOf('b')))
      const next = (taskId: string): Commit =>
        commitOf(recordOf(taskId, { version: 2, lastSeq: 2 }), { types: ['task.started'], claims: [claim] })
      await commit(store, next('a'))
      assert.deepEqual(await store.commit(next('b')), { kind: 'claimed', claim, taskId: 'a' })
      assert.deepEqual(await seqsOf(store, 'b'), [1])
      const end = recordOf('a', { version: 3, lastSeq: 3, status: 'completed', endedAt: BASE_AT })
      await commit(store, commitOf(end, { types: ['task.completed'] }))
      await commit(store, next('b'))
    },
  ),

  contract('a dedupe claim stays after the end of its task, until the task is dropped', async (store) => {
    const claim = { owner: 'ann', kind: 'dedupe', key: 'order-1' } as const
    const end = recordOf('a', { status: 'completed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.completed'], claims: [claim] }))
    const twin = (): Commit => commitOf(recordOf('b'), { claims: [claim] })
    assert.deepEqual(await store.commit(twin()), { kind: 'claimed', claim, taskId: 'a' })
    assert.equal((await store.prune({ ...POLICY, now: BASE_AT + 9_000 })).evicted, 1)
    await commit(store, { ...twin(), id: 'b again' })
  }),

  contract('the events of a task are read after a number, oldest first, and no more than asked for', async (store) => {
    const types: TaskEventType[] = ['task.queued', 'task.started', 'task.output', 'task.custom', 'task.progress']
    await commit(store, commitOf(recordOf('a', { lastSeq: 5 }), { types }))
    await commit(store, commitOf(recordOf('b')))
    const seqs = async (afterSeq: number, limit: number): Promise<number[]> =>
      (await store.readEvents({ taskId: 'a', afterSeq, limit })).map((entry) => entry.event.seq)
    assert.deepEqual(await seqs(0, 2), [1, 2])
    assert.deepEqual(await seqs(2, 2), [3, 4])
    assert.deepEqual(await seqs(4, 2), [5])
    assert.deepEqual(await seqs(5, 2), [])
    assert.deepEqual(await seqs(9, 2), [])
    const [last] = await store.readEvents({ taskId: 'a', afterSeq: 4, limit: 1 })
    assert.deepEqual([last?.ownerPosition, last?.position, last?.record.taskId], [5, 5, 'a'])
  }),

  contract('lists are in the order of creation, filtered and paged', async (store) => {
    const fields: Partial<StoredRecord>[] = [
      { status: 'completed', endedAt: BASE_AT, tool: 'read', conversation: 'c1' },
      { status: 'running', tool: 'write', name: 'writer', epoch: 1 },
      { status: 'running', tool: 'read', parentId: 'p', rootId: 'p', depth: 1 },
      { status: 'failed', endedAt: BASE_AT, correlation: { runId: 'r1' } },
    ]
    for (const [index, extra] of fields.entries()) await commit(store, commitOf(recordOf(`t${index}`, extra)))
    await commit(store, commitOf(recordOf('foreign', { owner: 'bob' })))
    const ids = async (query: Omit<Parameters<TaskStore['list']>[0], 'limit'>): Promise<string[]> =>
      (await store.list({ owner: 'ann', limit: 10, ...query })).records.map((record) => record.taskId)
    assert.deepEqual(await ids({}), ['t0', 't1', 't2', 't3'])
    assert.deepEqual(await ids({ status: ['running', 'failed'] }), ['t1', 't2', 't3'])
    assert.deepEqual(await ids({ tool: 'read' }), ['t0', 't2'])
    assert.deepEqual(await ids({ tool: 'read', status: ['running'] }), ['t2'])
    assert.deepEqual(await ids({ name: 'writer' }), ['t1'])
    assert.deepEqual(await ids({ parentId: 'p' }), ['t2'])
    assert.deepEqual(await ids({ rootId: 'p' }), ['t2'])
    assert.deepEqual(await ids({ conversation: 'c1' }), ['t0'])
    assert.deepEqual(await ids({ runId: 'r1' }), ['t3'])
    assert.deepEqual(await ids({ tool: 'rea*' }), [])
    const page = await store.list({ owner: 'ann', limit: 3 })
    assert.equal(page.records.length, 3)
    assert.notEqual(page.next, undefined)
    const rest = await store.list({ owner: 'ann', limit: 3, after: page.next ?? 0 })
    assert.deepEqual(
      rest.records.map((record) => record.taskId),
      ['t3'],
    )
    assert.equal(rest.next, undefined)
    assert.equal((await store.list({ limit: 10 })).records.length, 5)
  }),

  contract('counts follow the status of records', async (store) => {
    await commit(store, commitOf(recordOf('a')))
    await commit(store, commitOf(recordOf('b', { owner: 'bob' })))
    const end = recordOf('a', { version: 2, lastSeq: 2, status: 'completed', endedAt: BASE_AT })
    await commit(store, commitOf(end, { types: ['task.completed'] }))
    const ofAnn = await store.count('ann')
    assert.deepEqual([ofAnn.running ?? 0, ofAnn.completed ?? 0], [0, 1])
    const ofAll = await store.count(undefined)
    assert.deepEqual([ofAll.running ?? 0, ofAll.completed ?? 0], [1, 1])
  }),

  contract('pruning drops the oldest results until what is left is small enough', async (store) => {
    for (let index = 0; index < 3; index += 1) {
      const end = { status: 'completed', endedAt: BASE_AT + index, resultJson: '"…"', resultBytes: 400 } as const
      await commit(store, commitOf(recordOf(`t${index}`, end)))
    }
    assert.equal((await store.prune({ ...POLICY, now: BASE_AT })).evicted, 1)
    assert.equal(await store.read('t0'), undefined)
    assert.equal((await store.prune({ ...POLICY, maxFinishedBytes: 800, now: BASE_AT })).evicted, 0)
    assert.equal((await store.prune({ ...POLICY, maxFinishedBytes: 799, now: BASE_AT })).evicted, 1)
    assert.notEqual(await store.read('t2'), undefined)
  }),

  contract('pruning stops at the number it is given and says that there is more to do', async (store) => {
    for (let index = 0; index < 5; index += 1) {
      await commit(store, commitOf(recordOf(`t${index}`, { status: 'completed', endedAt: BASE_AT + index })))
    }
    const now = BASE_AT + 9_000
    const first = await store.prune({ ...POLICY, now, maxEvicted: 4 })
    assert.equal(first.evicted, 4)
    assert.ok(first.nextAt !== undefined && first.nextAt <= now)
    assert.notEqual(await store.read('t4'), undefined)
    assert.deepEqual(await store.prune({ ...POLICY, now, maxEvicted: 4 }), { evicted: 1 })
  }),

  contract('pruning drops the oldest finished tasks, by count and by age, and never a live one', async (store) => {
    for (let index = 0; index < 6; index += 1) {
      const isLive = index === 0
      const end = isLive ? {} : ({ status: 'completed', endedAt: BASE_AT + index } as const)
      await commit(store, commitOf(recordOf(`t${index}`, end)))
    }
    const byCount = await store.prune({ ...POLICY, now: BASE_AT + 6 })
    assert.equal(byCount.evicted, 2)
    assert.equal(byCount.nextAt, BASE_AT + 3 + 1_000)
    assert.equal(await store.read('t1'), undefined)
    assert.deepEqual(await seqsOf(store, 't1'), [])
    assert.notEqual(await store.read('t0'), undefined)
    const byAge = await store.prune({ ...POLICY, now: BASE_AT + 1_004 })
    assert.equal(byAge.evicted, 2)
    const left = await store.list({ owner: 'ann', limit: 10 })
    assert.deepEqual(
      left.records.map((record) => record.taskId),
      ['t0', 't5'],
    )
    const feed = await store.readFeed({ owner: 'ann', after: 0, limit: 10 })
    assert.deepEqual(
      feed.entries.map((entry) => entry.ownerPosition),
      [1, 6],
    )
    assert.equal((await store.count('ann')).completed, 1)
  }),

  ...DELIVERY_CASES,
  ...DEBT_CASES,
]
