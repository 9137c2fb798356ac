/** A real PostgreSQL for the tests of one file, which ends with the file. */
import { afterAll, beforeAll } from 'vitest'
import { createPostgres, type PostgresServer } from './postgres-process.ts'

export function usePostgres(settings: Readonly<Record<string, string>> = {}): PostgresServer {
  const server = createPostgres(settings)
  beforeAll(server.launch)
  afterAll(server.end)
  return server
}
