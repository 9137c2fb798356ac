import { callbackChannel, defineTool } from 'outlive'
import { controllableTool, passTurns } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { setup, watch } from '../support/setup.ts'

test('a quick call answers inline and leaves no trace', async () => {
  const { ann, settle } = setup()
  const outcome = await ann.run(async (n: number) => n + 1, 41)
  await settle()
  expect(outcome).toEqual({ kind: 'inline', value: 42, persisted: false })
  expect((await ann.list()).tasks).toEqual([])
})

test('a call that outlives its soft deadline answers with a ticket and goes on', async () => {
  const { ann, advance } = setup()
  const slow = controllableTool<string, string>('slow')
  const call = watch(ann.run(slow.tool, 'topic'))
  await advance(9_999)
  expect(call.state).toBe('pending')
  await advance(1)
  expect(call.value).toMatchObject({
    kind: 'background',
    ticket: { taskId: 'task-1', tool: 'slow', status: 'running', persisted: false, durability: 'memory' },
  })
  slow.call(0).resolve('done')
  expect(await ann.result('task-1')).toBe('done')
})

test('the text of a ticket names the tool and the id, and tells a model what to do', async () => {
  const { ann } = setup()
  const work = controllableTool('research')
  const outcome = await ann.run(work.tool, undefined, { inlineMs: 0 })
  const text = outcome.kind === 'background' ? outcome.ticket.text : ''
  expect(text).toContain('research')
  expect(text).toContain('task-1')
  expect(text).toContain('Ask for its result later with this id.')
})

test('the ticket of a task that has ended says that it has, and where its result is', async () => {
  const { ann } = setup({ channels: { board: callbackChannel(() => undefined) } })
  for (const deliverTo of [[], ['board']]) {
    const task = await ann.spawn(async () => 'done', undefined, { deliverTo })
    await task.wait()
    const { text, status } = await task.background()
    expect(status).toBe('completed')
    expect(text).toMatch(
      /^The call to anonymous has ended as task task-\d+ \(completed\)\. Ask for its result with this id\.$/,
    )
  }
})

test('inlineMs 0 goes to the background at once, and the code still runs', async () => {
  const { ann } = setup()
  const work = controllableTool<undefined, string>('work')
  const outcome = await ann.run(work.tool, undefined, { inlineMs: 0 })
  expect(outcome).toMatchObject({ kind: 'background', ticket: { taskId: 'task-1' } })
  work.call(0).resolve('done')
  expect(await ann.result('task-1')).toBe('done')
})

test('a policy of always goes to the background, whatever inline time the call names', async () => {
  const { ann, settle } = setup()
  const { tool } = controllableTool('work', { policy: { background: 'always' } })
  const call = watch(ann.run(tool, undefined, { inlineMs: 5_000 }))
  await settle()
  expect(call.value).toMatchObject({ kind: 'background' })
})

test('a policy of never awaits inline for ever', async () => {
  const { ann, advance } = setup({ timeoutMs: Infinity })
  const work = controllableTool<undefined, string>('work', { policy: { background: 'never' } })
  const call = watch(ann.run(work.tool, undefined))
  await advance(86_400_000)
  expect(call.state).toBe('pending')
  work.call(0).resolve('done')
  await advance(0)
  expect(call.value).toMatchObject({ kind: 'inline', value: 'done' })
})

test('the inline time of a call overrides that of its tool, and that of its tool the default', async () => {
  const { ann, advance } = setup({ inlineMs: 1_000 })
  const { tool } = controllableTool('work', { policy: { inlineMs: 500 } })
  const byDefault = watch(ann.run(controllableTool('plain').tool, undefined))
  const byTool = watch(ann.run(tool, undefined))
  const byCall = watch(ann.run(tool, undefined, { inlineMs: 100 }))
  await advance(100)
  expect([byDefault.state, byTool.state, byCall.state]).toEqual(['pending', 'pending', 'resolved'])
  await advance(400)
  expect([byDefault.state, byTool.state]).toEqual(['pending', 'resolved'])
  await advance(500)
  expect(byDefault.state).toBe('resolved')
})

