import { callbackChannel, isTaskEvent } from 'outlive'
import { controllableTool, passTurns } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { collect, setup, watch } from '../support/setup.ts'

function setupWithHome(options = {}) {
  const sent: string[] = []
  const channels = {
    home: callbackChannel(({ message }) => void sent.push(message.text)),
    away: callbackChannel(({ message }) => void sent.push(message.text)),
  }
  return { sent, ...setup({ channels, ...options }) }
}

test('background gives the waiting caller and whoever asked the same ticket at once', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  const ticket = await ann.background('task-1')
  await settle()
  expect(ticket).toMatchObject({ taskId: 'task-1', tool: 'work', status: 'running' })
  expect(call.value).toEqual({ kind: 'background', ticket })
  expect(await ann.get('task-1')).toMatchObject({ caller: 'detached' })
})

test('background of a task that nobody awaits gives a ticket and changes nothing', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  await settle()
  const before = await task.record()
  expect(await task.background()).toMatchObject({ taskId: task.taskId, status: 'running' })
  await settle()
  expect(await task.record()).toEqual(before)
})

test('background of a final task gives a ticket that says how it ended', async () => {
  const { ann } = setup()
  const task = await ann.spawn(() => 1, undefined)
  await task.wait()
  expect(await task.background()).toMatchObject({ status: 'completed' })
})

test('attach waits inline again and gets the value itself, not a copy', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const attached = watch(task.attach())
  await settle()
  expect(await task.record()).toMatchObject({ caller: 'attached' })
  const value = { rows: 3 }
  work.call(0).resolve(value)
  await settle()
  expect(attached.value).toMatchObject({ kind: 'inline', persisted: false })
  expect(attached.value?.kind === 'inline' && attached.value.value).toBe(value)
})

test('attach gets the very error the tool threw', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const attached = watch(task.attach())
  const error = new Error('mine')
  work.call(0).reject(error)
  await settle()
  expect(attached.error).toBe(error)
})

test('attach whose wait is over gets a ticket, and the task goes on', async () => {
  const { ann, advance } = setup()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  const attached = watch(task.attach({ waitMs: 500 }))
  await advance(499)
  expect(attached.state).toBe('pending')
  await advance(1)
  expect(attached.value).toMatchObject({ kind: 'background', ticket: { taskId: task.taskId, status: 'running' } })
  expect(await task.record()).toMatchObject({ status: 'running', caller: 'detached' })
  work.call(0).resolve('on')
  expect(await task.result()).toBe('on')
})

test('each of several attachers waits for its own time and gets its own answer', async () => {
  const { ann, advance } = setup()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  const short = watch(task.attach({ waitMs: 100 }))
  const medium = watch(task.attach({ waitMs: 200 }))
  const long = watch(task.attach({ waitMs: 300 }))
  await advance(100)
  expect([short.state, medium.state, long.state]).toEqual(['resolved', 'pending', 'pending'])
  expect(short.value).toMatchObject({ kind: 'background' })
  expect(await task.record()).toMatchObject({ caller: 'attached' })
  await advance(100)
  expect([medium.state, long.state]).toEqual(['resolved', 'pending'])
  work.call(0).resolve('done')
  await advance(0)
  expect(long.value).toMatchObject({ kind: 'inline', value: 'done' })
})

test('an attacher beside the first caller leaves that caller its own soft deadline', async () => {
  const { ann, advance } = setup({ inlineMs: 1_000 })
  const work = controllableTool('work')
  const first = watch(ann.run(work.tool, undefined))
  await advance(500)
  const second = watch(ann.attach('task-1', { waitMs: 10_000 }))
  await advance(500)
  expect(first.value).toMatchObject({ kind: 'background' })
  expect(second.state).toBe('pending')
  expect(await ann.get('task-1')).toMatchObject({ caller: 'attached' })
})

test('attach whose signal aborts rejects with its reason; the last to leave detaches the task', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const leaving = new AbortController()
  const attached = watch(task.attach({ signal: leaving.signal }))
  await settle()
  leaving.abort('gone')
  await settle()
  expect(attached.error).toBe('gone')
  expect(await task.record()).toMatchObject({ status: 'running', caller: 'detached' })
})

