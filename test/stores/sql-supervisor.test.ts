import { join } from 'node:path'
import { createTaskSupervisor, type TaskStore } from 'outlive'
import { postgresStore } from 'outlive/postgres'
import { sqliteStore } from 'outlive/sqlite'
import { expect, test } from 'vitest'
import { usePostgres } from '../support/postgres-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

const server = usePostgres()
const TASKS = 300

const STORES: Readonly<Record<string, () => () => TaskStore>> = {
  SQLite() {
    const file = join(scratchFolder('supervisor'), 'tasks.db')
    return () => sqliteStore(file)
  },
  PostgreSQL() {
    const schema = server.freshSchema()
    return () => postgresStore({ url: server.url(), schema })
  },
}

test.each(Object.keys(STORES))('what a supervisor has finished is there for the next one, in %s', async (name) => {
  const openStore = STORES[name]?.()
  if (openStore === undefined) throw new Error(`no store is called ${name}`)
  const double = { name: 'double', run: async (n: number) => n * 2 }

  const first = createTaskSupervisor({ store: openStore() })
  const session = first.session({ owner: 'ann' })
  const handles = await Promise.all(Array.from({ length: TASKS }, (_, index) => session.spawn(double, index)))
  const values = await Promise.all(handles.map((handle) => handle.result()))
  expect(values).toEqual(Array.from({ length: TASKS }, (_, index) => index * 2))
  const seen: string[] = []
  let cursor: string | undefined
  for await (const item of handles[0]?.events() ?? []) {
    seen.push(item.type)
    if (item.type === 'task.started') cursor = item.cursor
  }
  expect(seen).toEqual(['task.queued', 'task.started', 'task.completed'])
  expect(await first.shutdown()).toMatchObject({ unsaved: 0 })

  const second = createTaskSupervisor({ store: openStore() })
  const later = second.session({ owner: 'ann' })
  const taskId = handles[0]?.taskId ?? ''
  expect(await later.get(taskId)).toMatchObject({ status: 'completed', persisted: true })
  expect(await later.result(taskId)).toBe(0)
  expect((await later.stats()).byStatus.completed).toBe(TASKS)
  const resumed: string[] = []
  for await (const item of later.handle(taskId).events({ after: cursor ?? '' })) resumed.push(item.type)
  expect(resumed).toEqual(['task.completed'])
  expect(await second.session({ owner: 'bob' }).get(taskId)).toBeUndefined()
  await second.shutdown()
})
