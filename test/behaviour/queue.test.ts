import type { TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

test('no more tasks run than maxRunning; the next starts when one ends', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 2 } })
  const work = controllableTool<number, number>('work')
  const tasks = []
  for (const n of [1, 2, 3, 4]) tasks.push(await ann.spawn(work.tool, n))
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual([1, 2])
  expect(await tasks[2]?.record()).toMatchObject({ status: 'queued' })
  expect((await ann.stats()).byStatus).toEqual({ running: 2, queued: 2 })
  work.call(1).resolve(20)
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual([1, 2, 3])
  expect(await tasks[2]?.record()).toMatchObject({ status: 'running' })
  work.call(0).resolve(10)
  work.call(2).resolve(30)
  await settle()
  work.call(3).resolve(40)
  expect(await Promise.all(tasks.map((task) => task.result()))).toEqual([10, 20, 30, 40])
})

test('inline calls wait for a slot too; one that waits longer than inlineMs gets its ticket, queued', async () => {
  const { ann, advance, settle } = setup({ limits: { maxRunning: 1 }, inlineMs: 100 })
  const work = controllableTool<number, number>('work')
  const first = watch(ann.run(work.tool, 1, { inlineMs: 1_000 }))
  const second = watch(ann.run(work.tool, 2))
  await settle()
  expect(work.calls).toHaveLength(1)
  await advance(100)
  expect(second.value).toMatchObject({ kind: 'background', ticket: { status: 'queued' } })
  work.call(0).resolve(10)
  await settle()
  expect(first.value).toMatchObject({ kind: 'inline', value: 10 })
  expect(work.calls).toHaveLength(2)
})

test('one owner runs no more than maxRunningPerOwner, and another is not held up by that', async () => {
  const { ann, bob, settle } = setup({ limits: { maxRunningPerOwner: 1 } })
  const work = controllableTool<string>('work')
  for (const input of ['a1', 'a2', 'a3']) await ann.spawn(work.tool, input)
  for (const input of ['b1', 'b2']) await bob.spawn(work.tool, input)
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual(['a1', 'b1'])
  work.call(0).resolve(0)
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual(['a1', 'b1', 'a2'])
})

test("an owner's ten tasks do not wait for the thousand of another", async () => {
  const { ann, bob, settle } = setup({ limits: { maxRunning: 1 } })
  const order: string[] = []
  const work = async (name: string): Promise<void> => void order.push(name)
  const gate = controllableTool('gate')
  await ann.spawn(gate.tool, undefined)
  for (let n = 0; n < 1_000; n += 1) await ann.spawn(work, 'ann')
  for (let n = 0; n < 10; n += 1) await bob.spawn(work, 'bob')
  gate.call(0).resolve(0)
  await settle()
  expect(order).toHaveLength(1_010)
  expect(order.slice(0, 20).filter((name) => name === 'bob')).toHaveLength(10)
})

test('whoever floods the queue makes nobody else wait twice as long', async () => {
  const latencies = async (flood: number): Promise<number[]> => {
    const { ann, bob, clock, advance } = setup({ limits: { maxRunning: 4 } })
    const work = (_: undefined, ctx: TaskContext): Promise<void> =>
      new Promise((resolve) => void clock.startTimer(ctx.owner === 'ann' ? 90 : 100, resolve))
    for (let n = 0; n < flood; n += 1) await ann.spawn(work, undefined)
    const took: number[] = []
    for (let n = 0; n < 20; n += 1) {
      const task = await bob.spawn(work, undefined)
      await advance(400)
      const { createdAt, endedAt = Infinity } = await task.record()
      took.push(endedAt - createdAt)
    }
    return took
  }
  expect(Math.max(...(await latencies(0)))).toBe(100)
  expect(Math.max(...(await latencies(2_000)))).toBeLessThanOrEqual(200)
})

