/** A transaction of PostgreSQL with one statement for each table, whose rows are one parameter, through the same driver. */
import pg from 'pg'
import { headOf, listOf, tailOf, type BulkInsert } from '../src/adapters/sql/bulk-insert.ts'
import { createRowMaker } from './floor-rows.ts'
import type { Floor } from './store-place.ts'

interface Statement {
  readonly text: string
  readonly values: readonly [string]
}

export async function openPostgresFloor(url: string, schema: string): Promise<Floor> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const toRows = createRowMaker()
  const countOf = async (table: string): Promise<number> =>
    Number((await client.query<{ n: string }>(`select count(*) as n from ${schema}.${table}`)).rows[0]?.n)

  return {
    prepare: (commits): readonly Statement[] =>
      toRows(commits).map(({ insert, rows }) => ({ text: textOf(insert, schema), values: [JSON.stringify(rows)] })),
    async write(prepared) {
      await client.query('begin')
      for (const { text, values } of prepared as readonly Statement[]) await client.query(text, [...values])
      await client.query('commit')
    },
    count: async () => ({ tasks: await countOf('tasks'), events: await countOf('events') }),
    close: () => client.end(),
  }
}

function textOf(insert: BulkInsert, schema: string): string {
  const columns = Object.entries(insert.columns)
  const typed = columns.map(([column, type]) => `"${column}" ${type === 'whole' ? 'bigint' : 'text'}`).join(', ')
  const names = listOf(columns.map(([column]) => column))
  return `${headOf(insert, schema)} select ${names} from json_to_recordset($1::json) as r(${typed})${tailOf(insert)}`
}
