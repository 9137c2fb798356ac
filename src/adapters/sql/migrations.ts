/**
 * Brings a database to the version of the schema that this code knows, step by step. A step that was released is never
 * changed; what changes later is a further step.
 *
 * 1. Each step is taken once, by one process, in one transaction with the version that it leads to.
 * 2. A database that is newer than the steps, or that holds something else, is refused and left as it is.
 */
import { TaskError } from '../../errors.ts'
import { createTables } from './schema.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'

const STEPS: readonly ((db: Database, dialect: SqlDialect) => Promise<void>)[] = [createTables]

/** Gives the incarnation of the database, which is made with its first step. */
export async function migrate(db: Database, dialect: SqlDialect): Promise<string> {
  return db.transaction().execute(async (trx) => {
    await dialect.lockForMigration(trx)
    const version = await readVersion(trx, dialect)
    if (version > STEPS.length) {
      throw new TaskError(
        'store_unusable',
        `The database has version ${version} of the schema, and this code knows ${STEPS.length} at most: update outlive.`,
      )
    }
    for (const step of STEPS.slice(version)) await step(trx, dialect)
    if (version < STEPS.length) await writeMeta(trx, 'schema_version', String(STEPS.length))
    if (version === 0) await writeMeta(trx, 'incarnation', crypto.randomUUID())
    return requireMeta(trx, 'incarnation')
  })
}

/** 0: nothing is there yet. */
async function readVersion(db: Database, dialect: SqlDialect): Promise<number> {
  const names = await dialect.tableNames(db)
  if (names.length === 0) return 0
  if (!names.includes('meta') || !names.includes('ledger')) {
    throw new TaskError('store_unusable', 'The database has tables already, and they are not those of outlive.')
  }
  return Number(await requireMeta(db, 'schema_version'))
}

async function requireMeta(db: Database, key: string): Promise<string> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
  if (row === undefined) throw new TaskError('store_unusable', `The table \`meta\` has no row \`${key}\`.`)
  return row.value
}

async function writeMeta(db: Database, key: string, value: string): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}
