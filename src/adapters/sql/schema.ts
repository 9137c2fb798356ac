/** The first version of the schema. */
import { sql, type CreateTableBuilder } from 'kysely'
import type { ColumnType } from './bulk-insert.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'
import type { Tables } from './tables.ts'

/** `?` after a type: may be null. */
type Columns<Row> = { readonly [Column in keyof Row & string]: `${ColumnType}${'' | '?'}` | 'rising' }

const TABLES: {
  readonly [Table in keyof Tables]: { readonly columns: Columns<Tables[Table]>; readonly key: readonly string[] }
} = {
  meta: { columns: { key: 'text', value: 'text' }, key: ['key'] },
  ledger: {
    columns: {
      id: 'whole',
      position: 'whole',
      place: 'whole',
      finished_count: 'whole',
      finished_bytes: 'whole',
      counts: 'text',
    },
    key: ['id'],
  },
  owners: { columns: { owner: 'text', position: 'whole', counts: 'text' }, key: ['owner'] },
  tasks: {
    columns: {
      place: 'whole',
      task_id: 'text',
      owner: 'text',
      status: 'text',
      parent_id: 'text?',
      root_id: 'text',
      tool: 'text',
      name: 'text?',
      conversation: 'text?',
      run_id: 'text?',
      node: 'text?',
      version: 'whole',
      epoch: 'whole',
      commit_id: 'text',
      owner_position: 'whole',
      position: 'whole',
      trimmed_to: 'whole',
      has_claims: 'whole',
      owed: 'whole',
      ended_at: 'whole?',
      evictable_at: 'whole?',
      result_bytes: 'whole',
      record: 'text',
    },
    key: ['place'],
  },
  events: {
    columns: {
      position: 'whole',
      owner: 'text',
      owner_position: 'whole',
      task_id: 'text',
      delivery_id: 'text',
      seq: 'whole',
      epoch: 'whole',
      type: 'text',
      at: 'whole',
      is_fresh: 'whole',
      json: 'text',
    },
    key: ['position'],
  },
  claims: { columns: { digest: 'text', kind: 'text', task_id: 'text' }, key: ['digest'] },
  outbox: {
    columns: {
      task_id: 'text',
      delivery_id: 'text',
      owner: 'text',
      version: 'whole',
      node: 'text?',
      open_state: 'text?',
      lines: 'whole',
      began: 'whole',
      owner_position: 'whole',
      position: 'whole',
      json: 'text',
    },
    key: ['task_id', 'delivery_id'],
  },
  attachments: { columns: { task_id: 'text', kind: 'text', json: 'text' }, key: ['task_id', 'kind'] },
  nodes: { columns: { node: 'text', expires_at: 'whole', is_dead: 'whole' }, key: ['node'] },
  orders: {
    columns: {
      place: 'rising',
      id: 'text',
      node: 'text',
      sender: 'text',
      owner: 'text',
      task_id: 'text',
      json: 'text',
      sent_at: 'whole',
      reply: 'text?',
    },
    key: [],
  },
}

interface Index {
  readonly name: string
  readonly table: keyof Tables
  readonly columns: readonly string[]
  readonly isUnique?: true
  /** Only rows in which this column is, or is not, null. */
  readonly where?: { readonly column: string; readonly is: 'null' | 'not null' }
}

const INDEXES: readonly Index[] = [
  {
    name: 'outbox_open',
    table: 'outbox',
    columns: ['open_state', 'delivery_id'],
    where: { column: 'open_state', is: 'not null' },
  },
  {
    name: 'outbox_open_by_owner',
    table: 'outbox',
    columns: ['owner', 'open_state', 'delivery_id'],
    where: { column: 'open_state', is: 'not null' },
  },
  { name: 'tasks_by_id', table: 'tasks', columns: ['task_id'], isUnique: true },
  { name: 'tasks_by_owner', table: 'tasks', columns: ['owner', 'place'] },
  { name: 'tasks_by_root', table: 'tasks', columns: ['root_id', 'place'] },
  {
    name: 'tasks_by_parent',
    table: 'tasks',
    columns: ['parent_id', 'place'],
    where: { column: 'parent_id', is: 'not null' },
  },
  { name: 'tasks_by_run', table: 'tasks', columns: ['run_id', 'place'], where: { column: 'run_id', is: 'not null' } },
  { name: 'tasks_by_node', table: 'tasks', columns: ['node', 'place'], where: { column: 'node', is: 'not null' } },
  {
    name: 'tasks_by_end',
    table: 'tasks',
    columns: ['evictable_at', 'place'],
    where: { column: 'evictable_at', is: 'not null' },
  },
  { name: 'events_by_task', table: 'events', columns: ['task_id', 'delivery_id', 'seq'], isUnique: true },
  { name: 'events_by_owner', table: 'events', columns: ['owner', 'owner_position'], isUnique: true },
  { name: 'claims_by_task', table: 'claims', columns: ['task_id'] },
  { name: 'orders_by_id', table: 'orders', columns: ['id'], isUnique: true },
  { name: 'orders_by_node', table: 'orders', columns: ['node', 'place'] },
  { name: 'orders_by_time', table: 'orders', columns: ['sent_at'] },
]

export async function createTables(db: Database, dialect: SqlDialect): Promise<void> {
  for (const [name, { columns, key }] of Object.entries(TABLES)) {
    let table: CreateTableBuilder<string, string> = db.schema.createTable(name)
    for (const [column, type] of Object.entries(columns)) table = addColumn(table, column, type, dialect)
    if (key.length > 0) table = table.addPrimaryKeyConstraint(`${name}_key`, [...key])
    await table.execute()
  }
  for (const { name, table, columns, isUnique, where } of INDEXES) {
    let index = db.schema
      .createIndex(name)
      .on(table)
      .columns([...columns])
    if (isUnique === true) index = index.unique()
    if (where !== undefined) index = index.where(sql.ref(where.column), where.is === 'null' ? 'is' : 'is not', null)
    await index.execute()
  }
  await db
    .insertInto('ledger')
    .values({ id: 1, position: 0, place: 0, finished_count: 0, finished_bytes: 0, counts: '{}' })
    .execute()
}

function addColumn(
  table: CreateTableBuilder<string, string>,
  column: string,
  type: string,
  { columnTypes, risingKeyType }: SqlDialect,
): CreateTableBuilder<string, string> {
  if (type === 'rising') return table.addColumn(column, risingKeyType, (made) => made.primaryKey())
  const isWhole = type.startsWith('whole')
  return table.addColumn(column, isWhole ? columnTypes.whole : columnTypes.text, (made) =>
    type.endsWith('?') ? made : made.notNull(),
  )
}
