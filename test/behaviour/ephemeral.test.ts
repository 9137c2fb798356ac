import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { recordingStore } from '../support/recording-store.ts'
import { collect, setup, watch } from '../support/setup.ts'

function setupRecorded(options = {}) {
  const store = recordingStore()
  return { recorded: store, ...setup({ ...options, store }) }
}

test('a quick call writes nothing to the store, whatever it reports and however it ends', async () => {
  const { ann, recorded, settle } = setupRecorded()
  await ann.run((_input: undefined, ctx) => {
    ctx.progress(0.5)
    ctx.output('chunk')
    ctx.emit('step', { n: 1 })
    ctx.usage({ tokens: 3 })
    return ctx.signal.aborted
  }, undefined)
  await expect(ann.run(() => Promise.reject(new Error('x')), undefined)).rejects.toThrow('x')
  await settle()
  expect(recorded.commits).toEqual([])
  expect(await ann.stats()).toEqual({ byStatus: {}, live: 0 })
})

test('an ephemeral call is known while it lives and not after its end', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  watch(ann.run(work.tool, undefined))
  await settle()
  expect(await ann.get('task-1')).toMatchObject({ status: 'running', caller: 'attached' })
  expect(await ann.stats()).toEqual({ byStatus: { running: 1 }, live: 1 })
  expect((await ann.list()).tasks).toEqual([])
  work.call(0).resolve(1)
  await settle()
  expect(await ann.get('task-1')).toBeUndefined()
  await expect(ann.result('task-1')).rejects.toMatchObject({ code: 'task_not_found' })
})

test('a look at an ephemeral call, or a list, leaves it ephemeral', async () => {
  const { ann, recorded, settle } = setupRecorded()
  const work = controllableTool('work')
  watch(ann.run(work.tool, undefined))
  await settle()
  await ann.get('task-1')
  await ann.list()
  await ann.stats()
  await ann.hasRunning()
  work.call(0).resolve(1)
  await settle()
  expect(recorded.commits).toEqual([])
})

test('an ephemeral call that is cancelled ends its caller and leaves no trace', async () => {
  const { ann, recorded, settle } = setupRecorded()
  const work = controllableTool('work', { honoursSignal: true })
  const call = watch(ann.run(work.tool, undefined))
  await settle()
  expect(await ann.cancel('task-1', { note: 'no more' })).toEqual({
    count: 1,
    tasks: [{ taskId: 'task-1', status: 'cancelled' }],
  })
  await settle()
  expect(call.error).toMatchObject({ code: 'task_cancelled', stopCause: { note: 'no more' } })
  expect(recorded.commits).toEqual([])
})

test('events of an ephemeral call are live only and say so', async () => {
  const { ann, settle } = setup()
  const { items } = collect(ann.events({ after: 'now' }))
  await settle()
  await ann.run((_input: undefined, ctx) => ctx.emit('step'), undefined)
  await settle()
  expect(items).toMatchObject([
    { type: 'task.queued', seq: 1, ephemeral: true },
    { type: 'task.started', seq: 2, ephemeral: true },
    { type: 'task.custom', seq: 3, ephemeral: true },
    { type: 'task.completed', seq: 4, ephemeral: true },
  ])
  for (const item of items) expect(item).not.toHaveProperty('cursor')
  const late = collect(ann.events())
  await settle()
  expect(late.items).toEqual([])
})

test('a result that could not be kept is no matter for a call that is not', async () => {
  const { ann } = setup()
  const outcome = await ann.run(() => new Set([1n]), undefined)
  expect(outcome).toMatchObject({ kind: 'inline', value: new Set([1n]) })
})

test('a thousand quick calls leave no timers and nothing live', async () => {
  const { ann, clock, recorded, settle } = setupRecorded()
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => ann.run(async (x: number) => x, n)))
  await settle()
  expect(clock.heldTimerCount()).toBe(0)
  expect(recorded.commits).toEqual([])
  expect(await ann.stats()).toEqual({ byStatus: {}, live: 0 })
})
