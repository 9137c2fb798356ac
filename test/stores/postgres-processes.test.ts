import { postgresStore } from 'outlive/postgres'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { usePostgres } from '../support/postgres-server.ts'
import { buildStoreWriter, expectAnswersKept, expectWhole, startStoreWriter } from '../support/store-writers.ts'

const OWNERS = ['owner 0', 'owner 1', 'owner 2']
const TASKS = 150

const server = usePostgres()
let program = ''
beforeAll(() => {
  program = buildStoreWriter('postgres')
})

test('processes that open a schema at once make its tables once, and one that is killed takes nothing with it', async () => {
  const schema = server.freshSchema()
  const location = `${server.url()}#${schema}`
  const start = (name: string, count: number) => startStoreWriter(program, { kind: 'postgres', location, name, count })
  const lasting = ['p0', 'p1', 'p2'].map((name) => start(name, TASKS))
  const doomed = start('doomed', 1_000_000)
  const writers = [...lasting, doomed]
  await Promise.all(writers.map((writer) => writer.whenSaid('ready')))
  for (const writer of writers) writer.open()
  await Promise.all(writers.map((writer) => writer.whenSaid('open')))
  expect(new Set(writers.map((writer) => writer.incarnation())).size).toBe(1)
  for (const writer of writers) writer.write()
  await doomed.whenSaid('doomed-')
  doomed.kill()
  expect(await doomed.ended).toBeNull()
  expect(await Promise.all(lasting.map(({ ended }) => ended))).toEqual([0, 0, 0])

  const store = postgresStore({ url: server.url(), schema })
  onTestFinished(() => store.close())
  expect(await expectWhole(store, OWNERS)).toBeGreaterThan(TASKS * 3)
  await expectAnswersKept(store, writers)
})