test('the inline time counts from the call, the time the store takes to admit it included', async () => {
  const { ann, clock, open } = setupHeld({ inlineMs: 1_000, commitWaitMs: 60_000 })
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined, { durable: true }))
  await clock.advance(1_000)
  expect(work.calls).toHaveLength(0)
  await open()
  expect(call.value).toMatchObject({ kind: 'background' })
  expect(work.calls).toHaveLength(1)
})

test('a caller whose signal aborts stops waiting with its reason; the task goes on in the background', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const leaving = new AbortController()
  const reason = new Error('the user went away')
  const call = watch(ann.run(work.tool, undefined, { signal: leaving.signal }))
  await settle()
  leaving.abort(reason)
  await settle()
  expect(call.error).toBe(reason)
  expect(work.call(0).ctx.signal.aborted).toBe(false)
  expect(await ann.get('task-1')).toMatchObject({ status: 'running', caller: 'detached' })
  work.call(0).resolve('done')
  expect(await ann.result('task-1')).toBe('done')
})

test('a cancelSignal that aborts cancels the task and tells the caller so', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const stop = new AbortController()
  const call = watch(ann.run(work.tool, undefined, { cancelSignal: stop.signal, durable: true }))
  await settle()
  stop.abort('enough')
  await settle()
  expect(call.error).toMatchObject({ code: 'task_cancelled', stopCause: { reason: 'user', actor: 'ann' } })
  expect(await ann.get('task-1')).toMatchObject({ status: 'cancelled' })
})

test.each(['signal', 'cancelSignal'] as const)('a %s that has aborted beforehand starts nothing', async (option) => {
  const { ann } = setup()
  const work = controllableTool('work')
  const reason = new Error('before')
  const call = ann.run(work.tool, undefined, { [option]: AbortSignal.abort(reason) })
  await expect(call).rejects.toBe(reason)
  expect(work.calls).toHaveLength(0)
  expect(await ann.stats()).toEqual({ byStatus: {}, live: 0 })
})

test('a spawn whose signal has aborted beforehand starts nothing', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const call = ann.spawn(work.tool, undefined, { signal: AbortSignal.abort('before'), name: 'free' })
  await expect(call).rejects.toBe('before')
  expect(work.calls).toHaveLength(0)
  await ann.spawn(work.tool, undefined, { name: 'free' })
})

test('the ticket reaches the caller although the store does not answer, and says that nothing is kept yet', async () => {
  const { ann, clock } = setupHeld({ inlineMs: 1_000, commitWaitMs: 2_000 })
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await clock.advance(2_999)
  expect(call.state).toBe('pending')
  await clock.advance(1)
  expect(call.value).toMatchObject({ kind: 'background', ticket: { persisted: false } })
})

test('a task that is cancelled while the store has yet to admit it never runs', async () => {
  const { ann, open } = setupHeld()
  const work = controllableTool('work')
  const spawned = watch(ann.spawn(work.tool, undefined))
  const run = watch(ann.run(work.tool, undefined, { durable: true }))
  await passTurns(2)
  const cancelled = watch(ann.cancelAll())
  await open()
  await passTurns(2)
  expect(work.calls).toHaveLength(0)
  expect(spawned.state).toBe('resolved')
  expect(run.error).toMatchObject({ code: 'task_cancelled' })
  expect(cancelled.value).toMatchObject({ count: 2, tasks: [{ status: 'cancelled' }, { status: 'cancelled' }] })
  expect((await ann.list()).tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
})

test('a cancelSignal that aborts while the store has yet to admit the call keeps its code from running', async () => {
  const { ann, open } = setupHeld()
  const work = controllableTool('work')
  const stop = new AbortController()
  const call = watch(ann.run(work.tool, undefined, { durable: true, cancelSignal: stop.signal }))
  await passTurns(2)
  stop.abort()
  await open()
  expect(call.error).toMatchObject({ code: 'task_cancelled' })
  expect(work.calls).toHaveLength(0)
})

test('a call gives the value of an outcome its type', async () => {
  const { ann } = setup()
  const length = defineTool({ name: 'length', run: async (text: string) => text.length })
  const outcome = await ann.run(length, 'four')
  const value: number | undefined = outcome.kind === 'inline' ? outcome.value : undefined
  expect(value).toBe(4)
})
