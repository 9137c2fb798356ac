import { AsyncLocalStorage } from 'node:async_hooks'
import { isTaskError } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { KEEP_ALL } from '../support/branches.ts'
import { collect, setup, watch } from '../support/setup.ts'
import { eventsOf } from '../support/stream-views.ts'

const PER_TURN = 1_000
const MANY = 2_400
const indexes = Array.from({ length: MANY }, (_, index) => index)
/** What a promise causes takes some microtasks, and no turn. */
const afterMicrotasks = async (): Promise<void> => {
  for (let hop = 0; hop < 20; hop += 1) await Promise.resolve()
}

test('calls that start in one turn start in their order, 1,000 a turn', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool<number>('work')
  const calls = indexes.map((index) => watch(ann.run(work.tool, index)))
  expect(work.calls).toHaveLength(PER_TURN)
  expect((await tasks.operator.stats()).live).toBe(MANY)
  await settle()
  expect(work.calls.map(({ input }) => input)).toEqual(indexes)
  for (const call of work.calls) call.resolve(call.input)
  await settle()
  expect(calls.map(({ value }) => value)).toEqual(indexes.map((value) => ({ kind: 'inline', value, persisted: false })))
})

test('background tasks that start in one turn have their events in the order of the calls', async () => {
  const { ann, settle } = setup({ retention: KEEP_ALL })
  const handles = await Promise.all(indexes.map((index) => ann.spawn(() => index)))
  await settle()
  const log = collect(ann.events())
  await settle()
  const queued = eventsOf(log.items).filter(({ type }) => type === 'task.queued')
  expect(new Set(queued.map(({ taskId }) => taskId))).toEqual(new Set(handles.map(({ taskId }) => taskId)))
  expect(queued).toHaveLength(MANY)
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(indexes)
})

test('a call whose start waits for its turn can be cancelled, and its code never runs', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<number>('work', { honoursSignal: true })
  const calls = indexes.map((index) => watch(ann.run(work.tool, index)))
  const report = await ann.cancelAll()
  await settle()
  expect(report.count).toBe(MANY)
  expect(report.tasks.every(({ status }) => status === 'cancelled')).toBe(true)
  expect(work.calls).toHaveLength(PER_TURN)
  expect(calls.every(({ error }) => isTaskError(error, 'task_cancelled'))).toBe(true)
})

test('a parent awaits children whose starts wait for their turns', async () => {
  const { ann } = setup({ retention: KEEP_ALL })
  const parent = await ann.spawn((_: undefined, ctx) => {
    for (const index of indexes) void ctx.spawn(() => index)
    return 'done'
  })
  expect((await parent.wait()).status).toBe('completed')
  const { tasks } = await ann.list({ parent: parent.taskId, limit: 1_000 })
  expect(tasks.every(({ status }) => status === 'completed')).toBe(true)
  expect(tasks).toHaveLength(1_000)
})

test('code that starts in a later turn has the async context of its call', async () => {
  const { ann, settle } = setup()
  const request = new AsyncLocalStorage<number>()
  const seen: (number | undefined)[] = []
  for (const index of indexes) request.run(index, () => void ann.run(() => void seen.push(request.getStore())))
  await settle()
  expect(seen).toEqual(indexes)
})

test('code that ends in one turn answers in its order, 1,000 a turn', async () => {
  const { ann, settle } = setup()
  const work = controllableTool<number>('work')
  const answered: number[] = []
  for (const index of indexes) void ann.run(work.tool, index).then(() => answered.push(index))
  await settle()
  for (const call of work.calls) call.resolve(call.input)
  await afterMicrotasks()
  expect(answered).toEqual(indexes.slice(0, PER_TURN))
  await settle()
  expect(answered).toEqual(indexes)
})

test('an end that waits for its turn stands, whatever cancel or deadline comes before that turn', async () => {
  const { ann, clock, settle } = setup()
  const work = controllableTool<number>('work')
  const calls = indexes.map((index) => watch(ann.run(work.tool, index, { timeoutMs: 5_000, inlineMs: 4_000 })))
  await settle()
  for (const call of work.calls) call.resolve(call.input)
  await afterMicrotasks()
  expect(calls.filter(({ state }) => state === 'pending')).toHaveLength(MANY - PER_TURN)
  const report = await ann.cancelAll()
  await clock.advance(10_000)
  expect(report.tasks.every(({ status }) => status === 'completed')).toBe(true)
  expect(calls.map(({ value }) => value)).toEqual(indexes.map((value) => ({ kind: 'inline', value, persisted: false })))
})

test.each([
  [PER_TURN, PER_TURN],
  [PER_TURN + 1, 0],
])(
  'of %d tasks that are cancelled together, %d have their signal in that turn, and none starts anything',
  async (count, sent) => {
    const { ann, settle } = setup()
    const work = controllableTool<number>('work', { honoursSignal: true })
    const calls = indexes.slice(0, count).map((index) => watch(ann.run(work.tool, index)))
    await settle()
    const signals = work.calls.map(({ ctx }) => ctx.signal)
    const cancel = watch(ann.cancelAll())
    expect(signals.filter(({ aborted }) => aborted)).toHaveLength(sent)
    await expect(work.call(0).ctx.spawn(() => 1)).rejects.toMatchObject({ code: 'parent_stopping' })
    await settle()
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(cancel.value?.count).toBe(count)
    expect(calls.every(({ error }) => isTaskError(error, 'task_cancelled'))).toBe(true)
  },
)

test.each(['cancelSignal', 'signal'] as const)(
  'calls that share a %s have it in their order, 1,000 a turn, and those that end meanwhile keep their ends',
  async (option) => {
    const { ann, tasks, clock, settle } = setup({ inlineMs: Infinity })
    const work = controllableTool<number>('work')
    const stop = new AbortController()
    const calls = indexes.map((index) => watch(ann.run(work.tool, index, { [option]: stop.signal })))
    await settle()
    stop.abort(new Error('enough'))
    await afterMicrotasks()
    const isReached = (index: number): boolean =>
      option === 'signal' ? calls[index]?.state === 'rejected' : work.call(index).ctx.signal.aborted
    expect(indexes.filter(isReached)).toEqual(indexes.slice(0, PER_TURN))
    const last = MANY - 1
    work.call(last).resolve(last)
    await settle()
    expect(calls[last]?.value).toEqual({ kind: 'inline', value: last, persisted: false })
    await clock.advance(10_000)
    expect(calls.slice(0, last).every(({ state }) => state === 'rejected')).toBe(true)
    expect((await tasks.operator.stats()).live).toBe(option === 'signal' ? last : 0)
    for (const call of work.calls) call.resolve(call.input)
    await settle()
    expect((await tasks.operator.stats()).live).toBe(0)
  },
)
