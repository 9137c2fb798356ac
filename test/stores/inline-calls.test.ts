/** What a quick call costs a durable store: nothing. */
import { join } from 'node:path'
import { createTaskSupervisor, type TaskStore } from 'outlive'
import { sqliteStore } from 'outlive/sqlite'
import { expect, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'

test('a quick call calls no method of the store', async () => {
  const called: string[] = []
  const store = new Proxy<TaskStore>(sqliteStore(join(scratchFolder('inline'), 'tasks.db')), {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...given: unknown[]): unknown => {
        called.push(String(name))
        return Reflect.apply(member, target, given)
      }
    },
  })
  const tasks = createTaskSupervisor({ store })
  const session = tasks.session({ owner: 'ann' })
  const plusOne = async (n: number): Promise<number> => n + 1
  // The first one of record opens the store.
  expect(await (await session.spawn(plusOne, 0)).result()).toBe(1)
  expect(called).toContain('commit')
  // Retention looks at the store once more after an end.
  await expect.poll(() => called.includes('prune')).toBe(true)

  called.length = 0
  for (let n = 0; n < 1_000; n += 1) {
    expect(await session.run(plusOne, n)).toMatchObject({ kind: 'inline', value: n + 1 })
  }
  expect(called).toEqual([])
  await tasks.shutdown()
})
