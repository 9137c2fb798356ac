/** What differs between the databases: the seam behind which the same schema and the same queries serve both. */
import type { Dialect, Kysely, RawBuilder } from 'kysely'
import type { StoreHint } from '../../ports/cluster-store.ts'
import type { ColumnType, Insert, Row } from './bulk-insert.ts'
import type { FaultOf } from './fault.ts'
import type { Tables } from './tables.ts'

export type Database = Kysely<Tables>

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
  /** Writes rows of different tables: in one trip, where the database is a trip away. No table is named twice. */
  insertAll(db: Database, inserts: readonly Insert[]): Promise<void>
  /** Tells other processes, once the transaction is committed. */
  notify(db: Database, hints: readonly StoreHint[]): Promise<void>
  /** Calls back with what other processes tell, until the undo is called. */
  listen(onHint: (hint: StoreHint) => void): () => void
  readonly faultOf: FaultOf
  /** Gives everything back; what is still on its way fails. */
  close(): Promise<void>
}
