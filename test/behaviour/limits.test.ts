import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createBranches, codeOf } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

test('a task deeper than maxDepth is refused, and everything above goes on', async () => {
  const { ann, settle } = setup({ limits: { maxDepth: 3 } })
  const branches = createBranches()
  await ann.spawn(branches.tool, [1, 1, 1])
  await settle()
  const { ctx } = branches.only(3)
  const attempt = watch(ctx.spawn(branches.tool, []))
  await settle()
  expect(attempt.error).toMatchObject({ name: 'TaskError', code: 'depth_exceeded', retryable: false })
  expect((await ann.stats()).byStatus).toEqual({ running: 4 })
})

test('the default depth is 64', async () => {
  const { ann, settle } = setup()
  const branches = createBranches()
  const root = await ann.spawn(
    branches.tool,
    Array.from({ length: 64 }, () => 1),
  )
  await settle()
  expect(branches.byId.size).toBe(65)
  await expect(branches.only(64).ctx.spawn(branches.tool, [])).rejects.toMatchObject({ code: 'depth_exceeded' })
  expect((await root.cancel()).count).toBe(65)
})

test('a task that recurses without end is stopped by the limit of depth and fails with it', async () => {
  const { ann, settle } = setup({ limits: { maxDepth: 200 } })
  let calls = 0
  const recurse = {
    name: 'recurse',
    run: async (_: undefined, ctx: { run: typeof ann.run }): Promise<unknown> => {
      calls += 1
      return ctx.run(recurse)
    },
  }
  const call = watch(ann.run(recurse))
  await settle()
  expect(calls).toBe(201)
  expect(call.error).toMatchObject({ code: 'depth_exceeded' })
  expect((await ann.stats()).live).toBe(0)
})

test('a child beyond maxChildren is refused until a sibling has ended', async () => {
  const { ann, settle } = setup({ limits: { maxChildren: 3 } })
  const child = controllableTool<number>('child')
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  const { ctx } = parent.call(0)
  for (let index = 0; index < 3; index += 1) await ctx.spawn(child.tool, index)
  await expect(ctx.spawn(child.tool, 3)).rejects.toMatchObject({
    code: 'children_exceeded',
    retryable: true,
    retryAfterMs: 1_000,
  })
  child.call(1).resolve('done')
  await settle()
  await expect(ctx.spawn(child.tool, 4)).resolves.toBeDefined()
  expect(child.calls.map(({ input }) => input)).toEqual([0, 1, 2, 4])
})

test('roots are not counted as children of anybody', async () => {
  const { ann } = setup({ limits: { maxChildren: 1 } })
  const work = controllableTool<number>('work')
  for (let index = 0; index < 5; index += 1) await ann.spawn(work.tool, index)
  expect((await ann.stats()).byStatus).toEqual({ running: 5 })
})

test('a task beyond maxLive is refused for every owner, and admitted again after an end', async () => {
  const { ann, bob, settle } = setup({ limits: { maxLive: 2 } })
  const work = controllableTool<number>('work')
  await ann.spawn(work.tool, 0)
  const inline = watch(ann.run(work.tool, 1))
  await settle()
  for (const refused of [ann.spawn(work.tool, 2), bob.run(work.tool, 2), work.call(0).ctx.spawn(work.tool, 2)]) {
    await expect(refused).rejects.toMatchObject({
      code: 'capacity_exceeded',
      retryable: true,
      retryAfterMs: 1_000,
    })
  }
  expect(work.calls).toHaveLength(2)
  work.call(1).resolve('done')
  await settle()
  expect(inline.value).toMatchObject({ kind: 'inline', value: 'done' })
  await expect(bob.spawn(work.tool, 3)).resolves.toBeDefined()
})

test('a refused task leaves no record, no live task and its name free', async () => {
  const { ann, settle, clock } = setup({ limits: { maxLive: 1 } })
  const work = controllableTool('work')
  const first = await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
  await settle()
  const held = clock.heldTimerCount()
  await expect(ann.spawn(work.tool, undefined, { name: 'later' })).rejects.toMatchObject({ code: 'capacity_exceeded' })
  expect((await ann.list()).tasks.map(({ taskId }) => taskId)).toEqual([first.taskId])
  expect((await ann.stats()).live).toBe(1)
  expect(clock.heldTimerCount()).toBe(held)
  work.call(0).resolve(1)
  await settle()
  await expect(ann.spawn(work.tool, undefined, { name: 'later' })).resolves.toBeDefined()
})

test('a fan-out beyond the limit of live tasks is refused one by one, and what runs can be cancelled', async () => {
  const { ann, settle } = setup({ limits: { maxLive: 1_000 } })
  const leaf = controllableTool<number>('leaf', { honoursSignal: true })
  const codes = new Map<string, number>()
  const root = await ann.spawn(async (_: undefined, ctx) => {
    for (let index = 0; index < 1_500; index += 1) {
      const outcome = await ctx.spawn(leaf.tool, index).then(() => 'started', codeOf)
      codes.set(outcome, (codes.get(outcome) ?? 0) + 1)
    }
    await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  })
  await settle()
  expect(Object.fromEntries(codes)).toEqual({ started: 999, capacity_exceeded: 501 })
  expect((await root.cancel()).count).toBe(1_000)
})

test('a limit that is no positive whole number is a TypeError that names it', () => {
  for (const [name, value] of Object.entries({ maxLive: 0, maxDepth: 1.5, maxChildren: -1 })) {
    expect(() => setup({ limits: { [name]: value } })).toThrow(
      new RegExp(`limits.${name} must be a positive whole number`),
    )
  }
  expect(() => setup({ limits: { maxForks: 1 } as never })).toThrow(TypeError)
})
