import type { TaskContext } from 'outlive'
import { defineTool } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

const inputsOf = (calls: readonly { readonly input: unknown }[]): unknown[] => calls.map(({ input }) => input)

describe('a busy key', () => {
  test('refuses a second task, names the first, and is free again when that has ended', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<number>('work', { policy: { concurrencyKey: 'room' } })
    const first = await ann.spawn(work.tool, 1)
    expect(await first.record()).toMatchObject({ concurrencyKey: 'room' })
    const refusal = { code: 'key_busy', retryable: true, taskId: first.taskId }
    await expect(ann.spawn(work.tool, 2)).rejects.toMatchObject(refusal)
    await expect(ann.run(work.tool, 3)).rejects.toMatchObject(refusal)
    work.call(0).resolve(0)
    await settle()
    await ann.spawn(work.tool, 4)
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 4])
  })

  test("is another owner's key no more than a name is", async () => {
    const { ann, bob, settle } = setup()
    const work = controllableTool<number>('work', { policy: { concurrencyKey: 'room' } })
    await ann.spawn(work.tool, 1)
    await bob.spawn(work.tool, 2)
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 2])
  })

  test('queue: tasks run one after the other, in the order of the calls', async () => {
    const { ann, settle } = setup()
    const policy = { concurrencyKey: 'room', onBusy: 'queue' } as const
    const work = controllableTool<number>('work', { policy, honoursSignal: true })
    const tasks = []
    for (const n of [1, 2, 3]) tasks.push(await ann.spawn(work.tool, n))
    await settle()
    expect(inputsOf(work.calls)).toEqual([1])
    expect(await tasks[1]?.record()).toMatchObject({ status: 'queued', concurrencyKey: 'room' })
    work.call(0).reject(new Error('a failure frees it too'))
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 2])
    await tasks[1]?.cancel()
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 2, 3])
  })

  test('queue: a task that leaves the line by its cancel is passed over', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<number>('work', { policy: { concurrencyKey: 'room', onBusy: 'queue' } })
    await ann.spawn(work.tool, 1)
    const second = await ann.spawn(work.tool, 2)
    await ann.spawn(work.tool, 3)
    expect((await second.cancel()).tasks).toMatchObject([{ status: 'cancelled' }])
    work.call(0).resolve(0)
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 3])
  })

  test('replace: what came before is cancelled, and the new one starts when the old has ended', async () => {
    const { ann, settle } = setup({ graceMs: 1_000 })
    const work = controllableTool<number>('work', { policy: { concurrencyKey: 'room', onBusy: 'replace' } })
    const first = await ann.spawn(work.tool, 1)
    await settle()
    const second = await ann.spawn(work.tool, 2)
    const third = await ann.spawn(work.tool, 3)
    await settle()
    expect(await first.record()).toMatchObject({
      status: 'stopping',
      cause: { reason: 'superseded', actor: second.taskId },
    })
    expect(await second.record()).toMatchObject({
      status: 'cancelled',
      cause: { reason: 'superseded', actor: third.taskId },
    })
    expect(inputsOf(work.calls)).toEqual([1])
    work.call(0).reject(new Error('stopped'))
    await settle()
    expect(inputsOf(work.calls)).toEqual([1, 3])
    expect(await first.record()).toMatchObject({ status: 'cancelled' })
  })

  test('keepLatest: the one that runs goes on, and of those that wait only the last is left', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<number, number>('work', { policy: { concurrencyKey: 'room', onBusy: 'keepLatest' } })
    const first = await ann.spawn(work.tool, 1)
    const second = await ann.spawn(work.tool, 2)
    const third = await ann.spawn(work.tool, 3)
    await settle()
    expect([await first.record(), await second.record(), await third.record()]).toMatchObject([
      { status: 'running' },
      { status: 'cancelled', cause: { reason: 'superseded', actor: third.taskId } },
      { status: 'queued' },
    ])
    work.call(0).resolve(10)
    await settle()
    expect(await first.result()).toBe(10)
    expect(inputsOf(work.calls)).toEqual([1, 3])
  })
})

test('the key can follow from the input or from the conversation, and a call can name its own', async () => {
  const { tasks, settle } = setup()
  const calls = controllableTool<{ readonly room?: string }>('calls')
  const byInput = defineTool<{ readonly room?: string }, unknown>({
    name: 'by-input',
    policy: { concurrencyKey: ({ room }) => room },
    run: calls.tool.run,
  })
  const byConversation = defineTool<object, unknown>({
    name: 'by-conversation',
    policy: { concurrencyKey: (_input, { conversation }) => conversation },
    run: (_input, ctx) => calls.tool.run({}, ctx),
  })
  const [one, two, none] = ['c1', 'c2', undefined].map((conversation) =>
    tasks.session({ owner: 'ann', ...(conversation === undefined ? {} : { conversation }) }),
  )
  await one?.spawn(byInput, { room: 'red' })
  await one?.spawn(byInput, { room: 'blue' })
  await expect(one?.spawn(byInput, { room: 'red' })).rejects.toMatchObject({ code: 'key_busy' })
  // Without a key there is nothing to hold.
  await one?.spawn(byInput, {})
  await one?.spawn(byInput, {})
  await one?.spawn(byConversation, {})
  await two?.spawn(byConversation, {})
  await none?.spawn(byConversation, {})
  await none?.spawn(byConversation, {})
  await expect(one?.spawn(byConversation, {})).rejects.toMatchObject({ code: 'key_busy' })
  await one?.spawn(byInput, { room: 'red' }, { concurrencyKey: 'green' })
  await expect(two?.spawn(byConversation, {}, { concurrencyKey: 'green' })).rejects.toMatchObject({ code: 'key_busy' })
  await settle()
  expect(calls.calls).toHaveLength(9)
})

