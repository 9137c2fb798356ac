import { isTaskEvent, type StreamItem, type TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'
import { eventsOf, typesOf } from '../support/stream-views.ts'

async function logOf(task: { events(): AsyncIterable<StreamItem> }): Promise<StreamItem[]> {
  const log = collect(task.events())
  await log.ended
  return log.items
}

test('progress is kept at most ten times a second, and the last report always', async () => {
  const { ann, tasks, advance, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const { ctx } = work.call(0)
  for (let ms = 0; ms < 1_000; ms += 10) {
    ctx.progress({ done: ms, total: 1_000 })
    await advance(10)
  }
  ctx.progress({ done: 1_000, total: 1_000, note: 'last' })
  await advance(1_000)
  expect(await task.record()).toMatchObject({ progress: { fraction: 1, done: 1_000, total: 1_000, note: 'last' } })
  work.call(0).resolve(1)
  await settle()
  const progress = (await logOf(task)).filter((item) => item.type === 'task.progress')
  expect(progress.length).toBeGreaterThanOrEqual(9)
  expect(progress.length).toBeLessThanOrEqual(12)
  expect(progress.at(-1)).toMatchObject({ done: 1_000, note: 'last' })
  const times = progress.map((event) => event.at)
  for (const [index, at] of times.entries())
    if (index > 0) expect(at - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(100)
  const { counters } = await tasks.operator.stats()
  expect(counters.coalescedProgress + progress.length).toBe(101)
})

test('the last report is kept when the task ends right after it, however it ends', async () => {
  const { ann, settle } = setup()
  const ends: ((ctx: TaskContext) => unknown)[] = [
    () => 'value',
    () => {
      throw new Error('broken')
    },
    async (ctx) => {
      void ann.cancel(ctx.taskId)
      await Promise.resolve()
    },
  ]
  for (const end of ends) {
    const task = await ann.spawn((_: undefined, ctx) => {
      ctx.progress(0.1)
      ctx.progress(0.2)
      ctx.progress(0.9)
      return end(ctx)
    })
    await settle()
    const log = await logOf(task)
    expect(log.filter((item) => item.type === 'task.progress')).toMatchObject([{ fraction: 0.1 }, { fraction: 0.9 }])
    expect(verifyLog(log)).toEqual([])
    expect(await task.record()).toMatchObject({ progress: { fraction: 0.9 } })
  }
})

test('progress that is no fraction and no numbers is refused where it is reported, and the task goes on', async () => {
  const { ann, settle } = setup()
  const bad: unknown[] = [
    -0.1,
    1.1,
    Number.NaN,
    Infinity,
    '0.5',
    null,
    { done: -1 },
    { total: Number.NaN },
    { note: 5 },
  ]
  const task = await ann.spawn((_: undefined, ctx) => {
    let refused = 0
    for (const report of bad) {
      try {
        ctx.progress(report as number)
      } catch (error) {
        if (error instanceof TypeError) refused += 1
      }
    }
    return refused
  })
  expect(await task.result()).toBe(bad.length)
  await settle()
  expect(typesOf(await logOf(task))).toEqual(['queued', 'started', 'completed'])
})

test('a report after the end is counted and goes nowhere', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const { ctx } = work.call(0)
  work.call(0).resolve(1)
  await task.wait()
  await settle()
  ctx.progress(1)
  ctx.emit('ghost')
  ctx.output('ghost')
  ctx.usage({ tokens: 1 })
  await settle()
  expect(typesOf(await logOf(task))).toEqual(['queued', 'started', 'completed'])
  expect((await tasks.operator.stats()).counters.lateReports).toBe(4)
  expect((await task.record()).usage).toBeUndefined()
})

test('usage adds up over all reports and stands in the record', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.usage({ tokens: 10, cost: 0.5 })
  work.call(0).ctx.usage({ tokens: 5 })
  work.call(0).ctx.usage({ cost: 0.25 })
  expect(() => work.call(0).ctx.usage({ tokens: -1 })).toThrow(TypeError)
  expect(() => work.call(0).ctx.usage({ cost: Number.NaN })).toThrow(TypeError)
  await settle()
  expect(await task.record()).toMatchObject({ usage: { tokens: 15, cost: 0.75 } })
  work.call(0).resolve(1)
  await settle()
  const sums = (await logOf(task)).filter((item) => item.type === 'task.usage')
  expect(sums).toMatchObject([
    { tokens: 10, cost: 0.5 },
    { tokens: 15, cost: 0.5 },
    { tokens: 15, cost: 0.75 },
  ])
})

test('of output a bounded tail is kept, and what went before it is marked as gone', async () => {
  const { ann, tasks, settle } = setup({ retention: { maxEventChars: 10 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  for (const chunk of ['aaaa', 'bbbb', '', 'cccc', 'dd']) work.call(0).ctx.output(chunk)
  work.call(0).resolve(1)
  await settle()
  const log = await logOf(task)
  expect(log.flatMap((item) => (item.type === 'task.output' ? [item.chunk] : []))).toEqual(['bbbb', 'cccc', 'dd'])
  expect(log[2]).toMatchObject({ type: 'stream.gap', from: 3, to: 3 })
  expect((await tasks.operator.stats()).counters.trimmedEvents).toBe(1)
  expect(verifyLog(log)).toEqual([])
})

test('a piece of output that is longer than what is kept loses its beginning, not all of it', async () => {
  const { ann, settle } = setup({ retention: { maxEventChars: 10 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.output('0123456789abcdefghijklmno')
  work.call(0).resolve(1)
  await settle()
  const kept = (await logOf(task)).flatMap((item) => (item.type === 'task.output' ? [item.chunk] : [])).join('')
  expect(kept).not.toBe('')
  expect(kept.length).toBeLessThanOrEqual(10)
  expect('0123456789abcdefghijklmno'.endsWith(kept)).toBe(true)
})

test('a live consumer gets output whole and in order, in pieces that are never too large', async () => {
  const { ann, settle } = setup({ retention: { maxEventChars: 1_000_000 } })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const log = collect(task.events())
  await settle()
  const text = Array.from({ length: 30_000 }, (_, index) => `line ${index}\n`).join('')
  work.call(0).ctx.output(text)
  work.call(0).resolve(1)
  await log.ended
  const chunks = log.items.flatMap((item) => (item.type === 'task.output' ? [item.chunk] : []))
  expect(chunks.join('')).toBe(text)
  expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(65_536)
})

test('an event whose payload is too large or cannot be kept is refused where it is made, and the stream goes on', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  const log = collect(task.events())
  await settle()
  const { ctx } = work.call(0)
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const unkeepable: unknown[] = [
    'x'.repeat(10 * 1024 * 1024),
    cycle,
    1n,
    () => 1,
    Symbol('s'),
    new Map(),
    { deep: [new Set()] },
  ]
  for (const payload of unkeepable) {
    expect(() => ctx.emit('too much', payload)).toThrow(expect.objectContaining({ code: 'input_invalid' }) as Error)
  }
  for (const name of ['', 'x'.repeat(129), 5, undefined]) expect(() => ctx.emit(name as string)).toThrow(TypeError)
  ctx.emit('n'.repeat(128), 'x'.repeat(64 * 1024 - 2))
  ctx.emit('without a payload')
  work.call(0).resolve(1)
  expect(await log.ended).toBeUndefined()
  expect(typesOf(log.items)).toEqual(['queued', 'started', 'n'.repeat(128), 'without a payload', 'completed'])
  expect(await task.record()).toMatchObject({ status: 'completed' })
})

test('a loop of tiny events stays bounded, is counted, and keeps its end', async () => {
  const { ann, tasks, store, settle } = setup()
  const count = 200_000
  const task = await ann.spawn(async (_: undefined, ctx) => {
    for (let n = 0; n < count; n += 1) {
      ctx.emit('tick', n)
      if (n % 2_000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  })
  const live = collect(task.events())
  await task.wait()
  await settle()
  expect(await live.ended).toSatisfy(
    (error: unknown) => error === undefined || (error as { code: string }).code === 'stream_lagged',
  )
  const log = await logOf(task)
  const kept = log.filter((item) => item.type === 'task.custom')
  expect(kept).toHaveLength(200)
  expect(kept.at(-1)).toMatchObject({ payload: count - 1 })
  expect(typesOf(log).filter((type) => type !== 'tick')).toEqual(['queued', 'started', 'stream.gap', 'completed'])
  expect(log.find((item) => item.type === 'stream.gap')).toMatchObject({ from: 3, to: count - 200 + 2 })
  const { counters } = await tasks.operator.stats()
  expect(counters.trimmedEvents).toBe(count - 200)
  expect((await store.readFeed({ owner: 'ann', after: 0, limit: 1_000 })).entries).toHaveLength(203)
  expect(verifyLog(log)).toEqual([])
})

test('an inline call that talks a lot keeps as little as a task, promoted or not', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool('work')
  const call = ann.run(work.tool, undefined)
  await settle()
  for (let n = 0; n < 10_000; n += 1) work.call(0).ctx.emit('tick', n)
  expect((await tasks.operator.stats()).counters.trimmedEvents).toBe(9_800)
  await ann.background('task-1')
  expect(await call).toMatchObject({ kind: 'background' })
  work.call(0).resolve(1)
  await settle()
  const log = await logOf(ann.handle('task-1'))
  expect(log.filter((item) => item.type === 'task.custom')).toHaveLength(200)
  expect(eventsOf(log).at(-1)).toMatchObject({ type: 'task.completed', seq: 10_004 })
  expect(log.filter((item) => !isTaskEvent(item))).toMatchObject([{ type: 'stream.gap', from: 3, to: 9_802 }])
})
