import { getEventListeners } from 'node:events'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { setup, watch } from '../support/setup.ts'

test('a name is refused while a live task has it, and free again after its end', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, { name: 'Reader' })
  await expect(ann.spawn(work.tool, undefined, { name: 'reader' })).rejects.toMatchObject({ code: 'name_taken' })
  work.call(0).resolve(1)
  await settle()
  const again = await ann.spawn(work.tool, undefined, { name: 'reader' })
  await settle()
  expect(await again.record()).toMatchObject({ name: 'reader', status: 'running' })
})

test('a refused name leaves the first task controllable and starts nothing', async () => {
  const { ann, settle } = setup()
  const first = controllableTool<undefined, string>('first')
  const second = controllableTool('second')
  const task = await ann.spawn(first.tool, undefined, { name: 'reader' })
  await expect(ann.run(second.tool, undefined, { name: 'READER' })).rejects.toMatchObject({
    code: 'name_taken',
    retryable: true,
  })
  await settle()
  expect(second.calls).toHaveLength(0)
  expect((await ann.stats()).live).toBe(1)
  first.call(0).resolve('still mine')
  expect(await task.result()).toBe('still mine')
})

test('of many that ask for one name at once exactly one gets it', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const calls = Array.from({ length: 20 }, () => watch(ann.spawn(work.tool, undefined, { name: 'only' })))
  await settle()
  expect(calls.filter(({ state }) => state === 'resolved')).toHaveLength(1)
  expect(calls.filter(({ error }) => (error as { code?: string } | undefined)?.code === 'name_taken')).toHaveLength(19)
  expect(work.calls).toHaveLength(1)
  expect((await ann.stats()).live).toBe(1)
})

test('a name stays reserved while its task is stopping', async () => {
  const { ann, advance } = setup({ graceMs: 1_000 })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { name: 'reader' })
  const cancelled = task.cancel()
  await expect(ann.spawn(work.tool, undefined, { name: 'reader' })).rejects.toMatchObject({ code: 'name_taken' })
  await advance(1_000)
  await cancelled
  await ann.spawn(work.tool, undefined, { name: 'reader' })
})

test('a name is free again after a failure and after a cancel before the start', async () => {
  const { ann, open } = setupHeld()
  const work = controllableTool('work')
  watch(ann.spawn(work.tool, undefined, { name: 'early' }))
  const cancelled = ann.cancelAll()
  await open()
  await cancelled
  expect(work.calls).toHaveLength(0)
  const failing = await ann.spawn(() => Promise.reject(new Error('x')), undefined, { name: 'early' })
  await failing.wait()
  await ann.spawn(work.tool, undefined, { name: 'early' })
})

test('the same name is free for another owner', async () => {
  const { ann, bob } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, { name: 'reader' })
  await bob.spawn(work.tool, undefined, { name: 'reader' })
  expect((await bob.list({ name: 'Reader' })).tasks).toMatchObject([{ owner: 'bob', name: 'reader' }])
})

test.each([
  'parent',
  'self',
  'all',
  'broadcast',
  'SELF',
  '',
  '9lives',
  '-x',
  'a b',
  'ä',
  'a'.repeat(65),
  5,
  null,
  'a\n',
])('the name %o is invalid, and nothing starts', async (name) => {
  const { ann } = setup()
  const work = controllableTool('work')
  await expect(ann.spawn(work.tool, undefined, { name: name as string })).rejects.toMatchObject({
    code: 'name_invalid',
  })
  await expect(ann.run(work.tool, undefined, { name: name as string })).rejects.toMatchObject({ code: 'name_invalid' })
  expect(work.calls).toHaveLength(0)
  expect((await ann.stats()).live).toBe(0)
})

test.each(['a', 'a'.repeat(64), 'a-b_9', 'Self-1', 'parents'])('the name %o is valid', async (name) => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { name })
  expect(await task.record()).toMatchObject({ name: name.toLowerCase() })
})

test('a caller who is refused a name keeps no listener and no timer', async () => {
  const { ann, clock, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, { name: 'reader', timeoutMs: Infinity })
  await settle()
  const held = clock.heldTimerCount()
  const { signal } = new AbortController()
  const call = ann.run(work.tool, undefined, { name: 'reader', signal, cancelSignal: signal })
  await expect(call).rejects.toMatchObject({ code: 'name_taken' })
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(clock.heldTimerCount()).toBe(held)
})

test('a parent whose child was refused its name ends as soon as its own code has', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, { name: 'taken' })
  const parent = await ann.spawn((_input: undefined, ctx) => {
    watch(ctx.spawn(work.tool, undefined, { name: 'taken' }))
    return 'done'
  }, undefined)
  const ended = watch(parent.wait())
  await settle()
  expect(ended.value).toMatchObject({ status: 'completed' })
})

test('a cancel of all that meets a task whose name is being refused resolves', async () => {
  const { ann, open } = setupHeld({ graceMs: 1 })
  const work = controllableTool('work', { honoursSignal: true })
  const first = watch(ann.spawn(work.tool, undefined, { name: 'one' }))
  const second = watch(ann.spawn(work.tool, undefined, { name: 'one' }))
  const cancelled = watch(ann.cancelAll())
  await open()
  expect([first.state, second.state]).toEqual(['resolved', 'rejected'])
  expect(cancelled.state).toBe('resolved')
  expect((await ann.stats()).live).toBe(0)
})
