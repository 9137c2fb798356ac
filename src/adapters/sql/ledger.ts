/** The row that counts everything and that all who write lock, and what is counted for each owner. */
import { sql } from 'kysely'
import type { Counts, LedgerState, OwnerState } from './commit-decision.ts'
import { fromKept, toKept } from './kept-text.ts'
import type { BulkInsert, Insert, Row } from './bulk-insert.ts'
import type { Database, RowsQuery, SqlDialect } from './sql-dialect.ts'
import type { OwnerRow } from './tables.ts'

export async function readLedger(db: Database): Promise<LedgerState> {
  return toState(await db.selectFrom('ledger').selectAll().executeTakeFirstOrThrow())
}

/** In a transaction: waits until nobody else writes, and lets nobody else write until the transaction ends. */
export async function lockLedger(db: Database, { forUpdate }: SqlDialect): Promise<LedgerState> {
  return toState(await db.selectFrom('ledger').selectAll().modifyEnd(forUpdate).executeTakeFirstOrThrow())
}

function toState(row: {
  readonly position: number
  readonly place: number
  readonly finished_count: number
  readonly finished_bytes: number
  readonly counts: string
}): LedgerState {
  return {
    position: row.position,
    place: row.place,
    finishedCount: row.finished_count,
    finishedBytes: row.finished_bytes,
    counts: parseCounts(row.counts),
  }
}

const LEDGER: BulkInsert = {
  table: 'ledger',
  columns: {
    id: 'whole',
    position: 'whole',
    place: 'whole',
    finished_count: 'whole',
    finished_bytes: 'whole',
    counts: 'text',
  },
  onConflict: { key: ['id'], update: ['position', 'place', 'finished_count', 'finished_bytes', 'counts'] },
}

/** What is written of the ledger and of the owners. */
export function countersOf(ledger: LedgerState, owners: ReadonlyMap<string, OwnerState>): readonly Insert[] {
  const row: Row = {
    id: 1,
    position: ledger.position,
    place: ledger.place,
    finished_count: ledger.finishedCount,
    finished_bytes: ledger.finishedBytes,
    counts: JSON.stringify(ledger.counts),
  }
  const rows = [...owners].map(([owner, { position, counts }]) => ({
    owner: toKept(owner),
    position,
    counts: JSON.stringify(counts),
  }))
  return [
    { into: OWNERS, rows },
    { into: LEDGER, rows: [row] },
  ]
}

const OWNERS: BulkInsert = {
  table: 'owners',
  columns: { owner: 'text', position: 'whole', counts: 'text' },
  onConflict: { key: ['owner'], update: ['position', 'counts'] },
}

export async function readOwners(
  db: Database,
  dialect: SqlDialect,
  owners: Iterable<string>,
): Promise<Map<string, OwnerState>> {
  return toOwners(await queryOwners(db, dialect, owners).execute())
}

export function queryOwners(db: Database, dialect: SqlDialect, owners: Iterable<string>): RowsQuery<OwnerRow> {
  return db
    .selectFrom('owners')
    .selectAll()
    .where('owner', 'in', sql<string>`${dialect.setOf([...owners].map(toKept))}`)
}

/** By their names. */
export function toOwners(rows: readonly OwnerRow[]): Map<string, OwnerState> {
  return new Map(rows.map((row) => [fromKept(row.owner), { position: row.position, counts: parseCounts(row.counts) }]))
}

function parseCounts(json: string): Counts {
  return JSON.parse(json) as Counts
}