describe('a key that is only known once the task runs', () => {
  test('is held from then on, refuses others, and is free after the end', async () => {
    const { ann, settle } = setup()
    const done = controllableTool('done')
    const start = async (_: undefined, ctx: TaskContext): Promise<void> => {
      await ctx.holdKey('conversation 17')
      await done.tool.run(undefined, ctx)
    }
    const first = await ann.spawn(start, undefined)
    await settle()
    const second = await ann.spawn(start, undefined)
    await settle()
    await expect(second.result()).rejects.toThrow('holds the key')
    await expect(ann.spawn(start, undefined, { concurrencyKey: 'conversation 17' })).rejects.toMatchObject({
      code: 'key_busy',
      taskId: first.taskId,
    })
    done.call(0).resolve(0)
    await settle()
    await ann.spawn(start, undefined)
    await settle()
    expect(done.calls).toHaveLength(2)
  })

  test('of many that ask for it at once one gets it; asking again is no conflict with oneself', async () => {
    const { ann, settle } = setup()
    const gate = controllableTool('gate')
    const hold = async (_: undefined, ctx: TaskContext): Promise<void> => {
      await ctx.holdKey('k')
      await ctx.holdKey('k')
      await gate.tool.run(undefined, ctx)
    }
    const calls = Array.from({ length: 20 }, () => watch(ann.run(hold)))
    await settle()
    expect(gate.calls).toHaveLength(1)
    expect(calls.filter(({ error }) => (error as { code?: string } | undefined)?.code === 'key_busy')).toHaveLength(19)
  })

  test.each(['', 'x'.repeat(257), 5])('a key of %o is a TypeError', async (key) => {
    const { ann } = setup()
    await expect(ann.run((_: undefined, ctx: TaskContext) => ctx.holdKey(key as string))).rejects.toThrow(TypeError)
  })
})

describe('a key that could never come free', () => {
  const keyed = { concurrencyKey: 'room', onBusy: 'queue' } as const

  test('a task below the holder is refused, however deep', async () => {
    const { ann, settle } = setup()
    const leaf = (): number => 1
    const middle = (_: undefined, ctx: TaskContext): Promise<unknown> => ctx.run(leaf, undefined, keyed)
    const top = watch(ann.run((_: undefined, ctx: TaskContext) => ctx.run(middle, undefined), undefined, keyed))
    await settle()
    expect(top.error).toMatchObject({ code: 'key_held_by_ancestor' })
  })

  test('a task that something awaits for which the holder waits is refused', async () => {
    const { ann, settle } = setup()
    const go = controllableTool('go')
    const other = async (_: undefined, ctx: TaskContext): Promise<void> => {
      await go.tool.run(undefined, ctx)
      await ctx.run(() => 1, undefined, keyed)
    }
    const task = await ann.spawn(other, undefined)
    const holder = await ann.spawn(() => task.result(), undefined, keyed)
    await settle()
    go.call(0).resolve(0)
    await settle()
    expect(await task.record()).toMatchObject({ status: 'failed' })
    expect(await holder.record()).toMatchObject({ status: 'failed' })
  })

  test('a holder that waits for a task behind it in the line gets wait_cycle', async () => {
    const { ann, settle } = setup()
    const go = controllableTool<undefined, string>('go')
    const holder = await ann.spawn(
      async (_: undefined, ctx: TaskContext) => ann.wait((await go.tool.run(undefined, ctx)) as string),
      undefined,
      keyed,
    )
    await settle()
    const behind = await ann.spawn(() => 1, undefined, keyed)
    go.call(0).resolve(behind.taskId)
    await settle()
    await expect(holder.result()).rejects.toThrow('wait for its own end')
    expect(await behind.result()).toBe(1)
  })
})

test('with slots, a task takes its slot only once it has its key', async () => {
  const { ann, settle } = setup({ limits: { maxRunning: 2 } })
  const work = controllableTool<string>('work')
  const keyed = { concurrencyKey: 'room', onBusy: 'queue' } as const
  await ann.spawn(work.tool, 'holder', keyed)
  await ann.spawn(work.tool, 'behind', keyed)
  await ann.spawn(work.tool, 'free')
  await settle()
  expect(inputsOf(work.calls)).toEqual(['holder', 'free'])
  work.call(0).resolve(0)
  await settle()
  expect(inputsOf(work.calls)).toEqual(['holder', 'free', 'behind'])
})

test('what waits for a key counts as queued, and fails after queueMs', async () => {
  const { ann, advance, settle } = setup({ limits: { maxQueued: 1 } })
  const work = controllableTool<number>('work')
  const keyed = { concurrencyKey: 'room', onBusy: 'queue', queueMs: 100 } as const
  await ann.spawn(work.tool, 1, keyed)
  const second = await ann.spawn(work.tool, 2, keyed)
  await expect(ann.spawn(work.tool, 3, keyed)).rejects.toMatchObject({ code: 'queue_full' })
  await advance(100)
  expect(await second.record()).toMatchObject({ status: 'failed', failure: { code: 'queue_timeout' } })
  await settle()
  expect(inputsOf(work.calls)).toEqual([1])
})

test('a key function that throws, or gives no text, fails the call and starts nothing', async () => {
  const { ann } = setup()
  const bad = (key: unknown): ReturnType<typeof defineTool<undefined, number>> =>
    defineTool({ name: 'bad', policy: { concurrencyKey: () => key as string }, run: () => 1 })
  await expect(ann.run(bad(5))).rejects.toThrow(/^concurrencyKey must be/)
  await expect(ann.run(bad(''))).rejects.toThrow(TypeError)
  expect((await ann.stats()).live).toBe(0)
})
