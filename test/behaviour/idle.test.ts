import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

function setupWork(options: Parameters<typeof setup>[0] = {}) {
  const harness = setup(options)
  const work = controllableTool<undefined, string>('work')
  const start = async (): Promise<string> => {
    const { taskId } = await harness.ann.spawn(work.tool, undefined)
    await harness.settle()
    return taskId
  }
  const end = async (taskId: string): Promise<void> => {
    work.calls.find(({ ctx }) => ctx.taskId === taskId)?.resolve('done')
    await harness.settle()
  }
  return { ...harness, work, start, end }
}

test('it resolves when nothing of the owner lives, whatever started meanwhile and in whatever order it ends', async () => {
  const { ann, bob, work, start, end } = setupWork()
  await ann.whenIdle()
  const ids = [await start(), await start(), await start()]
  await bob.spawn(work.tool, undefined)
  const idle = watch(ann.whenIdle())
  await end(ids[2] ?? '')
  await end(ids[0] ?? '')
  const child = await work.call(1).ctx.spawn(work.tool, undefined, { onParentEnd: 'detach' })
  const late = await start()
  await end(ids[1] ?? '')
  await end(late)
  expect(idle.state).toBe('pending')
  expect(await ann.hasRunning()).toBe(true)
  await end(child.taskId)
  expect(idle.state).toBe('resolved')
  expect(await ann.hasRunning()).toBe(false)
})

test('inline calls count', async () => {
  const { ann, settle, work } = setupWork()
  const call = watch(ann.run(work.tool, undefined))
  const idle = watch(ann.whenIdle())
  await settle()
  expect(idle.state).toBe('pending')
  work.call(0).resolve('done')
  await settle()
  expect([call.state, idle.state]).toEqual(['resolved', 'resolved'])
})

test('a wait that is over, or whose signal aborts, leaves nothing behind', async () => {
  const { ann, advance, start, end, clock } = setupWork({ timeoutMs: Infinity })
  const taskId = await start()
  const before = clock.heldTimerCount()
  const late = watch(ann.whenIdle({ waitMs: 100 }))
  const leave = new AbortController()
  const left = watch(ann.whenIdle({ waitMs: Infinity, signal: leave.signal }))
  const stays = watch(ann.whenIdle({ waitMs: Infinity }))
  await advance(100)
  leave.abort(new Error('no more'))
  await advance(0)
  expect(late.error).toMatchObject({ code: 'wait_timeout' })
  expect(left.error).toMatchObject({ message: 'no more' })
  expect(clock.heldTimerCount()).toBe(before)
  await expect(ann.whenIdle({ signal: leave.signal })).rejects.toThrow('no more')
  await expect(ann.whenIdle({ waitMs: 0 })).rejects.toThrow(TypeError)
  await end(taskId)
  expect(stays.state).toBe('resolved')
})

test('the code of a task waits for all but itself and those above it, and lends its slot', async () => {
  const { ann, settle, work, start, end } = setupWork({ limits: { maxRunning: 2 } })
  const sibling = await start()
  const seen: string[] = []
  const turn = async (): Promise<string> => {
    seen.push('holds the turn')
    await ann.whenIdle()
    seen.push('goes on')
    return 'done'
  }
  const root = await ann.spawn(async (_: undefined, ctx) => (await ctx.spawn(turn, undefined)).result(), undefined)
  await settle()
  const another = await start()
  expect(seen).toEqual(['holds the turn'])
  expect(work.calls).toHaveLength(2)
  await end(sibling)
  expect(seen).toEqual(['holds the turn'])
  await end(another)
  expect(await root.result()).toBe('done')
  expect(seen).toEqual(['holds the turn', 'goes on'])
})

test('a task of another owner does not count as one of those above', async () => {
  const { ann, bob, work, settle, start, end } = setupWork()
  const taskId = await start()
  const idle: ReturnType<typeof watch<void>>[] = []
  await bob.spawn(async (_: undefined, ctx) => {
    await ctx.spawn(work.tool, undefined)
    idle.push(watch(ann.whenIdle()))
  }, undefined)
  await settle()
  expect(idle[0]?.state).toBe('pending')
  await end(taskId)
  // Bob's child lives on, and is none of hers.
  expect(idle[0]?.state).toBe('resolved')
})

test('waiting for one that waits for this task is a cycle', async () => {
  const { ann, settle } = setupWork()
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const task = await ann.spawn(async () => {
    await gate
    return ann.whenIdle().then(
      () => 'idle',
      (error: unknown) => (error as { code: string }).code,
    )
  }, undefined)
  const waiter = await ann.spawn(async () => task.result(), undefined)
  await settle()
  open()
  expect(await task.result()).toBe('wait_cycle')
  expect(await waiter.result()).toBe('wait_cycle')
})

test('the next of several is known inside a turn: one that awaits its tools one by one, as they end', async () => {
  const { ann, settle, work } = setupWork({ limits: { maxRunning: 1 } })
  const seen: string[] = []
  const turn = await ann.spawn(async (_: undefined, ctx) => {
    const open = new Set<string>()
    for (let n = 0; n < 3; n += 1) open.add((await ctx.spawn(work.tool, undefined)).taskId)
    while (open.size > 0) {
      const { taskId } = await ann.waitAny([...open])
      open.delete(taskId)
      seen.push(taskId)
    }
    await ann.waitAny([ctx.taskId]).catch((error: unknown) => seen.push((error as { code: string }).code))
  }, undefined)
  await settle()
  const ids: string[] = []
  for (let n = 0; n < 3; n += 1) {
    const { ctx, resolve } = work.call(n)
    ids.push(ctx.taskId)
    resolve('done')
    await settle()
  }
  await turn.wait()
  expect(seen).toEqual([...ids, 'wait_cycle'])
})
