import { currentTask, type TaskContext } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup, watch } from '../support/setup.ts'

test('a task knows its own place', async () => {
  const { tasks, settle } = setup()
  const ann = tasks.session({ owner: 'ann', conversation: 'c-9' })
  const child = controllableTool('child')
  const parent = controllableTool('parent')
  const root = await ann.spawn(parent.tool, undefined, { correlation: { runId: 'r-1' } })
  const below = await parent.call(0).ctx.spawn(child.tool, undefined)
  await settle()
  expect(parent.call(0).ctx).toMatchObject({
    taskId: root.taskId,
    owner: 'ann',
    depth: 0,
    attempt: 1,
    rootId: root.taskId,
  })
  expect(parent.call(0).ctx.parentId).toBeUndefined()
  expect(child.call(0).ctx).toMatchObject({
    taskId: below.taskId,
    owner: 'ann',
    depth: 1,
    parentId: root.taskId,
    rootId: root.taskId,
    correlation: { runId: 'r-1' },
  })
  expect(await below.record()).toMatchObject({
    conversation: 'c-9',
    parentId: root.taskId,
    correlation: { runId: 'r-1' },
  })
})

test('the signal aborts once, with the cause as its reason', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const { signal } = work.call(0).ctx
  const reasons: unknown[] = []
  signal.addEventListener('abort', () => reasons.push(signal.reason))
  const first = task.cancel({ note: 'one' })
  const second = task.cancel({ note: 'two' })
  work.call(0).resolve(1)
  await Promise.all([first, second])
  await settle()
  expect(reasons).toMatchObject([
    { name: 'TaskStoppedError', code: 'task_stopped', stopCause: { reason: 'user', note: 'one' } },
  ])
})

test('code that throws its signal away and code that throws the reason on are both cancelled', async () => {
  const { ann } = setup()
  const obedient = controllableTool('obedient', { honoursSignal: true })
  const task = await ann.spawn(obedient.tool, undefined)
  await task.cancel()
  expect(await task.record()).toMatchObject({ status: 'cancelled' })
  await expect(task.result()).rejects.toMatchObject({ code: 'task_cancelled', stopCause: { reason: 'user' } })
})

test('a listener on the signal that throws harms no other task', async () => {
  const { ann } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool, undefined)
  const heard: unknown[] = []
  work.call(0).ctx.signal.addEventListener('abort', () => heard.push('first'))
  expect(await task.cancel()).toMatchObject({ count: 1 })
  expect(heard).toEqual(['first'])
})

test('progress is a fraction or numbers with a note, and nothing else', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  for (const wrong of [
    -0.1,
    1.1,
    NaN,
    Infinity,
    '0.5',
    null,
    undefined,
    true,
    { done: -1 },
    { total: NaN },
    { note: 5 },
    { dnoe: 1 },
  ]) {
    expect(() => ctx.progress(wrong as number)).toThrow(TypeError)
  }
  ctx.progress({ done: 3, total: 0 })
  await settle()
  expect(await ann.get('task-1')).toMatchObject({ progress: { done: 3, total: 0 } })
})

test('progress is paced: the first at once, the last always, what is between is counted', async () => {
  const { ann, tasks, advance, settle } = setup({ progressMs: 100 })
  const work = controllableTool<undefined, number>('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  for (let step = 1; step <= 10; step += 1) ctx.progress(step / 20)
  await settle()
  expect(await task.record()).toMatchObject({ progress: { fraction: 0.05 } })
  await advance(100)
  expect(await task.record()).toMatchObject({ progress: { fraction: 0.5 } })
  ctx.progress(0.8)
  ctx.progress(0.9)
  work.call(0).resolve(1)
  expect(await task.wait()).toMatchObject({ progress: { fraction: 0.9 } })
  const { items, ended } = collect(task.events())
  await ended
  expect(items.at(-1)).toMatchObject({ type: 'task.completed' })
  expect((await tasks.operator.stats()).counters.coalescedProgress).toBe(9)
})

test('an event of the tool is copied, named and checked', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  const payload = { rows: [1] }
  ctx.emit('rows', payload)
  payload.rows.push(2)
  ctx.emit('nothing')
  for (const wrong of ['', 5, null, 'x'.repeat(129)]) expect(() => ctx.emit(wrong as string)).toThrow(TypeError)
  for (const wrong of [() => 1, 1n, new Map(), { a: Symbol('s') }, 'x'.repeat(65_536)]) {
    expect(() => ctx.emit('wrong', wrong)).toThrow(expect.objectContaining({ code: 'input_invalid' }) as Error)
  }
  work.call(0).resolve(1)
  await settle()
  const { items, ended } = collect(task.events())
  await ended
  expect(items.filter(({ type }) => type === 'task.custom')).toMatchObject([
    { name: 'rows', payload: { rows: [1] } },
    { name: 'nothing', payload: undefined },
  ])
})

test('usage adds up over all reports', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  ctx.usage({ tokens: 100, cost: 0.25 })
  ctx.usage({ cost: 0.5 })
  ctx.usage({})
  for (const wrong of [
    { tokens: -1 },
    { tokens: NaN },
    { cost: Infinity },
    { tokens: '5' },
    { token: 5 },
    null,
    undefined,
    5,
  ]) {
    expect(() => ctx.usage(wrong as { tokens: number })).toThrow(TypeError)
  }
  await settle()
  expect(await task.record()).toMatchObject({ usage: { tokens: 100, cost: 0.75 } })
})

