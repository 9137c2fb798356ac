import type { TaskRecord } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'

/** Every set that was told, by ids and statuses. */
function listen(live$: { subscribe(next: (tasks: readonly TaskRecord[]) => void): { unsubscribe(): void } }): {
  readonly sets: string[][]
  unsubscribe(): void
} {
  const sets: string[][] = []
  const subscription = live$.subscribe(
    (tasks) => void sets.push(tasks.map(({ taskId, status }) => `${taskId} ${status}`).toSorted()),
  )
  return { sets, unsubscribe: () => subscription.unsubscribe() }
}

test('the live set is told whole at once, empty or not, and after each change', async () => {
  const { ann, settle } = setup()
  const early = listen(ann.live$)
  expect(early.sets).toEqual([[]])
  const work = controllableTool('work')
  const one = await ann.spawn(work.tool)
  await settle()
  const two = await ann.spawn(work.tool)
  await settle()
  expect(early.sets.at(-1)).toEqual([`${one.taskId} running`, `${two.taskId} running`])
  const late = listen(ann.live$)
  expect(late.sets).toEqual([early.sets.at(-1)])
  work.call(0).resolve(1)
  await settle()
  expect(late.sets.at(-1)).toEqual([`${two.taskId} running`])
  work.call(1).resolve(1)
  await settle()
  expect(late.sets.at(-1)).toEqual([])
  expect(early.sets.at(-1)).toEqual([])
})

test('many changes of one turn are told as one set', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool)
  await settle()
  const live = listen(ann.live$)
  for (let n = 0; n < 100; n += 1) work.call(0).ctx.emit('tick', n)
  await settle()
  expect(live.sets.length).toBeLessThan(30)
  expect(live.sets.length).toBeGreaterThan(1)
})

test('the live set of an owner has that owner’s tasks and inline calls, children too; the operator’s has all', async () => {
  const { ann, bob, tasks, settle } = setup()
  const mine = listen(ann.live$)
  const all = listen(tasks.operator.live$)
  const work = controllableTool('work')
  await bob.spawn(work.tool)
  await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(work.tool)))
  const call = ann.run(work.tool, undefined)
  await settle()
  expect(
    mine.sets
      .at(-1)
      ?.map((text) => text.split(' ')[1])
      .toSorted(),
  ).toEqual(['finishing', 'running', 'running'])
  expect(all.sets.at(-1)).toHaveLength(4)
  for (const { resolve } of work.calls) resolve(1)
  await call
  await settle()
  expect(mine.sets.at(-1)).toEqual([])
  expect(all.sets.at(-1)).toEqual([])
})

test('an unsubscribed listener of the live set is told nothing more, also not what was planned', async () => {
  const { ann, settle } = setup()
  const live = listen(ann.live$)
  const work = controllableTool('work')
  const spawning = ann.spawn(work.tool)
  live.unsubscribe()
  await spawning
  await settle()
  expect(live.sets).toEqual([[]])
})

test('the records of a live set cannot be changed', async () => {
  const { ann, settle } = setup()
  await ann.spawn(controllableTool('work').tool)
  await settle()
  let isFrozen: boolean | undefined
  ann.live$.subscribe(([task]) => void (isFrozen = Object.isFrozen(task)))
  expect(isFrozen).toBe(true)
})

test('the live set of a session is one observable, so effects that depend on it run once', () => {
  const { tasks, ann } = setup()
  expect(ann.live$).toBe(ann.live$)
  expect(tasks.operator.live$).toBe(tasks.operator.live$)
})
