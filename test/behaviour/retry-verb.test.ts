import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupNodes } from '../support/nodes.ts'
import { setup } from '../support/setup.ts'

const rerun = () =>
  controllableTool<{ n: number }, string>('work', { policy: { recovery: 'rerun' }, honoursSignal: true })

test('a task that has ended is called once more, with its input and its options, as a new task that names it', async () => {
  const work = rerun()
  const { ann, settle } = setup({ tools: [work.tool] })
  const first = await ann.spawn(
    work.tool,
    { n: 1 },
    { name: 'one', metadata: { m: 1 }, dedupeKey: 'k', budget: { tokens: 9 } },
  )
  await settle()
  work.call(0).reject(new Error('broken'))
  await settle()
  const before = await first.record()
  const again = await ann.retry(first.taskId)
  await settle()
  expect(again.taskId).not.toBe(first.taskId)
  expect(work.call(1).input).toEqual({ n: 1 })
  expect(await again.record()).toMatchObject({
    retryOf: first.taskId,
    name: 'one',
    metadata: { m: 1 },
    status: 'running',
    attempt: 1,
    budget: { granted: { tokens: 9 } },
  })
  work.call(1).resolve('done')
  expect(await again.result()).toBe('done')
  expect(await first.record()).toEqual(before)
  const third = await ann.retry(again.taskId)
  expect((await third.record()).retryOf).toBe(again.taskId)
})

test('a task that lives, or whose input is kept nowhere, is not called again', async () => {
  const work = rerun()
  const plain = controllableTool('plain')
  const { ann, bob, settle } = setup({ tools: [work.tool] })
  const live = await ann.spawn(work.tool, { n: 1 })
  const ended = await ann.spawn(plain.tool, undefined)
  await settle()
  plain.call(0).resolve('done')
  await settle()
  for (const { taskId } of [live, ended]) await expect(ann.retry(taskId)).rejects.toMatchObject({ code: 'not_allowed' })
  await live.cancel()
  await expect(bob.retry(live.taskId)).rejects.toMatchObject({ code: 'task_not_found' })
  expect(work.calls).toHaveLength(1)
})

test('another process calls it again if it knows the tool, and the code of a task calls it as its child', async () => {
  const { start, settle, advance } = setupNodes()
  const work = rerun()
  const parent = controllableTool('parent')
  const [a, b, c] = [await start({ tools: [work.tool] }), await start({ tools: [work.tool] }), await start()]
  const { taskId } = await a.ann.spawn(work.tool, { n: 1 })
  await settle()
  await expect(b.ann.retry(taskId)).rejects.toMatchObject({ code: 'not_allowed' })
  work.call(0).resolve('done')
  await advance(300)
  await expect(c.ann.retry(taskId)).rejects.toMatchObject({ code: 'not_allowed' })
  expect(await (await b.ann.retry(taskId)).record()).toMatchObject({ retryOf: taskId, depth: 0 })
  const root = await b.ann.spawn(parent.tool, undefined)
  await settle()
  const below = b.tasks.session({ owner: 'ann', parentId: root.taskId })
  expect(await (await below.retry(taskId)).record()).toMatchObject({ retryOf: taskId, parentId: root.taskId })
})
