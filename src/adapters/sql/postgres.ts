/** `outlive/postgres`: tasks in PostgreSQL. */
export type { DurableStore } from './durable-store.ts'
export type {
  PostgresClient,
  PostgresNotification,
  PostgresPool,
  PostgresQuery,
  PostgresResult,
} from './postgres-pool.ts'
export { postgresStore, type PostgresStoreOptions } from './postgres-store.ts'