test('of one owner the highest priority starts first, and of one priority the oldest', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 1 } })
  const order: string[] = []
  const work = async (name: string): Promise<void> => void order.push(name)
  const gate = controllableTool('gate')
  await ann.spawn(gate.tool, undefined)
  await ann.spawn(work, 'low 1', { priority: -5 })
  await ann.spawn(work, 'plain 1')
  const high = await ann.spawn(work, 'high', { priority: 7 })
  await ann.spawn(work, 'plain 2')
  await ann.spawn(work, 'low 2', { priority: -5 })
  expect(await high.record()).toMatchObject({ status: 'queued', priority: 7 })
  gate.call(0).resolve(0)
  await settle()
  expect(order).toEqual(['high', 'plain 1', 'plain 2', 'low 1', 'low 2'])
})

describe('a full queue', () => {
  const full = { limits: { maxRunning: 1, maxQueued: 1 } } as const

  test('refuses with a hint when to try again, and leaves nothing behind', async () => {
    const { ann, settle } = setup(full)
    const work = controllableTool<number>('work')
    await ann.spawn(work.tool, 1)
    await ann.spawn(work.tool, 2)
    const refusal = { code: 'queue_full', retryable: true, retryAfterMs: 1_000 }
    await expect(ann.spawn(work.tool, 3)).rejects.toMatchObject(refusal)
    await expect(ann.run(work.tool, 4)).rejects.toMatchObject(refusal)
    expect((await ann.stats()).live).toBe(2)
    work.call(0).resolve(0)
    await settle()
    await ann.spawn(work.tool, 5)
    work.call(1).resolve(0)
    await settle()
    expect(work.calls.map(({ input }) => input)).toEqual([1, 2, 5])
  })

  test("lets a call run at once and be waited for with whenQueueFull: 'inline', beyond the limit", async () => {
    const { ann, advance, settle } = setup({ ...full, whenQueueFull: 'inline', inlineMs: 10 })
    const work = controllableTool<number, number>('work')
    await ann.spawn(work.tool, 1)
    await ann.spawn(work.tool, 2)
    const third = watch(ann.run(work.tool, 3))
    await expect(ann.spawn(work.tool, 4)).rejects.toMatchObject({ code: 'queue_full' })
    await advance(1_000)
    expect(work.calls.map(({ input }) => input)).toEqual([1, 3])
    expect(third.state).toBe('pending')
    // The slot that is free now is none: two run where one may.
    work.call(0).resolve(0)
    await settle()
    expect(work.calls).toHaveLength(2)
    work.call(1).resolve(33)
    await settle()
    expect(third.value).toMatchObject({ kind: 'inline', value: 33 })
    expect(work.calls.map(({ input }) => input)).toEqual([1, 3, 2])
  })
})

test('what waits longer than queueMs fails with queue_timeout, and its code is never called', async () => {
  const { ann, advance, settle } = setup({ limits: { maxRunning: 1 }, queueMs: 500, inlineMs: 10_000 })
  const work = controllableTool<number>('work')
  await ann.spawn(work.tool, 1)
  const inline = watch(ann.run(work.tool, 2))
  const task = await ann.spawn(work.tool, 3, { queueMs: 900 })
  const { createdAt, dueAt } = await task.record()
  expect(dueAt).toBe(createdAt + 900)
  await advance(499)
  expect(inline.state).toBe('pending')
  await advance(1)
  expect(inline.error).toMatchObject({ code: 'task_failed', failure: { code: 'queue_timeout' } })
  await advance(400)
  expect(await task.record()).toMatchObject({ status: 'failed', failure: { code: 'queue_timeout' } })
  work.call(0).resolve(0)
  await settle()
  expect(work.calls).toHaveLength(1)
  expect((await ann.stats()).live).toBe(0)
})

