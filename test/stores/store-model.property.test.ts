import { join } from 'node:path'
import {
  memoryStore,
  type Claim,
  type Commit,
  type CommitReply,
  type DeliveryReply,
  type OutboxEntry,
  type TaskEventType,
  type TaskStore,
} from 'outlive'
import { postgresStore } from 'outlive/postgres'
import { redisStore } from 'outlive/redis'
import { sqliteStore } from 'outlive/sqlite'
import { expect, test } from 'vitest'
import { BASE_AT, commitOf, entryOf, nextOf, recordOf } from '../../src/testing/contract-case.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { fc } from '../support/properties.ts'
import { startRedis } from '../support/redis-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { readWholeFeed } from '../support/store-writers.ts'

// The memory store takes commits and changes of deliveries one by one. A store that gets them in groups has to answer the same
// and hold the same.

const server = usePostgres()

const OWNERS = ['ann', 'bob']
const TASKS = ['t0', 't1', 't2', 't3', 't4']
const KEYS = ['k0', 'k1']
const KINDS = ['name', 'concurrency', 'dedupe'] as const
const TYPES: readonly TaskEventType[] = ['task.output', 'task.custom', 'task.started']

const step = fc.record({
  task: fc.constantFrom(...TASKS),
  what: fc.constantFrom('go on', 'go on', 'go on', 'end', 'end', 'stale', 'old epoch', 'repeat'),
  types: fc.array(fc.constantFrom(...TYPES), { maxLength: 3 }),
  trimBack: fc.nat(3),
  claims: fc.array(fc.record({ kind: fc.constantFrom(...KINDS), key: fc.constantFrom(...KEYS) }), { maxLength: 2 }),
  node: fc.constantFrom(undefined, 'alive', 'dead'),
  outbox: fc.subarray(['d0', 'd1']),
})
const put = fc.record({
  task: fc.constantFrom(...TASKS),
  delivery: fc.constantFrom('d0', 'd1'),
  how: fc.constantFrom('next', 'next', 'next', 'quiet', 'repeat', 'skip', 'begin', 'other node'),
  state: fc.constantFrom('pending', 'delivered', 'deadLettered', 'withdrawn'),
})
type Drawn<Source> = Source extends fc.Arbitrary<infer Value> ? Value : never
type Step = Drawn<typeof step>
type Put = Drawn<typeof put>

const round = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  puts: fc.array(put, { maxLength: 8 }),
  keep: fc.option(fc.nat(3), { nil: undefined }),
})

type Model = ReturnType<typeof createModel>

function createModel() {
  const store = memoryStore({ shared: true })
  const last = new Map<string, Commit>()
  let ends = 0
  let commits = 0

  const deliveryOf = (task: string, delivery: string): OutboxEntry | undefined =>
    now(store.readOutbox(task)).find(({ deliveryId }) => deliveryId === `${task}-${delivery}`)

  const newDelivery = (task: string, delivery: string): OutboxEntry =>
    entryOf(`${task}-${delivery}`, { taskId: task, owner: ownerOf(task), node: 'n1' })

  const toEntry = ({ task, delivery, how, state }: Put): OutboxEntry => {
    const first = newDelivery(task, delivery)
    const known = deliveryOf(task, delivery)
    if (known === undefined || how === 'begin') return { ...first, state }
    if (how === 'repeat') return known
    if (how === 'quiet') return { ...known, version: known.version + 1, state }
    const next = nextOf(known, state)
    if (how === 'skip') return { ...next, version: next.version + 1 }
    return how === 'next' ? next : { ...next, node: 'n2' }
  }

  const toCommit = ({ task, what, types, trimBack, claims, node, outbox }: Step): Commit => {
    const known = now(store.read(task))
    const repeated = last.get(task)
    if (what === 'repeat' && repeated !== undefined && known !== undefined) return repeated
    const owner = ownerOf(task)
    const lastSeq = (known?.lastSeq ?? 0) + types.length
    const isEnded = known?.endedAt !== undefined
    const end = { status: 'completed', endedAt: isEnded ? known.endedAt : BASE_AT + (ends += 1) } as const
    const record = recordOf(task, {
      owner,
      ...(what === 'end' || isEnded ? { ...end, resultBytes: known?.resultBytes ?? 10 * types.length } : {}),
      ...(node === undefined ? {} : { node }),
      epoch: what === 'old epoch' ? 0 : 1,
      version: (known?.version ?? 0) + (what === 'stale' ? 2 : 1),
      lastSeq,
    })
    return commitOf(record, {
      id: `${task}:${(commits += 1)}`,
      types,
      trimTo: Math.max(0, lastSeq - trimBack),
      outbox: outbox.filter((id) => deliveryOf(task, id) === undefined).map((id) => newDelivery(task, id)),
      claims: [...new Map(claims.map((claim) => [`${claim.kind}${claim.key}`, { owner, ...claim }])).values()],
    })
  }

  return {
    store,
    /** Makes the commit of a step and takes it. */
    take(taken: Step): { readonly commit: Commit; readonly reply: CommitReply } {
      const commit = toCommit(taken)
      const reply = now(store.commit(commit))
      if (reply.kind === 'committed') last.set(commit.record.taskId, commit)
      return { commit, reply }
    },
    /** Makes the change of a delivery and takes it. */
    put(drawn: Put): { readonly entry: OutboxEntry; readonly reply: DeliveryReply } {
      const entry = toEntry(drawn)
      return { entry, reply: now(store.putDelivery(entry)) }
    },
  }
}

