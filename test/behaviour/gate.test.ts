import { memoryStore } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup, watch } from '../support/setup.ts'

// What the gate tells of tasks in each condition. That it tells it to their owner alone is in `isolation.test.ts`.

test('what a store keeps longer than the process is told as kept: in the record, the ticket and the inline answer', async () => {
  for (const durability of ['memory', 'process'] as const) {
    const { ann, settle } = setup({ store: { ...memoryStore(), durability } })
    const { taskId } = await ann.spawn(() => 'done', undefined)
    await settle()
    const persisted = durability === 'process'
    expect(await ann.get(taskId)).toMatchObject({ persisted })
    expect(await ann.wait(taskId)).toMatchObject({ persisted })
    expect(await ann.background(taskId)).toMatchObject({ taskId, persisted })
    expect(await ann.attach(taskId)).toEqual({ kind: 'inline', value: 'done', persisted, taskId })
  }
})

test('an inline call of which the store has nothing has events, deliveries and a record', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  const { taskId } = work.call(0).ctx
  expect(await ann.get(taskId)).toMatchObject({ taskId, status: 'running', persisted: false })
  expect(await ann.deliveries(taskId)).toEqual([])
  const { items, ended } = collect(ann.events({ taskId }))
  await settle()
  work.call(0).resolve('done')
  expect(await ended).toBeUndefined()
  expect(items.at(-1)).toMatchObject({ type: 'task.completed', taskId })
  expect(call.value).toMatchObject({ kind: 'inline', value: 'done' })
})

test('nothing begins below a task that has ended, by its context or by a session that names it', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const { taskId } = await ann.spawn(work.tool, undefined)
  await settle()
  const { ctx, resolve } = work.call(0)
  resolve('done')
  await settle()
  const below = tasks.session({ owner: 'ann', parentId: taskId })
  for (const late of [() => ctx.spawn(work.tool), () => ctx.run(work.tool), () => below.spawn(work.tool)]) {
    await expect(late()).rejects.toMatchObject({ code: 'parent_stopping' })
  }
  expect(work.calls).toHaveLength(1)
})

test('a task that was cancelled without a note has none', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const [plain, noted] = [await ann.spawn(work.tool, undefined), await ann.spawn(work.tool, undefined)]
  await settle()
  for (const { ctx, reject } of work.calls) ctx.signal.addEventListener('abort', () => reject(new Error('stopped')))
  await Promise.all([plain.cancel(), noted.cancel({ note: 'enough' })])
  expect((await plain.record()).cause).toStrictEqual({ reason: 'user', actor: 'ann' })
  expect((await noted.record()).cause).toStrictEqual({ reason: 'user', actor: 'ann', note: 'enough' })
})

test('the options of verbs that are unknown or no such thing are refused by name', async () => {
  const { ann, tasks, settle } = setup({ channels: { mail: { send: () => undefined } } })
  const { taskId } = await ann.spawn(() => 1, undefined)
  await settle()
  const session = (options: object) => async () => tasks.session({ owner: 'ann', ...options })
  for (const [asked, told] of [
    [() => ann.waitAny([]), 'taskIds must be a non-empty array of ids'],
    [() => ann.waitAll(taskId as never), 'taskIds must be a non-empty array of ids'],
    [() => ann.cancelAll({ run: 'r' } as never), 'options has no option "run"'],
    [() => ann.cancelAll({ runId: 5 as never }), 'runId must'],
    [() => ann.redirect(taskId, 'mail:a', { twice: true } as never), 'options has no option "twice"'],
    [() => ann.redirect(taskId, 'mail:a', { again: 1 as never }), 'again must'],
    [session({ conversation: 5 }), 'conversation must'],
    [session({ parentId: '' }), 'parentId must'],
  ] as const) {
    await expect(asked()).rejects.toThrow(told)
  }
  await expect(ann.answer(taskId, 'key', 1)).rejects.toMatchObject({
    code: 'task_final',
    message: 'The task has ended.',
    taskId,
  })
})

test('a result is read as it ended: whole from where it was put, as nothing, or as why there is none', async () => {
  const { ann, settle } = setup({
    store: { ...memoryStore(), durability: 'process' },
    retention: { maxResultBytes: 1_024, oversizeResult: 'spill' },
  })
  const long = 'x'.repeat(5_000)
  const spilled = await ann.spawn(() => long, undefined)
  const short = await ann.spawn(() => 'short', undefined)
  const nothing = await ann.spawn(() => undefined, undefined)
  const failed = await ann.spawn(() => Promise.reject(new Error('no')), undefined)
  await settle()
  expect(await ann.result(spilled.taskId)).toBe(long)
  expect(await ann.result(short.taskId)).toBe('short')
  expect(await ann.result(nothing.taskId)).toBeUndefined()
  await expect(ann.result(failed.taskId)).rejects.toMatchObject({ code: 'task_failed', failure: { message: 'no' } })
  const work = controllableTool<undefined, string>('work')
  const cancelled = await ann.spawn(work.tool, undefined, { deliverTo: [] })
  await settle()
  const { ctx, reject } = work.call(0)
  ctx.signal.addEventListener('abort', () => reject(new Error('stopped')))
  await cancelled.cancel()
  await expect(ann.result(cancelled.taskId)).rejects.toMatchObject({ code: 'task_cancelled' })
})
