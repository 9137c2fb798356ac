import type { PreparedTask, Projection, TaskRecord, TaskStatus } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../support/nodes.ts'
import { setup } from '../support/setup.ts'

/** A ledger of a host: a row for each task, and every change it was told. */
function ledger(given: Partial<Projection> = {}) {
  const rows = new Map<string, TaskStatus>()
  const told: string[] = []
  const prepared: PreparedTask[] = []
  const projection: Projection = {
    sync(record: TaskRecord) {
      rows.set(record.taskId, record.status)
      told.push(`${record.taskId} ${record.status} ${record.attempt}`)
    },
    statusOf: (taskId) => rows.get(taskId),
    ...given,
  }
  return { rows, told, prepared, projection }
}

test('every change of status or attempt is told, once it is kept, in its order', async () => {
  const { projection, told } = ledger()
  const { ann, settle, advance } = setup({ projection })
  const work = controllableTool('work', { policy: { retry: { maxAttempts: 2, baseMs: 100, jitter: 'none' } } })
  const { taskId } = await ann.spawn(work.tool)
  await settle()
  work.call(0).ctx.progress(0.5)
  work.call(0).ctx.output('more')
  work.call(0).reject(new Error('again'))
  await settle()
  await advance(100)
  work.call(1).resolve('done')
  await settle()
  expect(told).toEqual(
    ['queued 1', 'running 1', 'retrying 1', 'running 2', 'completed 2'].map((told) => `${taskId} ${told}`),
  )
})

test('a quick call is no business of the ledger; one that goes to the background is, from then on', async () => {
  const { projection, told } = ledger()
  const { ann, settle, advance } = setup({ projection, inlineMs: 100 })
  await ann.run(() => 1)
  const work = controllableTool('work')
  const slow = ann.run(work.tool)
  await settle()
  expect(told).toEqual([])
  await advance(100)
  work.call(0).resolve(1)
  await settle()
  expect((await slow).kind).toBe('background')
  expect(told.map((line) => line.split(' ')[1])).toEqual(['running', 'completed'])
})

test('the ledger gives the id, before there is a task', async () => {
  const asked: PreparedTask[] = []
  let count = 0
  const { projection, rows } = ledger({
    prepare: async (task) => {
      asked.push(task)
      count += 1
      return task.name === 'ours' ? undefined : `row-${count}`
    },
  })
  const { ann, settle } = setup({ projection })
  const child = controllableTool('child')
  const parent = await ann.spawn(
    async function parent(
      _input: undefined,
      ctx: { spawn: (tool: typeof child.tool, input: undefined) => Promise<unknown> },
    ) {
      await ctx.spawn(child.tool, undefined)
    },
    undefined,
    { description: 'a parent', metadata: { row: 7 } },
  )
  await settle()
  expect(parent.taskId).toBe('row-1')
  expect(asked).toEqual([
    { tool: 'parent', owner: 'ann', description: 'a parent', metadata: { row: 7 } },
    { tool: 'child', owner: 'ann', parentId: 'row-1' },
  ])
  expect(rows.get('row-2')).toBe('running')
  const ours = await ann.spawn(() => 1, undefined, { name: 'ours' })
  expect(ours.taskId).toMatch(/^task-/)
  await ann.run(() => 1)
  expect(count).toBe(3)
})

test('what the ledger throws, or an id that is taken or none, refuses the task', async () => {
  let answer: () => unknown = () => 'one'
  const { projection } = ledger({ prepare: () => answer() as string })
  const { ann } = setup({ projection })
  await (await ann.spawn(() => 1)).result()
  await expect(ann.spawn(() => 1)).rejects.toMatchObject({ code: 'not_allowed' })
  answer = () => {
    throw new Error('the ledger is closed')
  }
  await expect(ann.spawn(() => 1)).rejects.toThrow('the ledger is closed')
  for (const id of ['', 7, 'x'.repeat(300)]) {
    answer = () => id
    await expect(ann.spawn(() => 1)).rejects.toThrow(TypeError)
  }
  expect((await ann.list()).tasks).toHaveLength(1)
})

