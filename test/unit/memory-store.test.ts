import {
  memoryStore,
  type Commit,
  type CommitReply,
  type DeliveryReply,
  type OutboxEntry,
  type TaskStore,
} from 'outlive'
import { CLUSTER_CONTRACT, lateStore, STORE_CONTRACT } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../support/setup.ts'

describe('the memory store', () => {
  test.each(STORE_CONTRACT)('$title', async ({ run }) => {
    await expect(run(memoryStore)).resolves.toBeUndefined()
  })
})

describe('the memory store, answering late', () => {
  test.each(STORE_CONTRACT)('$title', async ({ title, run }) => {
    await expect(run(() => lateStore(memoryStore(), seededRandom(title.length)))).resolves.toBeUndefined()
  })
})

const keyOf = ({ owner, kind, key }: Commit['claims'][number]): string => `${owner} ${kind} ${key}`

describe('the memory store that supervisors share', () => {
  const createStore = (): TaskStore => memoryStore({ shared: true })

  test.each([...STORE_CONTRACT, ...CLUSTER_CONTRACT])('$title', async ({ run }) => {
    await expect(run(createStore)).resolves.toBeUndefined()
  })

  test.each([...STORE_CONTRACT, ...CLUSTER_CONTRACT])('$title, answering late', async ({ title, run }) => {
    await expect(run(() => lateStore(createStore(), seededRandom(title.length)))).resolves.toBeUndefined()
  })
})

describe('the contract of stores that several processes have', () => {
  type Cluster = NonNullable<TaskStore['cluster']>
  const BUGS: Readonly<Record<string, (inner: Cluster) => Partial<Cluster>>> = {
    'renews whoever asks': () => ({ renew: () => true }),
    'never finds anybody dead': () => ({ sweep: () => [] }),
    'takes everybody for dead': (inner) => ({
      async sweep(at) {
        await inner.sweep(at)
        return ['n1', 'n2'].map((node) => ({ node, diedAt: 0 }))
      },
    }),
    'revives a dead node that is renewed': (inner) => ({
      async renew(lease) {
        await inner.join(lease)
        return true
      },
    }),
    'forgets nodes that still have tasks': () => ({ forget: () => true }),
    'never forgets a node': () => ({ forget: () => false }),
    'does not let nodes leave': () => ({ leave: () => undefined }),
    'reads orders of all nodes': (inner) => ({
      readOrders: async ({ limit }) => [
        ...(await inner.readOrders({ node: 'n1', limit })),
        ...(await inner.readOrders({ node: 'n3', limit })),
      ],
    }),
    'reads more orders than it was asked for': (inner) => ({
      readOrders: ({ node }) => inner.readOrders({ node, limit: 100 }),
    }),
    'reads orders by their ids': (inner) => ({
      readOrders: async (read) => (await inner.readOrders(read)).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    }),
    'loses replies': () => ({ replyTo: () => undefined }),
    'sends an order to its first node only': (inner) => {
      const sent = new Set<string>()
      return {
        sendOrder(order) {
          if (sent.has(order.id)) return undefined
          sent.add(order.id)
          return inner.sendOrder(order)
        },
      }
    },
    'wakes nobody': () => ({ watch: () => () => undefined }),
  }

  test.each(Object.entries(BUGS))('catches a store that %s', async (_title, planted) => {
    const createStore = (): TaskStore => {
      const inner = memoryStore({ shared: true })
      if (inner.cluster === undefined) throw new Error('a shared store has a cluster')
      return { ...inner, cluster: { ...inner.cluster, ...planted(inner.cluster) } }
    }
    const verdicts = await Promise.allSettled(CLUSTER_CONTRACT.map(({ run }) => run(createStore)))
    const failed = verdicts.flatMap((verdict) => (verdict.status === 'rejected' ? [verdict.reason as Error] : []))
    expect(failed).not.toEqual([])
    for (const error of failed) expect(error.name).toBe('AssertionError')
  })

  test('catches a store that lets dead nodes write', async () => {
    const createStore = (): TaskStore => {
      const inner = memoryStore({ shared: true })
      return {
        ...inner,
        commit: ({ record: { node: _unchecked, ...record }, ...change }) => inner.commit({ ...change, record }),
      }
    }
    const verdicts = await Promise.allSettled(CLUSTER_CONTRACT.map(({ run }) => run(createStore)))
    expect(verdicts.some(({ status }) => status === 'rejected')).toBe(true)
  })
})

