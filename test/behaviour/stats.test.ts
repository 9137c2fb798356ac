import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'

test('the numbers of an owner count every kept task and live call by its status, and nobody else’s', async () => {
  const { ann, bob, tasks, settle } = setup({ graceMs: 50 })
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(() => 1)
  await ann.spawn(() => {
    throw new Error('broken')
  })
  const cancelled = await ann.spawn(work.tool)
  await cancelled.cancel()
  await ann.spawn(work.tool)
  await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(work.tool)))
  const inline = ann.run(work.tool, undefined)
  await bob.spawn(work.tool)
  await settle()
  expect(await ann.stats()).toEqual({
    byStatus: { completed: 1, failed: 1, cancelled: 1, running: 3, finishing: 1 },
    live: 4,
  })
  expect(await bob.stats()).toEqual({ byStatus: { running: 1 }, live: 1 })
  expect(await tasks.operator.stats()).toMatchObject({
    byStatus: { completed: 1, failed: 1, cancelled: 1, running: 4, finishing: 1 },
    live: 5,
  })
  for (const call of work.calls) call.resolve(1)
  await inline
  await settle()
  expect(await ann.stats()).toEqual({ byStatus: { completed: 4, failed: 1, cancelled: 1 }, live: 0 })
})

test('whether anything runs is told of inline calls too, and at every turn of their promotion', async () => {
  for (let luck = 0; luck < 20; luck += 1) {
    const { ann, bob, settle } = setup()
    for (let draw = 0; draw < luck; draw += 1) expect(await ann.hasRunning()).toBe(false)
    const work = controllableTool('work')
    const call = ann.run(work.tool, undefined)
    await settle()
    expect(await ann.hasRunning()).toBe(true)
    expect(await bob.hasRunning()).toBe(false)
    const asked: Promise<boolean>[] = []
    const promoting = ann.background('task-1')
    for (let turn = 0; turn < 12; turn += 1) {
      asked.push(ann.hasRunning())
      await new Promise((resolve) => setImmediate(resolve))
    }
    await promoting
    expect(new Set(await Promise.all(asked)), `luck ${luck}`).toEqual(new Set([true]))
    work.call(0).resolve(1)
    await call
    await settle()
    expect(await ann.hasRunning()).toBe(false)
  }
})

test('the counters begin at nothing, and a copy of them is handed out', async () => {
  const { tasks } = setup()
  const first = await tasks.operator.stats()
  expect(Object.values(first.counters).every((count) => count === 0)).toBe(true)
  expect(Object.keys(first.counters)).toEqual(
    expect.arrayContaining([
      'trimmedEvents',
      'cutConsumers',
      'lateOutcomes',
      'evictedTasks',
      'abandonedTasks',
      'subscriberErrors',
    ]),
  )
  ;(first.counters as { trimmedEvents: number }).trimmedEvents = 99
  expect((await tasks.operator.stats()).counters.trimmedEvents).toBe(0)
})

test('late outcomes and tasks that were let go are counted', async () => {
  const { ann, tasks, advance, settle } = setup({ graceMs: 100 })
  const stubborn = controllableTool('stubborn')
  const task = await ann.spawn(stubborn.tool)
  const cancelling = task.cancel()
  await advance(200)
  await cancelling
  stubborn.call(0).resolve('late')
  await settle()
  expect((await tasks.operator.stats()).counters).toMatchObject({ abandonedTasks: 1, lateOutcomes: 1 })
})
