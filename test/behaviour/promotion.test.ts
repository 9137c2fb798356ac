import { callbackChannel, isTaskEvent, type RunCall, type TaskContext } from 'outlive'
import { controllableTool, passTurns, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { recordingStore } from '../support/recording-store.ts'
import { collect, setup, watch } from '../support/setup.ts'

function setupRecorded(options = {}) {
  const store = recordingStore()
  return { recorded: store, ...setup({ ...options, store, channels: { away: callbackChannel(() => undefined) } }) }
}

type Recorded = ReturnType<typeof setupRecorded>

/** What makes an ephemeral call a task of record, and the last event of its first commit. */
const PROMOTED_BY: readonly (readonly [
  string,
  (harness: Recorded, ctx: TaskContext, leave: () => void) => unknown,
  string,
])[] = [
  ['a ticket at its soft deadline', ({ advance }) => advance(10_000), 'task.backgrounded'],
  ['a request for a ticket', ({ ann }) => ann.background('task-1'), 'task.backgrounded'],
  ['a redirect', ({ ann }) => ann.redirect('task-1', 'away'), 'task.backgrounded'],
  ['a caller that gave up waiting', (_harness, _ctx, leave) => leave(), 'task.backgrounded'],
  ['a child', (_harness, ctx) => ctx.run(() => 1, undefined), 'task.custom'],
  ['somebody who waits for it', ({ ann }) => void watch(ann.wait('task-1')), 'task.custom'],
  ['somebody who attaches', ({ ann }) => void watch(ann.attach('task-1')), 'task.attached'],
]

test.each(PROMOTED_BY)('a call is promoted by %s, with its whole log in one commit', async (_what, promote, _last) => {
  const harness = setupRecorded()
  const { ann, settle, recorded, advance } = harness
  const work = controllableTool<undefined, string>('work')
  const leaving = new AbortController()
  watch(ann.run(work.tool, undefined, { signal: leaving.signal }))
  await settle()
  const { ctx } = work.call(0)
  ctx.output('one')
  ctx.progress(0.25)
  ctx.usage({ tokens: 7 })
  ctx.emit('step', { n: 1 })
  expect(recorded.commits).toEqual([])
  await promote(harness, ctx, () => leaving.abort('gone'))
  await settle()
  const [first] = recorded.commits
  expect(first?.record).toMatchObject({ taskId: 'task-1', usage: { tokens: 7 }, progress: { fraction: 0.25 } })
  const types = first?.events.map(({ type }) => type) ?? []
  expect(types.slice(0, 6)).toEqual([
    'task.queued',
    'task.started',
    'task.output',
    'task.progress',
    'task.usage',
    'task.custom',
  ])
  expect(first?.events.map(({ seq }) => seq)).toEqual(types.map((_, index) => index + 1))
  work.call(0).resolve('done')
  await advance(1_000)
  const { items, ended } = collect(ann.events({ taskId: 'task-1' }))
  await ended
  expect(verifyLog(items)).toEqual([])
  expect(items.filter(isTaskEvent).map(({ seq }) => seq)).toEqual(items.map((_, index) => index + 1))
})

test.each([
  ['a ticket', ({ advance }: Recorded) => advance(10_000), 'task.backgrounded'],
  ['a request', ({ ann }: Recorded) => ann.background('task-1'), 'task.backgrounded'],
  ['a redirect', ({ ann }: Recorded) => ann.redirect('task-1', 'away'), 'task.backgrounded'],
] as const)('the reason of a promotion by %s is in the promoting commit', async (_what, promote, reason) => {
  const harness = setupRecorded()
  const work = controllableTool('work')
  watch(harness.ann.run(work.tool, undefined))
  await harness.settle()
  await promote(harness)
  await harness.settle()
  expect(harness.recorded.written()[0]).toEqual(['task.queued', 'task.started', reason])
})

test.each<readonly [string, RunCall]>([
  ['a name', { name: 'reader' }],
  ['durable', { durable: true }],
  ['inlineMs 0', { inlineMs: 0 }],
])('a call with %s is a task of record from its admission on', async (_what, options) => {
  const { ann, recorded, settle } = setupRecorded()
  const work = controllableTool('work')
  watch(ann.run(work.tool, undefined, options))
  await settle()
  expect(recorded.written()[0]?.[0]).toBe('task.queued')
  expect(recorded.commits[0]?.record).toMatchObject({ version: 1, status: 'queued' })
  work.call(0).resolve(1)
  await settle()
  expect(await ann.get('task-1')).toMatchObject({ status: 'completed' })
})

test('a durable call that is quick answers inline and is kept', async () => {
  const { ann } = setup()
  expect(await ann.run(() => 'v', undefined, { durable: true })).toEqual({
    kind: 'inline',
    value: 'v',
    persisted: false,
    // What finds its record; a call that left no trace has none.
    taskId: 'task-1',
  })
  expect(await ann.result('task-1')).toBe('v')
})

test('spawn resolves once the store has the task', async () => {
  const { ann, release } = setupHeld()
  const work = controllableTool('work')
  const spawned = watch(ann.spawn(work.tool, undefined))
  await passTurns(3)
  expect(spawned.state).toBe('pending')
  expect(work.calls).toHaveLength(0)
  await release()
  expect(spawned.state).toBe('resolved')
  expect(work.calls).toHaveLength(1)
})

test('a call that settles during its promotion answers inline, and its log says that it was attached again', async () => {
  const sent: string[] = []
  const channels = { home: callbackChannel(({ message }) => void sent.push(message.taskId)) }
  const { ann, clock, release } = setupHeld({ inlineMs: 1_000, channels, deliverTo: 'home' })
  const work = controllableTool<undefined, string>('work')
  const call = watch(ann.run(work.tool, undefined))
  await clock.advance(1_000)
  expect(call.state).toBe('pending')
  work.call(0).resolve('just in time')
  await release()
  expect(call.value).toMatchObject({ kind: 'inline', value: 'just in time' })
  expect(sent).toEqual([])
  const { items, ended } = collect(ann.events({ taskId: 'task-1' }))
  await ended
  expect(items.map(({ type }) => type)).toEqual([
    'task.queued',
    'task.started',
    'task.backgrounded',
    'task.attached',
    'task.completed',
  ])
})

test('a call that fails during its promotion throws the very error of the tool', async () => {
  const { ann, clock, release } = setupHeld({ inlineMs: 1_000 })
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await clock.advance(1_000)
  const error = new Error('mine')
  work.call(0).reject(error)
  await release()
  expect(call.error).toBe(error)
})

test('a call that settles during a redirect answers with its ticket and is delivered, never inline', async () => {
  const sent: string[] = []
  const channels = { away: callbackChannel(({ message }) => void sent.push(message.taskId)) }
  const { ann, release } = setupHeld({ channels })
  const work = controllableTool<undefined, string>('work')
  const call = watch(ann.run(work.tool, undefined))
  const redirected = watch(ann.redirect('task-1', 'away'))
  await passTurns(2)
  work.call(0).resolve('to the channel')
  await release()
  expect(redirected.state).toBe('resolved')
  expect(call.value).toMatchObject({ kind: 'background', ticket: { target: 'away' } })
  expect(sent).toEqual(['task-1'])
})

test('reports before and after a promotion are one gapless log', async () => {
  const { ann, advance, settle } = setup({ progressMs: 100 })
  const work = controllableTool<undefined, number>('work')
  watch(ann.run(work.tool, undefined, { inlineMs: 1_000, description: 'a description', metadata: { k: 'v' } }))
  await settle()
  const { ctx } = work.call(0)
  ctx.progress({ done: 1, total: 4 })
  await advance(1_000)
  ctx.progress({ done: 2, total: 4, note: 'half' })
  ctx.emit('step', { n: 2 })
  ctx.usage({ tokens: 1, cost: 0.5 })
  ctx.usage({ tokens: 2 })
  work.call(0).resolve(1)
  const { items, ended } = collect(ann.events({ taskId: 'task-1' }))
  await ended
  expect(items).toMatchObject([
    { seq: 1, type: 'task.queued', description: 'a description', metadata: { k: 'v' } },
    { seq: 2, type: 'task.started' },
    { seq: 3, type: 'task.progress', fraction: 0.25, done: 1, total: 4 },
    { seq: 4, type: 'task.backgrounded', reason: 'deadline' },
    { seq: 5, type: 'task.progress', fraction: 0.5, note: 'half' },
    { seq: 6, type: 'task.custom', name: 'step', payload: { n: 2 } },
    { seq: 7, type: 'task.usage', tokens: 1, cost: 0.5 },
    { seq: 8, type: 'task.usage', tokens: 3, cost: 0.5 },
    { seq: 9, type: 'task.completed' },
  ])
  expect(await ann.get('task-1')).toMatchObject({ usage: { tokens: 3, cost: 0.5 }, progress: { fraction: 0.5 } })
})

test('somebody who waits for an ephemeral call by its id hears of its end', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<undefined, string>('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  const result = watch(ann.result(work.call(0).ctx.taskId))
  work.call(0).resolve('both')
  await settle()
  expect(call.value).toMatchObject({ kind: 'inline', value: 'both' })
  expect(result.value).toBe('both')
})
