/** What calls cost a durable store: a quick one nothing, one of record its commits. */
import { join } from 'node:path'
import { createTaskSupervisor, type TaskStore } from 'outlive'
import { sqliteStore } from 'outlive/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'

const plusOne = async (n: number): Promise<number> => n + 1

function supervise() {
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
  onTestFinished(async () => void (await tasks.shutdown()))
  return { called, session: tasks.session({ owner: 'ann' }) }
}

test('a quick call calls no method of the store', async () => {
  const { called, session } = supervise()
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
})

test('a task that is waited for where it runs is not looked for in the store', async () => {
  const { called, session } = supervise()
  for (let n = 0; n < 20; n += 1) expect(await (await session.spawn(plusOne, n)).result()).toBe(n + 1)
  const others = called.filter((name) => name !== 'commit' && name !== 'prune')
  expect(others.filter((name) => name !== 'open' && name !== 'close')).toEqual([])
  expect(called.filter((name) => name === 'commit')).toHaveLength(40)
})
