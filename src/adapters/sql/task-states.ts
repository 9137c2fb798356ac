/** What writers read of tasks: all that is kept beside their records. */
import { sql } from 'kysely'
import type { TaskStatus } from '../../../machines/vocabulary.ts'
import type { TaskState } from './commit-decision.ts'
import { fromKept, toKept } from './kept-text.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'

export async function readTasks(
  db: Database,
  dialect: SqlDialect,
  taskIds: ReadonlySet<string>,
): Promise<Map<string, TaskState>> {
  const rows = await db
    .selectFrom('tasks')
    .select(['task_id', 'place', 'owner', 'status', 'version', 'epoch', 'commit_id', 'owner_position', 'position'])
    .select(['trimmed_to', 'has_claims', 'result_bytes', 'owed', 'ended_at'])
    .where('task_id', 'in', sql<string>`${dialect.setOf([...taskIds].map(toKept))}`)
    .execute()
  const toState = (row: (typeof rows)[number]): TaskState => ({
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
