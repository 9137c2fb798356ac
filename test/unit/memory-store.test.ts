import { memoryStore, type Commit, type CommitReply, type TaskStore } from 'outlive'
import { lateStore, STORE_CONTRACT } from 'outlive/testing'
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
    'leaks its claims': (inner) => ({ commit: (change) => inner.commit({ ...change, releases: [] }) }),
    'shares claims between owners': (inner) => {
      const shared = (claims: Commit['claims']): Commit['claims'] => claims.map((claim) => ({ ...claim, owner: 'all' }))
      return {
        commit: (change) =>
          inner.commit({ ...change, claims: shared(change.claims), releases: shared(change.releases) }),
      }
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
    'settles no delivery': () => ({ settleDelivery: () => undefined }),
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
    'lets anybody release a claim': (inner) => {
      const holders = new Map<string, string>()
      return {
        commit(change) {
          const reply = now(inner.commit(change))
          for (const { key } of change.claims) if (reply.kind === 'committed') holders.set(key, change.record.taskId)
          for (const claim of change.releases) {
            const holder = holders.get(claim.key)
            const record = holder === undefined ? undefined : now(inner.read(holder))
            if (record === undefined) continue
            const next = { ...record, version: record.version + 1 }
            const freed = {
              id: `free ${claim.key}`,
              expect: { version: record.version, epoch: record.epoch },
              record: next,
            }
            now(inner.commit({ ...change, ...freed, events: [], outbox: [], claims: [], releases: [claim] }))
          }
          return reply
        },
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
