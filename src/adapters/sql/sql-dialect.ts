/** What differs between the databases: the seam behind which the same schema and the same queries serve both. */
import type { Dialect, Kysely, OperationNodeSource, RawBuilder } from 'kysely'
import type { StoreHint } from '../../ports/cluster-store.ts'
import type { ColumnType, Insert, Row } from './bulk-insert.ts'
import type { FaultOf } from './fault.ts'
import type { Tables } from './tables.ts'

export type Database = Kysely<Tables>

/** A query whose rows hold texts and whole numbers. */
export interface RowsQuery<Row> extends OperationNodeSource {
  execute(): Promise<Row[]>
}

export interface SqlDialect {
  readonly kysely: Dialect
  /** Where the tables are; absent where the database is ours alone. */
  readonly schema: string | undefined
  /** A table, as a query that is written out names it. */
  nameOf(table: keyof Tables): RawBuilder<unknown>
  readonly columnTypes: Readonly<Record<ColumnType, RawBuilder<unknown>>>
  /** The type of a key that rises by itself with each row. */
  readonly risingKeyType: RawBuilder<unknown>
  /** At the end of a query whose rows nobody else may lock until the transaction ends. */
  readonly forUpdate: RawBuilder<unknown>
  /** In a transaction: waits until no other process prepares this database, and makes the place for the tables. */
  lockForMigration(db: Database): Promise<void>
  /** The tables that are where ours belong. */
  tableNames(db: Database): Promise<readonly string[]>
  /** Makes the settings that a database keeps, once it is known to be ours. */
  settle(): Promise<void>
  /** What a host should know about the settings of its server, a sentence each. */
  warnings(db: Database): Promise<readonly string[]>
  /** The moment, by the clock of the database where it has one. */
  nowOf(now: number): RawBuilder<number>
  /** A list of texts, as the right side of `in`. */
  setOf(texts: readonly string[]): RawBuilder<unknown>
  /** The rows as a source `r` in `from`. */
  rowsOf(columns: Readonly<Record<string, ColumnType>>, rows: readonly Row[]): RawBuilder<unknown>
  /** Reads what each of the queries gives: in one trip, where the database is a trip away. */
  readAll<Rows extends readonly unknown[]>(
    db: Database,
    queries: { readonly [Index in keyof Rows]: RowsQuery<Rows[Index]> },
  ): Promise<{ readonly [Index in keyof Rows]: readonly Rows[Index][] }>
  /**
   * Writes rows of different tables and tells other processes, once the transaction is committed: in one trip, too. No table
   * is named twice.
   */
  insertAll(db: Database, inserts: readonly Insert[], hints: readonly StoreHint[]): Promise<void>
  /** Tells other processes. */
  notify(db: Database, hints: readonly StoreHint[]): Promise<void>
  /** Calls back with what other processes tell, until the undo is called. */
  listen(onHint: (hint: StoreHint) => void): () => void
  readonly faultOf: FaultOf
  /** Gives everything back; what is still on its way fails. */
  close(): Promise<void>
}
