/** A transaction of SQLite with one prepared statement for each table, through the same driver and with the same settings. */
import Database from 'libsql'
import { headOf, tailOf, type BulkInsert } from '../src/adapters/sql/bulk-insert.ts'
import { createRowMaker, type FloorRows } from './floor-rows.ts'
import type { Floor } from './store-place.ts'

export function openSqliteFloor(file: string): Floor {
  const database = new Database(file)
  database.exec('pragma synchronous = full')
  const toRows = createRowMaker()
  const statements = new Map<BulkInsert, Database.Statement>()
  const statementOf = (insert: BulkInsert): Database.Statement => {
    const kept = statements.get(insert)
    if (kept !== undefined) return kept
    const values = Object.keys(insert.columns).fill('?').join(', ')
    const made = database.prepare(`${headOf(insert, undefined)} values (${values})${tailOf(insert)}`)
    statements.set(insert, made)
    return made
  }
  const countOf = (table: string): number =>
    (database.prepare(`select count(*) as n from ${table}`).get([]) as { readonly n: number }).n

  return {
    prepare: (commits) =>
      toRows(commits).map(({ insert, rows }) => ({
        insert,
        rows: rows.map((row) => Object.keys(insert.columns).map((column) => row[column] ?? null)),
      })),
    async write(prepared) {
      database.exec('begin immediate')
      for (const { insert, rows } of prepared as readonly FloorRows[]) {
        const statement = statementOf(insert)
        for (const row of rows) statement.run(row)
      }
      database.exec('commit')
    },
    count: async () => ({ tasks: countOf('tasks'), events: countOf('events') }),
    close: async () => void database.close(),
  }
}
