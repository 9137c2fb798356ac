import { postgresStore } from 'outlive/postgres'
import { CLUSTER_CONTRACT, STORE_CONTRACT } from 'outlive/testing'
import { expect, test } from 'vitest'
import { usePostgres } from '../support/postgres-server.ts'

const server = usePostgres()

test.each([...STORE_CONTRACT, ...CLUSTER_CONTRACT])('$title', async ({ run }) => {
  const schema = server.freshSchema()
  await expect(run(() => postgresStore({ url: server.url(), schema }))).resolves.toBeUndefined()
})
