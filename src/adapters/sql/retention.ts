/** Drops finished tasks beyond the limits, oldest first: by the index of their ends and the totals of the ledger, without a scan. */
import { sql } from 'kysely'
import { mustEvictOldest, type RetentionPolicy } from '../../../machines/policies/retention.ts'
import type { TaskStatus } from '../../../machines/vocabulary.ts'
import type { PruneReply } from '../../ports/task-store.ts'
import { recount, type LedgerState } from './commit-decision.ts'
import { fromKept } from './kept-text.ts'
import { countersOf, readLedger, readOwners } from './ledger.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'
import { withLedger } from './transaction.ts'

/** So that nobody who commits waits long. */
const MAX_EVICTED_AT_ONCE = 200

export interface Limits extends RetentionPolicy {
  readonly now: number
  readonly maxEvicted: number
}

export async function prune(db: Database, dialect: SqlDialect, limits: Limits): Promise<PruneReply> {
  let evicted = 0
  // Looked at without a lock first, for mostly there is nothing to do.
  for (;;) {
    const [first] = await readOldest(db, 1)
    if (first === undefined) return { evicted }
    if (!mustGo(limits, await readLedger(db), first)) return { evicted, nextAt: first.ended_at + limits.finishedMs }
    if (evicted >= limits.maxEvicted) return { evicted, nextAt: limits.now }
    const batch = Math.min(MAX_EVICTED_AT_ONCE, limits.maxEvicted - evicted)
    evicted += await withLedger(db, dialect, (trx, ledger) =>
      evict(trx, dialect, { ledger, limits, maxEvicted: batch }),
    )
  }
}

interface Finished {
  readonly task_id: string
  readonly owner: string
  readonly status: string
  readonly ended_at: number
  readonly result_bytes: number
}

async function readOldest(db: Database, limit: number): Promise<readonly Finished[]> {
  return db
    .selectFrom('tasks')
    .select(['task_id', 'owner', 'status', 'result_bytes'])
    .select(sql<number>`evictable_at`.as('ended_at'))
    .where('evictable_at', 'is not', null)
    .orderBy('evictable_at')
    .orderBy('place')
    .limit(limit)
    .execute()
}

function mustGo(limits: Limits, ledger: LedgerState, oldest: Finished): boolean {
  const kept = { count: ledger.finishedCount, bytes: ledger.finishedBytes }
  return mustEvictOldest(limits, { ...kept, oldestEndedAt: oldest.ended_at, now: limits.now })
}

async function evict(
  db: Database,
  dialect: SqlDialect,
  {
    ledger,
    limits,
    maxEvicted,
  }: { readonly ledger: LedgerState; readonly limits: Limits; readonly maxEvicted: number },
): Promise<number> {
  const leaving: Finished[] = []
  for (const task of await readOldest(db, maxEvicted)) {
    if (!mustGo(limits, ledger, task)) break
    leaving.push(task)
    ledger.finishedCount -= 1
    ledger.finishedBytes -= task.result_bytes
    recount(ledger.counts, task.status as TaskStatus, undefined)
  }
  if (leaving.length === 0) return 0
  const owners = await readOwners(db, dialect, new Set(leaving.map(({ owner }) => fromKept(owner))))
  for (const { owner, status } of leaving) {
    recount(owners.get(fromKept(owner))?.counts ?? {}, status as TaskStatus, undefined)
  }
  const gone = sql<string>`${dialect.setOf(leaving.map(({ task_id }) => task_id))}`
  for (const table of ['events', 'claims', 'outbox', 'attachments', 'tasks'] as const) {
    await db.deleteFrom(table).where('task_id', 'in', gone).execute()
  }
  await dialect.insertAll(db, countersOf(ledger, owners), [])
  return leaving.length
}