function ownerOf(task: string): string {
  return OWNERS[TASKS.indexOf(task) % 2] ?? ''
}

function now<Answer>(answer: Answer | Promise<Answer>): Answer {
  if (answer instanceof Promise) throw new Error('the memory store answers at once')
  return answer
}

async function contentOf(store: TaskStore): Promise<unknown> {
  const claims = OWNERS.flatMap((owner) => KINDS.flatMap((kind) => KEYS.map((key): Claim => ({ owner, kind, key }))))
  const owners = [undefined, ...OWNERS]
  const lists = (['pending', 'deadLettered'] as const).flatMap((state) =>
    owners.map((owner) => ({ state, limit: 100, ...(owner === undefined ? {} : { owner }) })),
  )
  return {
    feeds: await Promise.all(owners.map((owner) => readWholeFeed(store, owner))),
    lists: await Promise.all(
      owners.map(async (owner) => store.list({ ...(owner === undefined ? {} : { owner }), limit: 100 })),
    ),
    counts: await Promise.all(owners.map(async (owner) => countsOf(store, owner))),
    positions: await Promise.all(owners.map(async (owner) => store.lastPosition(owner))),
    claims: await Promise.all(claims.map(async (claim) => store.claimedBy(claim))),
    outboxes: await Promise.all(TASKS.map(async (taskId) => store.readOutbox(taskId))),
    deliveries: await Promise.all(lists.map(async (query) => store.listDeliveries(query))),
    events: await Promise.all(TASKS.map(async (taskId) => store.readEvents({ taskId, afterSeq: 1, limit: 5 }))),
  }
}

async function countsOf(store: TaskStore, owner: string | undefined): Promise<unknown> {
  return Object.fromEntries(Object.entries(await store.count(owner)).filter(([, count]) => count !== 0))
}

async function expectLikeModel(model: Model, store: TaskStore, rounds: readonly Drawn<typeof round>[]): Promise<void> {
  for (const kept of [model.store, store]) {
    for (const node of ['alive', 'dead']) await kept.cluster?.join({ node, leaseMs: 1e9, now: 0 })
    await kept.cluster?.leave({ node: 'dead', now: 0 })
  }
  for (const { steps, puts, keep } of rounds) {
    const taken = steps.map((each) => model.take(each))
    const replies = await Promise.all(taken.map(async ({ commit }) => store.commit(commit)))
    expect(replies).toEqual(taken.map(({ reply }) => reply))
    const changed = puts.map((each) => model.put(each))
    const answers = await Promise.all(changed.map(async ({ entry }) => store.putDelivery(entry)))
    expect(answers).toEqual(changed.map(({ reply }) => reply))
    if (keep === undefined) continue
    const limits = { maxFinished: keep, maxFinishedBytes: 25, finishedMs: 1e6, now: BASE_AT, maxEvicted: 2 }
    expect(await store.prune(limits)).toEqual(await model.store.prune(limits))
  }
  expect(await contentOf(store)).toEqual(await contentOf(model.store))
}

const someRounds = fc.array(round, { minLength: 1, maxLength: 6 })

test('SQLite answers and holds what the memory store does, in whatever groups commits come', async () => {
  const folder = scratchFolder('model')
  let runs = 0
  await fc.assert(
    fc.asyncProperty(someRounds, async (rounds) => {
      const store = sqliteStore({ file: join(folder, `${(runs += 1)}.db`), durability: 'process' })
      try {
        await expectLikeModel(createModel(), store, rounds)
      } finally {
        await store.close()
      }
    }),
    { numRuns: 100 },
  )
})

test('PostgreSQL answers and holds what the memory store does, in whatever groups commits come', async () => {
  await fc.assert(
    fc.asyncProperty(someRounds, async (rounds) => {
      const store = postgresStore({ url: server.url(), schema: server.freshSchema() })
      try {
        await expectLikeModel(createModel(), store, rounds)
      } finally {
        await store.close()
      }
    }),
    { numRuns: 15 },
  )
})

test('Redis answers and holds what the memory store does, in whatever groups commits come', async () => {
  const redis = await startRedis()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(someRounds, async (rounds) => {
      const store = redisStore({ url: redis.url, prefix: `model-${(runs += 1)}` })
      try {
        await expectLikeModel(createModel(), store, rounds)
      } finally {
        await store.close()
      }
    }),
    { numRuns: 100 },
  )
})
