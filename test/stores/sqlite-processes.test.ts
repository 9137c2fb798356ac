import { join } from 'node:path'
import { sqliteStore } from 'outlive/sqlite'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'
import {
  buildStoreWriter,
  expectAnswersKept,
  expectWhole,
  startStoreWriter,
  type StoreWriter,
} from '../support/store-writers.ts'

const OWNERS = ['owner 0', 'owner 1', 'owner 2']
const PROCESSES = 4
const TASKS = 120
const KILLS = 120

let program = ''
beforeAll(() => {
  program = buildStoreWriter('sqlite')
})

test('processes that open a file at once make its tables once, and then write to it side by side', async () => {
  const location = join(scratchFolder('processes'), 'tasks.db')
  const writers = Array.from({ length: PROCESSES }, (_, index) =>
    startStoreWriter(program, { kind: 'sqlite', location, name: `p${index}`, count: TASKS }),
  )
  await Promise.all(writers.map((writer) => writer.whenSaid('ready')))
  for (const writer of writers) writer.open()
  await Promise.all(writers.map((writer) => writer.whenSaid('open')))
  expect(new Set(writers.map((writer) => writer.incarnation())).size).toBe(1)
  for (const writer of writers) writer.write()
  expect(await Promise.all(writers.map(({ ended }) => ended))).toEqual(writers.map(() => 0))

  const store = sqliteStore(location)
  onTestFinished(() => store.close())
  await store.open()
  expect(store.incarnation).toBe(writers[0]?.incarnation())
  // The half of the tasks that claim nothing are all there.
  expect(await expectWhole(store, OWNERS)).toBeGreaterThan((PROCESSES * TASKS * 3) / 2 - 1)
  await expectAnswersKept(store, writers)
})

test(`a process that is killed at any point loses nothing it has answered, ${KILLS} times`, async () => {
  const location = join(scratchFolder('killed'), 'tasks.db')
  const start = (round: number): StoreWriter => {
    const writer = startStoreWriter(program, { kind: 'sqlite', location, name: `k${round}`, count: 1_000_000 })
    writer.open()
    return writer
  }
  const store = sqliteStore(location)
  onTestFinished(() => store.close())
  await store.open()
  let answered = 0
  let next = start(0)
  for (let round = 0; round < KILLS; round += 1) {
    const writer = next
    await writer.whenSaid('open')
    // The next one starts while this one writes.
    next = start(round + 1)
    writer.write()
    await writer.whenSaid(`k${round}-`)
    await new Promise((resolve) => setTimeout(resolve, (round * 7) % 20))
    writer.kill()
    expect(await writer.ended).toBeNull()
    await expectAnswersKept(store, [writer])
    answered += writer.answers().length
  }
  expect(answered).toBeGreaterThan(KILLS)
  await expectWhole(store, OWNERS)
})
