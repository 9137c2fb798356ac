/** Rows of one table that are written together, and the parts of the statement that are the same in every database. */
import type { Tables } from './tables.ts'

export type ColumnType = 'text' | 'whole'

export type Row = Readonly<Record<string, string | number | null>>

export interface BulkInsert {
  readonly table: keyof Tables
  readonly columns: Readonly<Record<string, ColumnType>>
  /** What is written over in a row that is there. Absent: that there is one is an error. */
  readonly onConflict?: { readonly key: readonly string[]; readonly update: readonly string[] }
}

/** Rows for one table. */
export interface Insert {
  readonly into: BulkInsert
  readonly rows: readonly Row[]
}

/** How the statement begins. The names are those of our tables, and need no more than quotes. */
export function headOf({ table, columns }: BulkInsert, schema: string | undefined): string {
  const name = schema === undefined ? `"${table}"` : `"${schema}"."${table}"`
  return `insert into ${name} (${listOf(Object.keys(columns))})`
}

/** How it ends. */
export function tailOf({ onConflict }: BulkInsert): string {
  if (onConflict === undefined) return ''
  const updates = onConflict.update.map((column) => `"${column}" = excluded."${column}"`)
  return ` on conflict (${listOf(onConflict.key)}) do update set ${updates.join(', ')}`
}

export function listOf(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ')
}
