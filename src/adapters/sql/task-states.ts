/** What writers read of tasks: all that is kept beside their records. */
import { sql } from 'kysely'
import type { TaskStatus } from '../../../machines/vocabulary.ts'
import type { TaskState } from './commit-decision.ts'
import { fromKept, toKept } from './kept-text.ts'
import type { Database, RowsQuery, SqlDialect } from './sql-dialect.ts'
import type { TaskRow } from './tables.ts'

type StateRow = Pick<TaskRow, (typeof STATE_COLUMNS)[number]>

const STATE_COLUMNS = [
  'task_id',
  'place',
  'owner',
  'status',
  'version',
  'epoch',
  'commit_id',
  'owner_position',
  'position',
  'trimmed_to',
  'has_claims',
  'result_bytes',
  'owed',
  'ended_at',
] as const

export function queryTasks(db: Database, dialect: SqlDialect, taskIds: ReadonlySet<string>): RowsQuery<StateRow> {
  return db
    .selectFrom('tasks')
    .select(STATE_COLUMNS)
    .where('task_id', 'in', sql<string>`${dialect.setOf([...taskIds].map(toKept))}`)
}

/** By their ids. */
export function toTasks(rows: readonly StateRow[]): Map<string, TaskState> {
  const toState = (row: StateRow): TaskState => ({
    place: row.place,
    owner: fromKept(row.owner),
    status: row.status as TaskStatus,
    version: row.version,
    epoch: row.epoch,
    commitId: fromKept(row.commit_id),
    ownerPosition: row.owner_position,
    position: row.position,
    trimmedTo: row.trimmed_to,
    hasClaims: row.has_claims === 1,
    resultBytes: row.result_bytes,
    owed: row.owed,
    endedAt: row.ended_at ?? undefined,
  })
  return new Map(rows.map((row) => [fromKept(row.task_id), toState(row)]))
}
