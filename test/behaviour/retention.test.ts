import { memoryStore, type TaskStore } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup, type Harness } from '../support/setup.ts'
import { placesOf } from '../support/stream-views.ts'

/** The ids that ann's list has. */
async function listed({ ann }: Harness): Promise<string[]> {
  return (await ann.list({ limit: 1_000 })).tasks.map(({ taskId }) => taskId)
}

test('finished tasks beyond the limit are dropped, the oldest end first, and counted', async () => {
  const harness = setup({ retention: { maxFinished: 2 } })
  const { ann, tasks, settle, prune } = harness
  const work = controllableTool<string>('work')
  for (const name of ['a', 'b', 'c', 'd']) await ann.spawn(work.tool, name)
  for (const name of ['c', 'a', 'd', 'b']) {
    work.calls.find(({ input }) => input === name)?.resolve(1)
    await settle()
  }
  await prune()
  expect(await listed(harness)).toEqual(['task-2', 'task-4'])
  expect((await tasks.operator.stats()).counters.evictedTasks).toBe(2)
  expect(await ann.get('task-3')).toBeUndefined()
  await expect(ann.result('task-3')).rejects.toMatchObject({ code: 'task_not_found' })
  await expect(ann.cancel('task-3')).rejects.toMatchObject({ code: 'task_not_found' })
  expect(await collect(ann.events({ taskId: 'task-3' })).ended).toMatchObject({ code: 'task_not_found' })
  expect(await ann.result('task-4')).toBe(1)
})

test('finished tasks are dropped when they get too old, without any other task ending', async () => {
  const harness = setup({ retention: { finishedMs: 1_000 } })
  const { ann, tasks, advance, settle } = harness
  await (await ann.spawn(() => 1)).wait()
  await advance(600)
  await (await ann.spawn(() => 2)).wait()
  await advance(399)
  expect(await listed(harness)).toEqual(['task-1', 'task-2'])
  await advance(1)
  await settle()
  expect(await listed(harness)).toEqual(['task-2'])
  await advance(600)
  await settle()
  expect(await listed(harness)).toEqual([])
  expect((await tasks.operator.stats()).counters.evictedTasks).toBe(2)
})

test('finished tasks go when their results are too large together, the oldest end first', async () => {
  const harness = setup({ retention: { maxFinishedBytes: 1_000 } })
  const { ann, tasks, prune } = harness
  for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => 'x'.repeat(398))).wait()
  await prune()
  expect(await listed(harness)).toEqual(['task-2', 'task-3'])
  await (await ann.spawn(() => 'x'.repeat(998))).wait()
  await prune()
  expect(await listed(harness)).toEqual(['task-4'])
  await (await ann.spawn(() => 'y')).wait()
  await prune()
  expect(await listed(harness)).toEqual(['task-5'])
  expect((await tasks.operator.stats()).counters.evictedTasks).toBe(4)
})

test('a store that answers late is asked after the first end, then after 100 ms or a twentieth of what may be kept', async () => {
  const inner = memoryStore()
  const asked: number[] = []
  const store: TaskStore = {
    ...inner,
    async prune(limits) {
      asked.push((await inner.prune(limits)).evicted)
      return { evicted: asked.at(-1) ?? 0 }
    },
  }
  const { ann, settle, advance } = setup({ store, retention: { maxFinished: 100 } })
  const end = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      await (await ann.spawn(() => n)).wait()
      await settle()
    }
  }
  await end(1)
  expect(asked).toEqual([0])
  await end(4)
  await advance(99)
  expect(asked).toEqual([0])
  await advance(1)
  expect(asked).toEqual([0, 0])
  await end(5)
  expect(asked).toEqual([0, 0, 0])
  await end(95)
  expect(asked.slice(3)).toEqual([...Array.from({ length: 18 }, () => 0), 5])
  await advance(1_000)
  expect(asked).toHaveLength(22)
})

