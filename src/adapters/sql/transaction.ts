/** Transactions in which tasks, claims and deaths of nodes change. */
import { lockLedger } from './ledger.ts'
import type { LedgerState } from './commit-decision.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'

/** How often a transaction is tried that loses against others. */
const MAX_ATTEMPTS = 4
const MAX_PAUSE_MS = 50

/** Runs the work with the ledger locked: alone among all that write. */
export async function withLedger<Result>(
  db: Database,
  dialect: SqlDialect,
  work: (trx: Database, ledger: LedgerState) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(async (trx) => work(trx, await lockLedger(trx, dialect)))
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || dialect.faultOf(error) !== 'conflict') throw error
      await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS * attempt))
    }
  }
}
