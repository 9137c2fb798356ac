/** `outlive/sqlite`: tasks in a file. */
export type { DurableStore } from './durable-store.ts'
export type { SqliteDatabase, SqliteStatement } from './sqlite-database.ts'
export { sqliteStore, type SqliteStoreOptions } from './sqlite-store.ts'