test('the hard deadline counts from the start of running, not from the call', async () => {
  const { ann, advance, settle } = setup({ limits: { maxRunning: 1 } })
  const work = controllableTool<number, number>('work')
  await ann.spawn(work.tool, 1)
  const task = await ann.spawn(work.tool, 2, { timeoutMs: 1_000 })
  await advance(5_000)
  expect(await task.record()).toMatchObject({ status: 'queued' })
  work.call(0).resolve(0)
  await settle()
  await advance(999)
  expect(await task.record()).toMatchObject({ status: 'running' })
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'stopping', cause: { reason: 'timeout' } })
})

test('a queued task is cancelled at once, never starts, and makes room in the queue', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 1, maxQueued: 1 } })
  const work = controllableTool<number>('work')
  await ann.spawn(work.tool, 1)
  const queued = await ann.spawn(work.tool, 2)
  expect(await queued.cancel()).toEqual({ count: 1, tasks: [{ taskId: queued.taskId, status: 'cancelled' }] })
  await ann.spawn(work.tool, 3)
  work.call(0).resolve(0)
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual([1, 3])
})

test('a shutdown lets the queue drain for its grace and cancels the rest of it', async () => {
  const { tasks, ann, advance, settle } = setup({ limits: { maxRunning: 1 } })
  const work = controllableTool<number>('work', { honoursSignal: true })
  const [first, second, third] = await Promise.all([1, 2, 3].map((n) => ann.spawn(work.tool, n)))
  const report = tasks.shutdown({ graceMs: 1_000 })
  work.call(0).resolve(0)
  await settle()
  expect(work.calls).toHaveLength(2)
  await advance(1_000)
  expect(await report).toMatchObject({ completed: 1, cancelled: 2, abandoned: 0 })
  expect(work.calls).toHaveLength(2)
  expect([await first?.record(), await second?.record(), await third?.record()]).toMatchObject([
    { status: 'completed' },
    { status: 'cancelled', cause: { reason: 'shutdown' } },
    { status: 'cancelled', cause: { reason: 'shutdown' } },
  ])
})

describe.each(['ambient', 'explicit'] as const)('with one slot and %s lineage, a tree ends', (lineage) => {
  const limited = { limits: { maxRunning: 1 }, lineage } as const
  const leaf = async (n: number): Promise<number> => n

  test('when parents run their children and wait for them', async () => {
    const { ann, settle } = setup(limited)
    const parent = async (depth: number, ctx: TaskContext): Promise<number> => {
      const outcome = await ctx.run(depth === 0 ? leaf : parent, depth === 0 ? 1 : depth - 1)
      return outcome.kind === 'inline' ? outcome.value + 1 : -1
    }
    const task = watch(ann.run(parent, 5))
    await settle()
    expect(task.value).toMatchObject({ value: 7 })
  })

  test('when parents spawn their children and await their results', async () => {
    const { ann, settle } = setup(limited)
    const parent = async (depth: number, ctx: TaskContext): Promise<number> => {
      if (depth === 0) return 1
      const children = await Promise.all([ctx.spawn(parent, depth - 1), ctx.spawn(parent, depth - 1)])
      const values = await Promise.all(children.map((child) => child.result()))
      return values.reduce((sum, value) => sum + value, 0)
    }
    const task = watch(ann.run(parent, 5))
    await settle()
    expect(task.value).toMatchObject({ value: 32 })
  })

  test('when parents leave their children to end after them', async () => {
    const { ann, settle } = setup(limited)
    let leaves = 0
    const parent = async (depth: number, ctx: TaskContext): Promise<void> => {
      if (depth === 0) leaves += 1
      else for (let n = 0; n < 3; n += 1) await ctx.spawn(parent, depth - 1)
    }
    const task = await ann.spawn(parent, 4)
    await settle()
    expect(leaves).toBe(81)
    expect(await task.record()).toMatchObject({ status: 'completed' })
  })
})

