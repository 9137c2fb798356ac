import { join } from 'node:path'
import { sqliteStore } from 'outlive/sqlite'
import { CLUSTER_CONTRACT, STORE_CONTRACT } from 'outlive/testing'
import { expect, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'

test.each([...STORE_CONTRACT, ...CLUSTER_CONTRACT])('$title', async ({ run }) => {
  const folder = scratchFolder('sqlite')
  await expect(run(() => sqliteStore(join(folder, 'tasks.db')))).resolves.toBeUndefined()
})
