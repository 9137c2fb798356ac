import type { TaskContext, TaskHandle } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { codeOf } from '../support/branches.ts'
import { setup, watch } from '../support/setup.ts'

const cycle = { name: 'TaskError', code: 'wait_cycle', retryable: false }

test('a task that waits for itself gets wait_cycle', async () => {
  const { ann, settle } = setup()
  const errors: unknown[] = []
  const task = await ann.spawn(async (_: undefined, ctx) => {
    for (const wait of [
      () => ann.result(ctx.taskId),
      () => ann.wait(ctx.taskId),
      () => ann.waitAny([ctx.taskId]),
      () => ann.waitAll([ctx.taskId]),
      () => ann.handle(ctx.taskId).result(),
    ]) {
      await wait().catch((error: unknown) => errors.push(error))
    }
  })
  await settle()
  expect(errors).toHaveLength(5)
  for (const error of errors) expect(error).toMatchObject({ ...cycle, taskId: task.taskId })
  expect((await task.record()).status).toBe('completed')
})

test('a task that waits for any ancestor gets wait_cycle, and may wait for descendants and strangers', async () => {
  const { ann, settle } = setup()
  const stranger = await ann.spawn(async () => 'stranger')
  const leaf = async (ids: readonly string[]): Promise<unknown[]> => {
    const answers = await Promise.allSettled(ids.map((taskId) => ann.result(taskId)))
    return answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value : (answer.reason as { code: string }).code,
    )
  }
  const root = await ann.spawn(async (_: undefined, ctx) => {
    const middle = await ctx.spawn(async (above: string, inner: TaskContext) => {
      const below = await inner.spawn({ name: 'leaf', run: leaf }, [above, inner.taskId, stranger.taskId])
      return below.result()
    }, ctx.taskId)
    return middle.result()
  })
  await settle()
  expect(await root.result()).toEqual(['wait_cycle', 'wait_cycle', 'stranger'])
})

test('two tasks that wait for each other: the second gets wait_cycle, the first its result', async () => {
  const { ann, settle } = setup()
  const handles: Record<'a' | 'b', TaskHandle | undefined> = { a: undefined, b: undefined }
  let begin: () => void = () => undefined
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const a = await ann.spawn(async () => {
    await begun
    return handles.b?.result()
  })
  const b = await ann.spawn(async () => {
    await begun
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    return handles.a?.result().catch(codeOf)
  })
  handles.a = a
  handles.b = b
  begin()
  await settle()
  expect(await b.result()).toBe('wait_cycle')
  expect(await a.result()).toBe('wait_cycle')
})

test('a cycle through a third task is found', async () => {
  const { ann, settle } = setup()
  const gates = Array.from({ length: 3 }, () => {
    let open: () => void = () => undefined
    const opened = new Promise<void>((resolve) => (open = resolve))
    return { opened, open: () => open() }
  })
  const ids: string[] = []
  const outcomes: unknown[] = []
  for (const [index, gate] of gates.entries()) {
    const task = await ann.spawn(async () => {
      await gate.opened
      outcomes[index] = await ann.result(ids[(index + 1) % 3] ?? '').catch(codeOf)
      return index
    })
    ids.push(task.taskId)
  }
  for (const gate of gates) {
    gate.open()
    await settle()
  }
  expect(outcomes).toEqual([1, 2, 'wait_cycle'])
})

test('a cycle through a parent that waits for its child is found', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child')
  const waiter = controllableTool<string>('waiter')
  const parent = await ann.spawn(async (_: undefined, ctx) => {
    const task = await ctx.spawn(child.tool, undefined)
    return task.result()
  })
  await settle()
  // The stranger waits for the parent, so the child must not wait for the stranger.
  const stranger = await ann.spawn(async () => parent.result())
  await settle()
  const attempts: ReturnType<typeof watch>[] = []
  const nested = await child.call(0).ctx.spawn(async () => {
    attempts.push(watch(stranger.result()))
  })
  await settle()
  await nested.wait()
  expect(attempts[0]?.error).toMatchObject(cycle)
  child.call(0).resolve('value')
  await settle()
  expect(await stranger.result()).toBe('value')
  expect(waiter.calls).toHaveLength(0)
})

test('a wait that was given up closes no cycle later', async () => {
  const { ann, settle } = setup()
  const gate = controllableTool('gate')
  const giveUp = new AbortController()
  const a = controllableTool('a')
  const first = await ann.spawn(a.tool, undefined)
  const second = await ann.spawn(async (_: undefined, ctx) => {
    await ann.result(first.taskId, { signal: giveUp.signal }).catch(() => undefined)
    await ctx.run(gate.tool, undefined)
    return 'second'
  })
  await settle()
  giveUp.abort(new Error('no more patience'))
  await settle()
  const waiting = await a.call(0).ctx.spawn(async () => second.result())
  await settle()
  expect((await waiting.record()).status).toBe('running')
  gate.call(0).resolve(1)
  await settle()
  expect(await waiting.result()).toBe('second')
})

test('waiting from outside is never a cycle', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const waits = [watch(task.result()), watch(task.wait()), watch(ann.waitAll([task.taskId]))]
  work.call(0).resolve('value')
  await settle()
  expect(waits.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved'])
})