test('output that is no text is refused, and empty output says nothing', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  for (const wrong of [5, null, undefined, Buffer.from('x')])
    expect(() => ctx.output(wrong as never)).toThrow(TypeError)
  ctx.output('')
  work.call(0).resolve(1)
  await settle()
  const { items, ended } = collect(task.events())
  await ended
  expect(items.map(({ type }) => type)).toEqual(['task.queued', 'task.started', 'task.completed'])
})

test('a task that has ended starts nothing more', async () => {
  const { ann } = setup()
  const work = controllableTool<undefined, number>('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  work.call(0).resolve(1)
  await task.wait()
  const other = controllableTool('other')
  await expect(ctx.spawn(other.tool, undefined)).rejects.toMatchObject({ code: 'parent_stopping' })
  await expect(ctx.run(other.tool, undefined)).rejects.toMatchObject({ code: 'parent_stopping' })
  expect(other.calls).toHaveLength(0)
})

test('a call deep inside the code of a task becomes its child, across awaits', async () => {
  const { ann } = setup()
  const parent = await ann.spawn(async () => {
    await Promise.resolve()
    const child = await ann.spawn(() => currentTask()?.parentId, undefined)
    return { child: child.taskId, seen: await child.result() }
  }, undefined)
  const { child, seen } = (await parent.result()) as { child: string; seen: string }
  expect(seen).toBe(parent.taskId)
  expect(await ann.get(child)).toMatchObject({ parentId: parent.taskId, depth: 1 })
})

test('a lazy thenable does its work inside its task', async () => {
  const { ann } = setup()
  const lazy = (): PromiseLike<string | undefined> =>
    // eslint-disable-next-line unicorn/no-thenable -- the point of the test
    ({ then: (resolve: (id: string | undefined) => void) => resolve(currentTask()?.taskId) }) as PromiseLike<
      string | undefined
    >
  const task = await ann.spawn(lazy, undefined)
  expect(await task.result()).toBe(task.taskId)
})

test('a call of another owner inside a task starts a tree of its own', async () => {
  const { ann, bob } = setup()
  let foreign = ''
  const task = await ann.spawn(async () => void (foreign = (await bob.spawn(() => 1, undefined)).taskId), undefined)
  await task.wait()
  expect(await bob.get(foreign)).toMatchObject({ depth: 0, owner: 'bob' })
})

test('under explicit lineage only the context makes children', async () => {
  const { ann } = setup({ lineage: 'explicit' })
  const parent = await ann.spawn(async (_input: undefined, ctx: TaskContext) => {
    const outside = await ann.spawn(() => currentTask()?.taskId ?? 'none', undefined)
    const inside = await ctx.spawn(() => 1, undefined)
    return [await outside.result(), outside.taskId, inside.taskId]
  }, undefined)
  const [seen, outside = '', inside = ''] = (await parent.result()) as string[]
  expect(seen).toBe('none')
  expect(await ann.get(outside)).toMatchObject({ depth: 0 })
  expect(await ann.get(inside)).toMatchObject({ parentId: parent.taskId })
})

test('the tool is called without a receiver, so it sees nothing of how its task is held', async () => {
  const { ann } = setup()
  const task = await ann.spawn(function seen(this: unknown) {
    return this === undefined
  }, undefined)
  expect(await task.result()).toBe(true)
})

test('a task that cancels itself hears of the signal, and its cancel resolves before its end', async () => {
  const { ann } = setup()
  const task = await ann.spawn(async (_input: undefined, ctx) => {
    const report = await ann.cancel(ctx.taskId)
    return { report, aborted: ctx.signal.aborted }
  }, undefined)
  const record = await task.wait()
  expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'user', actor: task.taskId } })
  expect(record.partial).toEqual({
    report: { count: 1, tasks: [{ taskId: task.taskId, status: 'stopping' }] },
    aborted: true,
  })
})

test('a task outlives the request that started it', async () => {
  const { tasks, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const request = async (): Promise<string> =>
    (await tasks.session({ owner: 'ann' }).spawn(work.tool, undefined)).taskId
  const taskId = await request()
  await settle()
  const later = tasks.session({ owner: 'ann' })
  const result = watch(later.result(taskId))
  work.call(0).resolve('kept')
  await settle()
  expect(result.value).toBe('kept')
})

test.each([
  { inlineMs: 60_000, answers: ['once', 'once'] },
  { inlineMs: 0, answers: ['a ticket', 'a ticket'] },
])('code that calls for what runs already gets the answer of that one: inline for $inlineMs ms', async (given) => {
  const { ann, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const parent = await ann.spawn(async (_: undefined, ctx) => {
    const call = { dedupeKey: 'same', inlineMs: given.inlineMs }
    const outcomes = await Promise.all([ctx.run(work.tool, undefined, call), ctx.run(work.tool, undefined, call)])
    return outcomes.map((outcome) => (outcome.kind === 'inline' ? outcome.value : 'a ticket'))
  })
  await settle()
  work.call(0).resolve('once')
  expect(await parent.result()).toEqual(given.answers)
  expect(work.calls).toHaveLength(1)
})
