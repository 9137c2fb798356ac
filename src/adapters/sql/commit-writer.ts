/**
 * Writes a group of commits in one transaction: with the ledger locked it reads what the group touches, lets `decideGroup`
 * judge, and writes what came of it, each all together where the dialect can.
 *
 * 1. From the lock to the end of the transaction nobody else changes tasks, claims or deaths of nodes. So nothing that
 *    was judged by has changed when it is written, and positions are seen in the order in which they were given.
 * 2. There is one lock, and it is taken first, so transactions of several processes do not wait for each other in a circle.
 */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Claim, Commit, CommitReply } from '../../ports/task-store.ts'
import { decideGroup, type GroupState, type GroupWrites, type LedgerState } from './commit-decision.ts'
import {
  ATTACHMENTS,
  CLAIMS,
  EVENTS,
  OUTBOX,
  TASKS,
  toAttachmentRows,
  toClaimRows,
  toEventRows,
  toLineRows,
  toOutboxRows,
  toTaskRows,
} from './group-rows.ts'
import { fromKept, toKept } from './kept-text.ts'
import { countersOf, queryOwners, toOwners } from './ledger.ts'
import type { Database, RowsQuery, SqlDialect } from './sql-dialect.ts'
import type { ClaimRow, NodeRow } from './tables.ts'
import { queryTasks, toTasks } from './task-states.ts'
import { withLedger } from './transaction.ts'

export interface WrittenGroup {
  readonly replies: readonly CommitReply[]
  /** Whose feeds are longer now. */
  readonly owners: readonly string[]
}

export async function writeGroup(db: Database, dialect: SqlDialect, commits: readonly Commit[]): Promise<WrittenGroup> {
  return withLedger(db, dialect, async (trx, ledger) => {
    const state = await readState(trx, dialect, ledger, commits)
    const { replies, writes } = decideGroup(state, commits, digestOf)
    const owners = [...new Set([...writes.events, ...writes.lines].map(({ owner }) => owner))]
    if (writes.records.size > 0) await writeAll(trx, dialect, { state, writes, owners })
    return { replies, owners }
  })
}

/** Short, and of one length whatever owner and key are. */
export function digestOf({ owner, kind, key }: Claim): string {
  return createHash('sha256')
    .update(JSON.stringify([owner, kind, key]))
    .digest('base64url')
}

async function readState(
  db: Database,
  dialect: SqlDialect,
  ledger: LedgerState,
  commits: readonly Commit[],
): Promise<GroupState> {
  const digests = new Set(commits.flatMap(({ claims }) => claims.map(digestOf)))
  const nodes = new Set(commits.flatMap(({ record: { node } }) => node ?? []))
  const [owners, tasks, claims, living] = await dialect.readAll(db, [
    queryOwners(db, dialect, new Set(commits.map(({ record }) => record.owner))),
    queryTasks(db, dialect, new Set(commits.map(({ record }) => record.taskId))),
    queryClaims(db, dialect, digests),
    queryLivingNodes(db, dialect, nodes),
  ])
  return {
    ledger,
    owners: toOwners(owners),
    tasks: toTasks(tasks),
    claims: new Map(
      claims.map(({ digest, kind, task_id }) => [digest, { kind: kind as Claim['kind'], taskId: fromKept(task_id) }]),
    ),
    livingNodes: new Set(living.map(({ node }) => fromKept(node))),
  }
}

function queryClaims(db: Database, dialect: SqlDialect, digests: ReadonlySet<string>): RowsQuery<ClaimRow> {
  return db
    .selectFrom('claims')
    .selectAll()
    .where('digest', 'in', sql<string>`${dialect.setOf([...digests])}`)
}

function queryLivingNodes(
  db: Database,
  dialect: SqlDialect,
  nodes: ReadonlySet<string>,
): RowsQuery<Pick<NodeRow, 'node'>> {
  return db
    .selectFrom('nodes')
    .select('node')
    .where('is_dead', '=', 0)
    .where('node', 'in', sql<string>`${dialect.setOf([...nodes].map(toKept))}`)
}

async function writeAll(
  db: Database,
  dialect: SqlDialect,
  {
    state,
    writes,
    owners,
  }: { readonly state: GroupState; readonly writes: GroupWrites; readonly owners: readonly string[] },
): Promise<void> {
  const hints = owners.map((owner) => ({ owner }))
  // First, for what is trimmed or freed is never what this group writes.
  await trim(db, dialect, writes.trims)
  await freeClaims(db, dialect, writes.freed)
  const inserts = [
    { into: TASKS, rows: toTaskRows(state, writes) },
    { into: EVENTS, rows: [...toEventRows(state, writes), ...toLineRows(writes)] },
    { into: CLAIMS, rows: toClaimRows(writes) },
    { into: OUTBOX, rows: toOutboxRows(writes) },
    { into: ATTACHMENTS, rows: toAttachmentRows(writes) },
    ...countersOf(state.ledger, state.owners),
  ]
  await dialect.insertAll(db, inserts, hints)
}

/** Drops the fresh events between two numbers, for each of the tasks. */
async function trim(db: Database, dialect: SqlDialect, trims: GroupWrites['trims']): Promise<void> {
  if (trims.length === 0) return
  const rows = trims.map(({ taskId, after, upTo }) => ({ task_id: toKept(taskId), after, up_to: upTo }))
  const source = dialect.rowsOf({ task_id: 'text', after: 'whole', up_to: 'whole' }, rows)
  // Joined this way round, each database looks the events up by their index.
  const trimmed = sql<number>`(select e.position from ${source} cross join ${dialect.nameOf('events')} as e
    where e.task_id = r.task_id and e.delivery_id = '' and e.seq > r.after and e.seq <= r.up_to and e.is_fresh = 1)`
  await db.deleteFrom('events').where('position', 'in', trimmed).execute()
}

async function freeClaims(db: Database, dialect: SqlDialect, taskIds: ReadonlySet<string>): Promise<void> {
  if (taskIds.size === 0) return
  await db
    .deleteFrom('claims')
    .where('task_id', 'in', sql<string>`${dialect.setOf([...taskIds].map(toKept))}`)
    .where('kind', '<>', 'dedupe')
    .execute()
}
