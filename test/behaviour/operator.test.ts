import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'

test('the operator sees and lists the tasks of all owners, or of one', async () => {
  const { ann, bob, tasks, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool)
  await bob.spawn(work.tool)
  await settle()
  const { operator } = tasks
  expect(await operator.get('task-2')).toMatchObject({ owner: 'bob', status: 'running' })
  expect(await operator.get('unknown')).toBeUndefined()
  expect((await operator.list()).tasks.map(({ taskId, owner }) => [taskId, owner])).toEqual([
    ['task-1', 'ann'],
    ['task-2', 'bob'],
  ])
  expect((await operator.list({ owner: 'bob' })).tasks).toMatchObject([{ taskId: 'task-2' }])
  expect((await operator.list({ owner: 'carl' })).tasks).toEqual([])
})

test('the operator cancels any task, and the task says so', async () => {
  const { bob, tasks, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await bob.spawn(work.tool)
  expect(await tasks.operator.cancel(task.taskId, { note: 'cleanup' })).toEqual({
    count: 1,
    tasks: [{ taskId: task.taskId, status: 'cancelled' }],
  })
  await settle()
  expect(await task.record()).toMatchObject({ cause: { reason: 'user', actor: 'operator', note: 'cleanup' } })
  expect(await tasks.operator.cancel(task.taskId)).toEqual({
    count: 0,
    tasks: [{ taskId: task.taskId, status: 'cancelled' }],
  })
  await expect(tasks.operator.cancel('unknown')).rejects.toMatchObject({ code: 'task_not_found' })
})

test('the operator starts nothing', () => {
  const { tasks } = setup()
  expect(Object.keys(tasks.operator).toSorted()).toEqual(
    expect.not.arrayContaining(['run', 'spawn', 'session', 'attach', 'handle']) as string[],
  )
  expect(Object.keys(tasks.operator)).toContain('list')
})

test('a list is paged in the order of creation, and misses and doubles nothing while tasks come and go', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const known: string[] = []
  const spawn = async (): Promise<void> => void known.push((await ann.spawn(work.tool)).taskId)
  for (let n = 0; n < 7; n += 1) await spawn()
  const seen: string[] = []
  let after: string | undefined
  let pages = 0
  do {
    const page = await ann.list({ limit: 3, ...(after === undefined ? {} : { after }) })
    expect(page.tasks.length).toBeLessThanOrEqual(3)
    seen.push(...page.tasks.map(({ taskId }) => taskId))
    after = page.next
    pages += 1
    if (after !== undefined) await spawn()
    work.calls[pages]?.resolve(1)
    await settle()
  } while (after !== undefined)
  expect(seen).toEqual(known)
  expect([pages, known.length]).toEqual([3, 9])
})

test('the last page of a list says so, also when it is full', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  for (let n = 0; n < 4; n += 1) await ann.spawn(work.tool)
  const first = await ann.list({ limit: 2 })
  const second = await ann.list({ limit: 2, after: first.next ?? '' })
  expect(first.next).toBeTypeOf('string')
  expect(second.tasks.map(({ taskId }) => taskId)).toEqual(['task-3', 'task-4'])
  expect(second.next).toBeUndefined()
})

test('a place in a list of one owner is refused in the list of another, and when it was bent', async () => {
  const { ann, bob, tasks } = setup()
  const work = controllableTool('work')
  for (let n = 0; n < 3; n += 1) await ann.spawn(work.tool)
  const { next = '' } = await ann.list({ limit: 1 })
  expect(next).not.toBe('')
  for (const list of [bob.list({ after: next }), tasks.operator.list({ after: next })]) {
    await expect(list).rejects.toMatchObject({ code: 'invalid_cursor' })
  }
  for (const bent of ['', 'x', `${next}0`, next.slice(1), `0${next}`, '2.0', 5]) {
    await expect(ann.list({ after: bent as string })).rejects.toMatchObject({ code: 'invalid_cursor' })
  }
})

test('what is not a filter is refused by its name', async () => {
  const { ann } = setup()
  await expect(ann.list({ owner: 'bob' } as never)).rejects.toThrow(/owner/)
  await expect(ann.list({ status: 'done' as never })).rejects.toThrow(/status/)
  await expect(ann.list({ limit: 0 })).rejects.toThrow(/limit/)
  expect((await ann.list({ status: [] })).tasks).toEqual([])
})