describe('the contract', () => {
  /** A memory store with one method replaced. */
  type Planted = (inner: TaskStore) => Partial<TaskStore>
  const now = <Answer>(answer: Answer | Promise<Answer>): Answer => {
    if (answer instanceof Promise) throw new Error('the memory store answers at once')
    return answer
  }
  const committed = (
    reply: CommitReply,
    change: (reply: Extract<CommitReply, { kind: 'committed' }>) => CommitReply,
  ): CommitReply => (reply.kind === 'committed' ? change(reply) : reply)

  const BUGS: Readonly<Record<string, Planted>> = {
    'forgets to check the version': (inner) => ({
      async commit(change) {
        const version = (await inner.read(change.record.taskId))?.version ?? 0
        return inner.commit({ ...change, expect: { ...change.expect, version } })
      },
    }),
    'forgets to check the epoch': (inner) => ({
      commit: (change) => inner.commit({ ...change, expect: { ...change.expect, epoch: 1_000 } }),
    }),
    'applies a repeated commit twice': (inner) => {
      let repeats = 0
      return {
        async commit(change) {
          const known = await inner.read(change.record.taskId)
          if (known?.version !== change.record.version) return inner.commit(change)
          repeats += 1
          const record = { ...change.record, version: known.version + 1, lastSeq: known.lastSeq + change.events.length }
          return inner.commit({
            ...change,
            id: `${change.id}#${repeats}`,
            expect: { ...change.expect, version: known.version },
            record,
          })
        },
      }
    },
    'answers a repeated commit with a new place': (inner) => {
      const seen = new Set<string>()
      return {
        commit(change) {
          const isRepeated = seen.has(change.id)
          seen.add(change.id)
          const reply = now(inner.commit(change))
          return isRepeated
            ? committed(reply, (first) => ({ ...first, ownerPosition: first.ownerPosition + 1 }))
            : reply
        },
      }
    },
    'never takes a claim': (inner) => ({ commit: (change) => inner.commit({ ...change, claims: [] }) }),
    'leaks its claims': (inner) => {
      const taken = new Map<string, string>()
      return {
        commit(change) {
          for (const claim of change.claims) {
            const taskId = taken.get(keyOf(claim))
            if (taskId !== undefined && taskId !== change.record.taskId) return { kind: 'claimed', claim, taskId }
          }
          const reply = now(inner.commit(change))
          if (reply.kind === 'committed')
            for (const claim of change.claims) taken.set(keyOf(claim), change.record.taskId)
          return reply
        },
      }
    },
    'shares claims between owners': (inner) => {
      const shared = (claims: Commit['claims']): Commit['claims'] => claims.map((claim) => ({ ...claim, owner: 'all' }))
      return { commit: (change) => inner.commit({ ...change, claims: shared(change.claims) }) }
    },
    'keeps a refused record': (inner) => {
      const refused = new Map<string, Commit['record']>()
      return {
        commit(change) {
          const reply = now(inner.commit(change))
          if (reply.kind === 'claimed') refused.set(change.record.taskId, change.record)
          return reply
        },
        read: (taskId) => now(inner.read(taskId)) ?? refused.get(taskId),
      }
    },
    'shares places between owners': (inner) => ({
      commit: (change) =>
        committed(now(inner.commit(change)), (reply) => ({ ...reply, ownerPosition: reply.position })),
    }),
    'gives the place of the last event instead of the first': (inner) => ({
      commit: (change) =>
        committed(now(inner.commit(change)), (reply) => ({
          ...reply,
          ownerPosition: reply.ownerPosition + change.events.length - 1,
          position: reply.position + change.events.length - 1,
        })),
    }),
    'reads a feed from the place itself': (inner) => ({
      readFeed: (query) => inner.readFeed({ ...query, after: Math.max(0, query.after - 1) }),
    }),
    'says that a page is the last when it is full': (inner) => ({
      readFeed: (query) => ({ ...now(inner.readFeed(query)), isLast: true }),
    }),
    'never trims': (inner) => ({ commit: (change) => inner.commit({ ...change, trimTo: 0 }) }),
    'trims the lifecycle too': (inner) => ({
      readEvents: (query) =>
        now(inner.readEvents(query)).filter(({ event, record }) => record.version === 1 || event.seq > 4),
    }),
    'ignores a filter of the list': (inner) => ({ list: ({ runId: _runId, ...query }) => inner.list(query) }),
    'lists the tasks of everybody': (inner) => ({ list: ({ owner: _owner, ...query }) => inner.list(query) }),
    'says that there is more when there is not': (inner) => ({
      list: (query) => ({ next: 1_000, ...now(inner.list(query)) }),
    }),
    'does not know where a page goes on': (inner) => ({ list: ({ after: _after, ...query }) => inner.list(query) }),
    'counts a task under each status it ever had': (inner) => {
      const ever = new Map<string, Set<string>>()
      return {
        commit(change) {
          const reply = now(inner.commit(change))
          const { status, taskId } = change.record
          if (reply.kind === 'committed') ever.set(status, (ever.get(status) ?? new Set()).add(taskId))
          return reply
        },
        count: () => Object.fromEntries([...ever].map(([status, ids]) => [status, ids.size])),
      }
    },
    'forgets the outbox': (inner) => ({ commit: (change) => inner.commit({ ...change, outbox: [] }) }),
    'keeps no change of a delivery': () => ({
      putDelivery: () => ({ kind: 'put', ownerPosition: 1, position: 1 }),
    }),
    'keeps a delivery in any version': (inner) => {
      const put = (entry: OutboxEntry): DeliveryReply => {
        const reply = now(inner.putDelivery(entry))
        return reply.kind === 'put' || entry.version === 1 ? reply : put({ ...entry, version: entry.version - 1 })
      }
      return { putDelivery: put }
    },
    'takes a change of another node for a repeated one': (inner) => {
      const kept = new Map<string, DeliveryReply>()
      return {
        putDelivery(entry) {
          const key = `${entry.deliveryId} ${entry.version}`
          const reply = kept.get(key) ?? now(inner.putDelivery(entry))
          if (reply.kind === 'put') kept.set(key, reply)
          return reply
        },
      }
    },
    'lists the deliveries of everybody': (inner) => ({
      listDeliveries: ({ owner: _owner, ...query }) => inner.listDeliveries(query),
    }),
    'keeps deliveries out of the feeds': (inner) => ({
      readFeed(query) {
        const page = now(inner.readFeed(query))
        return { ...page, entries: page.entries.filter(({ event }) => !('deliveryId' in event)) }
      },
    }),
    'drops tasks that owe': (inner) => ({
      async prune(limits) {
        for (const state of ['pending', 'deadLettered'] as const) {
          for (const entry of await inner.listDeliveries({ state, limit: 100 })) {
            await inner.putDelivery({ ...entry, version: entry.version + 1, state: 'withdrawn' })
          }
        }
        return inner.prune(limits)
      },
    }),
    'prunes nothing': () => ({ prune: () => ({ evicted: 0 }) }),
    'prunes one too many': (inner) => ({
      prune: (limits) => inner.prune({ ...limits, maxFinished: limits.maxFinished - 1 }),
    }),
    'keeps large results': (inner) => ({ prune: (limits) => inner.prune({ ...limits, maxFinishedBytes: Infinity }) }),
    'prunes all at once': (inner) => ({ prune: (limits) => inner.prune({ ...limits, maxEvicted: Infinity }) }),
    'prunes by count only': (inner) => ({ prune: (limits) => inner.prune({ ...limits, finishedMs: Infinity }) }),
    'loses parts of a record': (inner) => ({
      commit({ record: { metadata: _metadata, ...record }, ...change }) {
        return inner.commit({ ...change, record })
      },
    }),
    'frees the claims of everybody with the end of one': (inner) => {
      let hasOneEnded = false
      return {
        commit(change) {
          hasOneEnded ||= change.record.endedAt !== undefined
          return inner.commit(change)
        },
        claimedBy: (claim) => (hasOneEnded ? undefined : inner.claimedBy(claim)),
      }
    },
    'forgets what is attached': (inner) => ({ commit: (change) => inner.commit({ ...change, attachments: [] }) }),
    'keeps what is attached': (inner) => {
      const kept = new Map<string, string>()
      return {
        commit(change) {
          for (const { kind, json } of change.attachments) kept.set(`${change.record.taskId} ${kind}`, json)
          return inner.commit(change)
        },
        readAttachment: (taskId, kind) => kept.get(`${taskId} ${kind}`),
      }
    },
    'takes owners for the same that look alike': (inner) => {
      const folded = (owner: string): string => owner.trim().normalize().toLowerCase()
      return {
        commit: (change) =>
          inner.commit({
            ...change,
            record: { ...change.record, owner: folded(change.record.owner) },
            claims: change.claims.map((claim) => ({ ...claim, owner: folded(claim.owner) })),
          }),
        list: (query) => inner.list(query.owner === undefined ? query : { ...query, owner: folded(query.owner) }),
      }
    },
    'reads the events of a task from its first, always': (inner) => ({
      readEvents: (query) => inner.readEvents({ ...query, afterSeq: 0 }),
    }),
    'reads more events than it was asked for': (inner) => ({
      readEvents: (query) => inner.readEvents({ ...query, limit: query.limit + 1 }),
    }),
    'reads events twice': (inner) => ({
      readEvents: (query) => [...now(inner.readEvents(query)), ...now(inner.readEvents(query))],
    }),
  }

  test.each(Object.entries(BUGS))('catches a store that %s', async (_title, planted) => {
    const createStore = (): TaskStore => {
      const inner = memoryStore()
      return { ...inner, ...planted(inner) }
    }
    const failed: string[] = []
    for (const { title: claim, run } of STORE_CONTRACT) {
      await run(createStore).catch((error: unknown) => {
        // A broken assertion of the contract, not a mistake in the planted bug.
        expect((error as Error).name).toBe('AssertionError')
        failed.push(claim)
      })
    }
    expect(failed).not.toEqual([])
  })
})

test('each memory store is a log of its own', () => {
  expect(memoryStore().incarnation).not.toBe(memoryStore().incarnation)
})