test('a ledger that refuses is tried again, with everything in its order; others do not wait, and health says so', async () => {
  const refused = new Set<string>()
  const { projection, told, rows } = ledger()
  const sync = (record: TaskRecord): void | Promise<void> => {
    if (refused.has(record.taskId)) throw new Error('no')
    return projection.sync(record) as void
  }
  const { ann, tasks, settle, advance, logged } = setup({ projection: { ...projection, sync } })
  const work = controllableTool('work')
  const [first, second] = [await ann.spawn(work.tool), await ann.spawn(work.tool)]
  await settle()
  refused.add(first.taskId)
  for (const call of work.calls) call.resolve(1)
  await settle()
  expect([rows.get(first.taskId), rows.get(second.taskId)]).toEqual(['running', 'completed'])
  expect(tasks.operator.health().projection).toEqual({ isDegraded: true, behind: 1 })
  await advance(5_000)
  expect(logged.filter(({ message }) => message.includes('ledger'))).toHaveLength(1)
  refused.clear()
  await advance(60_000)
  expect(tasks.operator.health().projection).toEqual({ isDegraded: false, behind: 0 })
  expect(told.filter((line) => line.startsWith(first.taskId)).map((line) => line.split(' ')[1])).toEqual([
    'queued',
    'running',
    'completed',
  ])
})

test('what a dead process has not told is told by whoever closes its tasks, and drift is found and repaired', async () => {
  const { projection, rows } = ledger()
  const { start, advance, settle } = setupNodes()
  const [a, b] = [await start({ projection }), await start({ projection })]
  const lost = await a.ann.spawn(() => new Promise(() => undefined))
  const done = await b.ann.spawn(() => 1)
  await settle()
  expect(rows.get(lost.taskId)).toBe('running')
  a.kill()
  await advance(3 * LEASE_MS)
  expect(rows.get(lost.taskId)).toBe('failed')
  rows.set(done.taskId, 'running')
  rows.delete(lost.taskId)
  expect(await b.tasks.operator.reconcile()).toEqual({ checked: 2, repaired: 2, failed: 0 })
  expect([rows.get(done.taskId), rows.get(lost.taskId)]).toEqual(['completed', 'failed'])
  expect(await b.tasks.operator.reconcile()).toEqual({ checked: 2, repaired: 0, failed: 0 })
})

test('without `statusOf` every record is synced; what is refused is counted', async () => {
  const { projection, rows } = ledger()
  let mayRefuse = false
  const { ann, tasks } = setup({
    projection: {
      sync(record) {
        if (mayRefuse && record.tool === 'bad') throw new Error('no')
        return projection.sync(record)
      },
    },
  })
  for (const name of ['good', 'bad']) await (await ann.spawn({ name, run: () => 1 }, undefined)).result()
  rows.clear()
  mayRefuse = true
  expect(await tasks.operator.reconcile()).toEqual({ checked: 2, repaired: 1, failed: 1 })
  expect(rows.size).toBe(1)
})

test('a shutdown waits for the ledger, and not for ever', async () => {
  const { projection, rows } = ledger()
  let finish = (): void => undefined
  const { ann, tasks, settle, advance } = setup({
    projection: {
      async sync(record) {
        if (record.status === 'completed') await new Promise<void>((resolve) => void (finish = resolve))
        await projection.sync(record)
      },
    },
  })
  const task = await ann.spawn(() => 1)
  await settle()
  const closing = tasks.shutdown({ graceMs: 1 })
  await advance(100)
  finish()
  await advance(60_000)
  await closing
  expect(rows.get(task.taskId)).toBe('completed')
})

test('a projection that is none is a TypeError, and without one there is nothing to reconcile', async () => {
  for (const projection of [{}, { sync: 1 }, { sync: () => undefined, prepare: 1 }, 'ledger', null]) {
    expect(() => setup({ projection: projection as never })).toThrow(TypeError)
  }
  const { tasks } = setup()
  await expect(tasks.operator.reconcile()).rejects.toMatchObject({ code: 'not_allowed' })
  expect(tasks.operator.health()).not.toHaveProperty('projection')
})
