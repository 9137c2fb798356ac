import { getEventListeners } from 'node:events'
import { defineTool } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

test('calls with one key and one input are one task: running, and after its end', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<{ readonly a: number; readonly b: number }, string>('work')
  const key = { dedupeKey: 'order-1' }
  const first = await ann.spawn(work.tool, { a: 1, b: 2 }, key)
  const second = await ann.spawn(work.tool, { b: 2, a: 1 }, key)
  expect(second.taskId).toBe(first.taskId)
  const third = watch(ann.run(work.tool, { a: 1, b: 2 }, key))
  await settle()
  work.call(0).resolve('shipped')
  await settle()
  expect(third.value).toMatchObject({ kind: 'inline', value: 'shipped' })
  expect(await ann.run(work.tool, { a: 1, b: 2 }, key)).toMatchObject({ kind: 'inline', value: 'shipped' })
  expect((await ann.spawn(work.tool, { a: 1, b: 2 }, key)).taskId).toBe(first.taskId)
  expect(work.calls).toHaveLength(1)
  expect(await first.record()).toMatchObject({ dedupeKey: 'order-1' })
})

test('another input, or another tool, under the same key is a conflict that names the task', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<number>('work')
  const other = controllableTool<number>('other')
  const key = { dedupeKey: 'order-1' }
  const first = await ann.spawn(work.tool, 1, key)
  const conflict = { code: 'dedupe_conflict', taskId: first.taskId }
  await expect(ann.spawn(work.tool, 2, key)).rejects.toMatchObject(conflict)
  await expect(ann.run(other.tool, 1, key)).rejects.toMatchObject(conflict)
  work.call(0).resolve(0)
  await settle()
  await expect(ann.spawn(work.tool, 2, key)).rejects.toMatchObject(conflict)
  expect((await ann.stats()).live).toBe(0)
})

test("another owner's key is another key", async () => {
  const { ann, bob, settle } = setup()
  const work = controllableTool<number>('work')
  const first = await ann.spawn(work.tool, 1, { dedupeKey: 'k' })
  const second = await bob.spawn(work.tool, 2, { dedupeKey: 'k' })
  await settle()
  expect(second.taskId).not.toBe(first.taskId)
  expect(work.calls).toHaveLength(2)
})

test('of a hundred calls at once one runs, and all get its value', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<number, string>('work', { policy: { dedupeKey: (n: number) => `n-${n}` } })
  const calls = Array.from({ length: 100 }, () => watch(ann.run(work.tool, 7)))
  await settle()
  expect(work.calls).toHaveLength(1)
  work.call(0).resolve('once')
  await settle()
  for (const { value } of calls) expect(value).toMatchObject({ kind: 'inline', value: 'once' })
  expect((await ann.list()).tasks).toHaveLength(1)
})

test('a failure is the answer of every later call too', async () => {
  const { ann } = setup()
  const failing = async (): Promise<never> => {
    throw new Error('no stock')
  }
  await expect(ann.run(failing, undefined, { dedupeKey: 'k' })).rejects.toThrow('no stock')
  await expect(ann.run(failing, undefined, { dedupeKey: 'k' })).rejects.toMatchObject({
    code: 'task_failed',
    failure: { message: 'no stock' },
  })
})

test('a twin that is slow answers with the ticket of the one task', async () => {
  const { ann, advance, settle } = setup({ inlineMs: 100 })
  const work = controllableTool('work', { policy: { dedupeKey: 'k' } })
  const first = await ann.spawn(work.tool, undefined)
  const twin = watch(ann.run(work.tool, undefined))
  const atOnce = watch(ann.run(work.tool, undefined, { inlineMs: 0 }))
  await settle()
  expect(atOnce.value).toMatchObject({ kind: 'background', ticket: { taskId: first.taskId } })
  await advance(100)
  expect(twin.value).toMatchObject({ kind: 'background', ticket: { taskId: first.taskId, status: 'running' } })
})

test('a key is free again once its task is dropped', async () => {
  const { ann, settle, prune } = setup({ retention: { maxFinished: 1 } })
  const work = controllableTool<number, number>('work', { policy: { dedupeKey: 'k' } })
  await ann.spawn(work.tool, 1)
  await settle()
  work.call(0).resolve(1)
  await settle()
  await (await ann.spawn(async () => 0, undefined)).wait()
  await prune()
  const again = await ann.spawn(work.tool, 2)
  await settle()
  work.call(1).resolve(2)
  expect(await again.result()).toBe(2)
})

test('a twin wins over its own busy concurrency key', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { policy: { dedupeKey: 'k', concurrencyKey: 'room' } })
  const first = await ann.spawn(work.tool, undefined)
  await settle()
  expect((await ann.spawn(work.tool, undefined)).taskId).toBe(first.taskId)
})

test('a caller that gives up on a twin leaves nothing behind, and the task goes on', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { policy: { dedupeKey: 'k' } })
  const first = await ann.spawn(work.tool, undefined)
  const controller = new AbortController()
  const twin = watch(ann.run(work.tool, undefined, { signal: controller.signal }))
  await settle()
  controller.abort(new Error('gone'))
  await settle()
  expect(twin.error).toMatchObject({ message: 'gone' })
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  expect(await first.record()).toMatchObject({ status: 'running' })
})

test.each(['', 'x'.repeat(257), 'x'.repeat(10_000), 7, null])(
  'a key of %o is a TypeError at once, and nothing starts',
  async (key) => {
    const { ann } = setup()
    await expect(ann.spawn(() => 1, undefined, { dedupeKey: key as string })).rejects.toThrow(/^dedupeKey must be/)
    expect((await ann.stats()).live).toBe(0)
  },
)

test('a key of any characters is compared exactly', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const keys = ['Ä', 'ä', 'a\u0308', ' ', '\u0000', 'a:b', '../..', '{}']
  for (const dedupeKey of [...keys, ...keys]) await ann.spawn(work.tool, undefined, { dedupeKey })
  await settle()
  expect(work.calls).toHaveLength(keys.length)
})

test('an input that is no JSON cannot be told apart, and is refused', async () => {
  const { ann } = setup()
  await expect(ann.run(() => 1, 1n as never, { dedupeKey: 'k' })).rejects.toMatchObject({ code: 'input_invalid' })
  const tool = defineTool<undefined, number>({ name: 'bad', policy: { dedupeKey: () => 5 as never }, run: () => 1 })
  await expect(ann.run(tool)).rejects.toThrow(/^dedupeKey must be/)
})