test('a task that waits lends its slot, takes it back at once, and holds new starts until the number is right', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 1 } })
  const child = controllableTool('child')
  const other = controllableTool<number>('other')
  const goOn = controllableTool('go-on')
  const parent = async (_: undefined, ctx: TaskContext): Promise<void> => {
    await (await ctx.spawn(child.tool, undefined)).wait()
    await goOn.tool.run(undefined, ctx)
  }
  await ann.spawn(parent, undefined)
  await settle()
  await ann.spawn(other.tool, 1)
  await ann.spawn(other.tool, 2)
  await settle()
  expect(other.calls).toHaveLength(0)
  child.call(0).resolve(0)
  await settle()
  // The parent runs again. Whichever of the others got the slot of the child runs as well; no further one starts.
  expect(goOn.calls).toHaveLength(1)
  expect(other.calls).toHaveLength(1)
  other.call(0).resolve(0)
  await settle()
  expect(other.calls).toHaveLength(1)
  goOn.call(0).resolve(0)
  await settle()
  expect(other.calls).toHaveLength(2)
})

test('a task that waits for two things at once has lent its slot until it waits for none of them', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 1 } })
  const child = controllableTool<number>('child')
  const other = controllableTool('other')
  const goOn = controllableTool('go-on')
  const parent = async (_: undefined, ctx: TaskContext): Promise<void> => {
    await Promise.all([ctx.run(child.tool, 1), ctx.run(child.tool, 2)])
    await goOn.tool.run(undefined, ctx)
  }
  await ann.spawn(parent, undefined)
  await settle()
  await ann.spawn(other.tool, undefined)
  child.call(0).resolve(0)
  await settle()
  expect(child.calls).toHaveLength(2)
  expect(other.calls).toHaveLength(0)
  child.call(1).resolve(0)
  await settle()
  expect([goOn.calls.length, other.calls.length]).toEqual([1, 1])
})

test('a task that waits for an answer lends its slot, and comes back with it', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 1 } })
  const other = controllableTool('other')
  const goOn = controllableTool('go-on')
  const asking = async (_: undefined, ctx: TaskContext): Promise<void> => {
    await ctx.ask('go', 'May I?')
    await goOn.tool.run(undefined, ctx)
  }
  const task = await ann.spawn(asking, undefined)
  await settle()
  await ann.spawn(other.tool, undefined)
  await ann.spawn(other.tool, undefined)
  await settle()
  expect(other.calls).toHaveLength(1)
  await task.answer('go', true)
  other.call(0).resolve(0)
  await settle()
  expect([goOn.calls.length, other.calls.length]).toEqual([1, 1])
  goOn.call(0).resolve(0)
  await settle()
  expect(other.calls).toHaveLength(2)
})

test('a supervisor without limits gives no task a place in a queue', async () => {
  const { tasks, ann, settle } = setup()
  const work = controllableTool<number>('work')
  for (let n = 0; n < 100; n += 1) await ann.spawn(work.tool, n)
  await settle()
  expect(work.calls).toHaveLength(100)
  expect((await tasks.stats()).byStatus).not.toHaveProperty('queued')
})

test.each([
  ['limits.maxRunning', { limits: { maxRunning: 0 } }],
  ['limits.maxRunningPerOwner', { limits: { maxRunningPerOwner: 1.5 } }],
  ['limits.maxQueued', { limits: { maxQueued: -1 } }],
  ['queueMs', { queueMs: 0 }],
  ['whenQueueFull', { whenQueueFull: 'drop' as never }],
])('a bad %s is a TypeError that names it', (name, options) => {
  expect(() => setup(options)).toThrow(new RegExp(`^${name.replace('.', '\\.')} must be`))
})

test.each([1.5, 101, -101, '1', Number.NaN])(
  'a priority of %o is a TypeError, and nothing starts',
  async (priority) => {
    const { ann } = setup()
    await expect(ann.spawn(async () => 1, undefined, { priority: priority as number })).rejects.toThrow(
      /^priority must be/,
    )
    expect((await ann.stats()).live).toBe(0)
  },
)
