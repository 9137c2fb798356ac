/** A database that is open and up to date, as a store. */
import { Kysely } from 'kysely'
import { groupCommits, groupWrites } from '../../commit-groups.ts'
import type { StoreHint } from '../../ports/cluster-store.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { Commit, CommitReply, DeliveryReply, PruneReply } from '../../ports/task-store.ts'
import { writeGroup } from './commit-writer.ts'
import { writeDeliveries } from './delivery-writer.ts'
import type { HintBoard } from './hint-board.ts'
import { migrate } from './migrations.ts'
import { createQueries, type Queries } from './queries.ts'
import { prune, type Limits } from './retention.ts'
import { createSqlCluster, type SqlCluster } from './sql-cluster.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'
import type { Tables } from './tables.ts'

/** How many commits one transaction takes. */
const MAX_COMMITS = 200

export interface SqlStore {
  readonly incarnation: string
  readonly warnings: readonly string[]
  readonly queries: Queries
  readonly cluster: SqlCluster
  commit(commit: Commit): Promise<CommitReply>
  putDelivery(entry: OutboxEntry): Promise<DeliveryReply>
  prune(limits: Limits): Promise<PruneReply>
}

export async function openSqlStore(dialect: SqlDialect, hints: HintBoard): Promise<SqlStore> {
  const kysely = new Kysely<Tables>({ dialect: dialect.kysely })
  const db: Database = dialect.schema === undefined ? kysely : kysely.withSchema(dialect.schema)
  const incarnation = await migrate(db, dialect)
  await dialect.settle()
  const warnings = await dialect.warnings(db)
  hints.connect((onHint) => dialect.listen(onHint))

  const writeAll = async (commits: readonly Commit[]): Promise<readonly CommitReply[]> => {
    const { replies, owners } = await writeGroup(db, dialect, commits)
    hints.tell(owners.map((owner) => ({ owner })))
    return replies
  }
  const putAll = async (entries: readonly OutboxEntry[]): Promise<readonly DeliveryReply[]> => {
    const { replies, owners } = await writeDeliveries(db, dialect, entries)
    hints.tell(owners.map((owner) => ({ owner })))
    return replies
  }
  const tell = async (told: readonly StoreHint[]): Promise<void> => {
    hints.tell(told)
    await dialect.notify(db, told)
  }

  return {
    incarnation,
    warnings,
    queries: createQueries(db, dialect),
    cluster: createSqlCluster(db, dialect, tell),
    commit: groupCommits(writeAll, { maxCommits: MAX_COMMITS }),
    putDelivery: groupWrites(putAll, { maxCommits: MAX_COMMITS }),
    prune: (limits) => prune(db, dialect, limits),
  }
}