test('many finished tasks that get too old at once go in batches, a batch a turn', async () => {
  const inner = memoryStore()
  const batches: number[] = []
  const prune: TaskStore['prune'] = async (limits) => {
    const reply = await inner.prune(limits)
    if (reply.evicted > 0) batches.push(reply.evicted)
    return reply
  }
  const retention = { maxFinished: Infinity, finishedMs: 1_000 }
  const { ann, advance, settle } = setup({ store: { ...inner, prune }, retention })
  for (let n = 0; n < 25; n += 1) await Promise.all(Array.from({ length: 100 }, () => ann.spawn(() => n)))
  await settle()
  await advance(1_000)
  await settle()
  expect(batches).toEqual([1_000, 1_000, 500])
})

test('a prune that failed is tried again, although no other task ends', async () => {
  const inner = memoryStore()
  let failuresLeft = 3
  const prune: TaskStore['prune'] = (limits) => {
    if (failuresLeft === 0) return inner.prune(limits)
    failuresLeft -= 1
    throw new Error('down')
  }
  const harness = setup({ store: { ...inner, prune }, retention: { finishedMs: 1_000 } })
  await (await harness.ann.spawn(() => 1)).wait()
  await harness.advance(14_999)
  expect(await listed(harness)).toEqual(['task-1'])
  expect(harness.clock.heldTimerCount()).toBe(0)
  await harness.advance(1)
  await harness.settle()
  expect(await listed(harness)).toEqual([])
})

test('a live task is never dropped, however old it is and however many have ended', async () => {
  const harness = setup({ retention: { maxFinished: 1, finishedMs: 1_000 } })
  const { ann, advance, settle } = harness
  const work = controllableTool('work')
  const old = await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
  for (let n = 0; n < 5; n += 1) await (await ann.spawn(() => n)).wait()
  await advance(100_000)
  expect(await listed(harness)).toEqual([old.taskId])
  work.call(0).resolve('still here')
  expect(await old.result()).toBe('still here')
  await settle()
})

test('a feed over dropped tasks is one mark and then what is kept, and it goes on live', async () => {
  const { ann, advance, settle } = setup({ retention: { finishedMs: 1_000 } })
  for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => n)).wait()
  await advance(2_000)
  const late = collect(ann.events())
  await settle()
  expect(placesOf(late.items)).toEqual(['gap 1-9'])
  await (await ann.spawn(() => 1)).wait()
  await settle()
  expect(placesOf(late.items)).toEqual(['gap 1-9', 'task-4:1', 'task-4:2', 'task-4:3'])
  expect(verifyLog(late.items)).toEqual([])
})

test('whoever waits for a task gets its result although retention drops it at once', async () => {
  const { ann, settle } = setup({ retention: { maxFinished: 1 } })
  const work = controllableTool<number, number>('work')
  const handles = await Promise.all([1, 2, 3, 4].map((n) => ann.spawn(work.tool, n)))
  const results = handles.map((handle) => handle.result())
  await settle()
  for (const call of work.calls) call.resolve(call.input)
  expect(await Promise.all(results)).toEqual([1, 2, 3, 4])
})

test('retention does not hold the process alive, and a clock that jumps back does not make it spin', async () => {
  const { ann, clock, advance, settle } = setup({ retention: { finishedMs: 1_000 } })
  await (await ann.spawn(() => 1)).wait()
  await settle()
  expect(clock.heldTimerCount()).toBe(0)
  clock.jump(-3_600_000)
  await advance(2_000)
  expect(clock.heldTimerCount()).toBe(0)
  expect((await ann.list()).tasks).toHaveLength(1)
  clock.jump(3_600_000)
  await advance(3_700_000)
  expect((await ann.list()).tasks).toEqual([])
})

test('tasks without an end of their keeping stay until there are too many', async () => {
  const harness = setup({ retention: { finishedMs: Infinity, maxFinished: 3 } })
  const { ann, advance } = harness
  for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => n)).wait()
  await advance(10 * 86_400_000)
  expect(await listed(harness)).toHaveLength(3)
})