test('attach to a task with an explicit target answers with its ticket', async () => {
  const { ann, settle, sent } = setupWithHome()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined, { deliverTo: 'away:7' })
  expect(await task.attach()).toMatchObject({ kind: 'background', ticket: { target: 'away:7' } })
  work.call(0).resolve('to the channel')
  await settle()
  expect(sent).toHaveLength(1)
})

test('attach to a task with a default target takes the result inline, and nothing is delivered', async () => {
  const { ann, settle, sent } = setupWithHome({ deliverTo: 'home' })
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  const attached = watch(task.attach())
  work.call(0).resolve('inline')
  await settle()
  expect(attached.value).toMatchObject({ kind: 'inline', value: 'inline' })
  expect(await task.record()).toMatchObject({ caller: 'attached' })
  expect(sent).toEqual([])
})

test('attach to a final task gives its value or throws how it ended', async () => {
  const { ann } = setup()
  const good = await ann.spawn(() => ({ n: 1 }), undefined)
  const bad = await ann.spawn(() => Promise.reject(new Error('broken')), undefined)
  await ann.waitAll([good.taskId, bad.taskId])
  expect(await good.attach()).toEqual({
    kind: 'inline',
    value: { n: 1 },
    persisted: false,
    taskId: good.taskId,
  })
  await expect(bad.attach()).rejects.toMatchObject({ code: 'task_failed', failure: { message: 'broken' } })
})

test('attach to a task whose end is not public yet waits for it and gets the value', async () => {
  const { ann, open, release, hold } = setupHeld()
  await open()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  hold()
  work.call(0).resolve('done')
  await passTurns(2)
  const attached = watch(task.attach())
  await passTurns(2)
  expect(attached.state).toBe('pending')
  await release()
  expect(attached.value).toMatchObject({ kind: 'inline', value: 'done' })
})

test('whoever attaches while a ticket is on its way stays, and the ticket still comes', async () => {
  const { ann, clock, open, hold, release } = setupHeld({ inlineMs: 1_000 })
  await open()
  const work = controllableTool<undefined, string>('work')
  const first = watch(ann.run(work.tool, undefined, { durable: true }))
  hold()
  await clock.advance(1_000)
  const second = watch(ann.attach('task-1'))
  await release()
  expect(first.value).toMatchObject({ kind: 'background', ticket: { taskId: 'task-1' } })
  expect(second.state).toBe('pending')
  work.call(0).resolve('done')
  await release()
  expect(second.value).toMatchObject({ kind: 'inline', value: 'done' })
})

test('an attacher that leaves while the ticket of another is on its way leaves the task detached', async () => {
  const sent: string[] = []
  const channels = { home: callbackChannel(({ message }) => void sent.push(message.taskId)) }
  const { ann, clock, open, hold, release } = setupHeld({ inlineMs: 1_000, channels, deliverTo: 'home' })
  await open()
  const work = controllableTool<undefined, string>('work')
  const first = watch(ann.run(work.tool, undefined, { durable: true }))
  hold()
  await clock.advance(1_000)
  const leaving = new AbortController()
  const second = watch(ann.attach('task-1', { signal: leaving.signal }))
  await passTurns(2)
  leaving.abort('gone')
  await release()
  expect(second.error).toBe('gone')
  expect(first.value).toMatchObject({ kind: 'background' })
  work.call(0).resolve('done')
  await release()
  expect(sent).toEqual(['task-1'])
})

test('the log tells every move between attached and detached', async () => {
  const { ann, advance, settle } = setup({ inlineMs: 100 })
  const work = controllableTool('work')
  watch(ann.run(work.tool, undefined))
  await advance(100)
  watch(ann.attach('task-1', { waitMs: 50 }))
  await advance(50)
  watch(ann.attach('task-1'))
  await settle()
  await ann.background('task-1')
  work.call(0).resolve(1)
  const { items, ended } = collect(ann.events({ taskId: 'task-1' }))
  await ended
  expect(
    items.filter(isTaskEvent).map((event) => ('reason' in event ? `${event.type} ${event.reason}` : event.type)),
  ).toEqual([
    'task.queued',
    'task.started',
    'task.backgrounded deadline',
    'task.attached',
    'task.backgrounded deadline',
    'task.attached',
    'task.backgrounded request',
    'task.completed',
  ])
})
