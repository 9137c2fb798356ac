import { AsyncLocalStorage } from 'node:async_hooks'
import {
  createTaskSupervisor,
  defineTool,
  isTaskError,
  isTaskEvent,
  memoryStore,
  type RetryExhausted,
  type RetryPolicy,
  type StreamItem,
  type TaskContext,
  type TaskFailure,
} from 'outlive'
import { controllableTool, createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { breachesOf, wholeLog } from '../support/branches.ts'
import { recordingStore } from '../support/recording-store.ts'
import { collect, isLateStore, setup, watch } from '../support/setup.ts'

/** Delays of 100, 200, 400 ms and so on. */
const EVEN: RetryPolicy = { maxAttempts: 4, baseMs: 100, jitter: 'none' }

const typesOf = (items: readonly StreamItem[], taskId: string): string[] =>
  items.filter(isTaskEvent).flatMap((event) => (event.taskId === taskId ? [event.type] : []))

test('a task that fails twice is tried again and completes: one task, one terminal event, one answer', async () => {
  const harness = setup()
  const { ann, advance } = harness
  const work = controllableTool<undefined, string>('work', { policy: { retry: EVEN } })
  const task = await ann.spawn(work.tool, undefined)
  work.call(0).reject(new Error('first'))
  await advance(99)
  expect(work.calls).toHaveLength(1)
  expect(await task.record()).toMatchObject({ status: 'retrying', attempt: 1, failure: { message: 'first' } })
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'running', attempt: 2, epoch: 2 })
  expect((await task.record()).failure).toBeUndefined()
  work.call(1).reject(new TypeError('second'))
  await advance(200)
  expect(work.calls.map(({ ctx }) => [ctx.taskId, ctx.attempt])).toEqual([1, 2, 3].map((n) => [task.taskId, n]))
  work.call(2).resolve('done')
  expect(await task.result()).toBe('done')
  const record = await task.record()
  expect(record).toMatchObject({ status: 'completed', attempt: 3 })
  expect(record.failure).toBeUndefined()
  expect(record.dueAt).toBeUndefined()
  const log = await wholeLog(harness)
  const startedAt = record.startedAt ?? NaN
  expect(log).toMatchObject([
    { type: 'task.queued', seq: 1 },
    { type: 'task.started', attempt: 1, epoch: 1 },
    { type: 'task.retrying', attempt: 1, failure: { code: 'tool_error', message: 'first' }, dueAt: startedAt + 100 },
    { type: 'task.started', attempt: 2, epoch: 2 },
    { type: 'task.retrying', attempt: 2, failure: { name: 'TypeError' }, dueAt: startedAt + 300 },
    { type: 'task.started', attempt: 3, epoch: 3 },
    { type: 'task.completed', durationMs: 300 },
  ])
  expect(breachesOf(log)).toEqual([])
})

test('the last attempt fails the task with its own failure, and nothing is armed any more', async () => {
  const { ann, advance, clock } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { retry: { ...EVEN, maxAttempts: 2 } })
  work.call(0).reject(new Error('first'))
  await advance(100)
  work.call(1).reject(new Error('second'))
  expect(await task.wait()).toMatchObject({ status: 'failed', attempt: 2, failure: { message: 'second' } })
  await advance(100_000)
  expect(work.calls).toHaveLength(2)
  expect(clock.heldTimerCount()).toBe(0)
})

test('a call that waits inline gets the value of whichever attempt gives one, and leaves no trace', async () => {
  const store = recordingStore(memoryStore())
  const { ann, advance, settle } = setup({ store })
  const work = controllableTool<undefined, string>('work', { policy: { retry: EVEN } })
  const call = watch(ann.run(work.tool, undefined))
  work.call(0).reject(new Error('first'))
  await settle()
  const record = await ann.get(work.call(0).ctx.taskId)
  expect(record).toMatchObject({ status: 'retrying', attempt: 1, dueAt: (record?.startedAt ?? NaN) + 100 })
  await advance(100)
  work.call(1).resolve('done')
  await settle()
  expect(call.value).toEqual({ kind: 'inline', value: 'done', persisted: false })
  expect(store.written()).toEqual([])
  expect(await ann.get(work.call(0).ctx.taskId)).toBeUndefined()
})

test('a caller who waits inline gets what the last attempt threw, as it is', async () => {
  const { ann, advance } = setup()
  const work = controllableTool('work')
  const call = watch(ann.run(work.tool, undefined, { retry: { ...EVEN, maxAttempts: 2 } }))
  work.call(0).reject(new Error('first'))
  await advance(100)
  const last = new Error('second')
  work.call(1).reject(last)
  await advance(1)
  expect(call.error).toBe(last)
})

test('a caller whose patience ends while its task is retrying gets a ticket, and the log of the whole past', async () => {
  const harness = setup({ inlineMs: 150 })
  const { ann, advance } = harness
  const work = controllableTool<undefined, string>('work', { policy: { retry: { ...EVEN, factor: 10 } } })
  const call = watch(ann.run(work.tool, undefined))
  work.call(0).ctx.output('one')
  work.call(0).reject(new Error('first'))
  await advance(100)
  work.call(1).ctx.output('two')
  work.call(1).reject(new Error('second'))
  await advance(50)
  expect(call.value).toMatchObject({ kind: 'background', ticket: { status: 'retrying' } })
  await advance(950)
  work.call(2).resolve('done')
  expect(await ann.result(work.call(0).ctx.taskId)).toBe('done')
  const log = await wholeLog(harness)
  expect(log.map((item) => [item.type, 'seq' in item && item.seq, 'epoch' in item && item.epoch])).toEqual([
    ['task.queued', 1, 1],
    ['task.started', 2, 1],
    ['task.output', 3, 1],
    ['task.retrying', 4, 1],
    ['task.started', 5, 2],
    ['task.output', 6, 2],
    ['task.retrying', 7, 2],
    ['task.backgrounded', 8, 2],
    ['task.started', 9, 3],
    ['task.completed', 10, 3],
  ])
  expect(breachesOf(log)).toEqual([])
})

test('a call may switch the retries of its tool off, or have its own', async () => {
  const { ann, advance, settle } = setup()
  const work = controllableTool('work', { policy: { retry: EVEN } })
  const once = await ann.spawn(work.tool, undefined, { retry: false })
  work.call(0).reject(new Error('broken'))
  await settle()
  expect(await once.record()).toMatchObject({ status: 'failed', attempt: 1 })
  const twice = await ann.spawn(work.tool, undefined, { retry: { maxAttempts: 2, baseMs: 5_000, jitter: 'none' } })
  work.call(1).reject(new Error('broken'))
  await advance(4_999)
  expect(await twice.record()).toMatchObject({ status: 'retrying' })
  await advance(1)
  work.call(2).reject(new Error('broken'))
  expect(await twice.wait()).toMatchObject({ status: 'failed', attempt: 2 })
})

test('the defaults are three attempts, half a second, doubled, with full jitter', async () => {
  const { ann, advance, clock } = setup({ random01: () => 0.5 })
  const work = controllableTool('work', { policy: { retry: {} } })
  const task = await ann.spawn(work.tool, undefined)
  const delays: number[] = []
  for (const attempt of [0, 1]) {
    work.call(attempt).reject(new Error('broken'))
    await advance(0)
    const { dueAt = NaN } = await task.record()
    delays.push(dueAt - clock.now())
    await advance(dueAt - clock.now())
  }
  work.call(2).reject(new Error('broken'))
  expect((await task.wait()).status).toBe('failed')
  expect(delays).toEqual([250, 500])
})

test('the filter gets the failure and the error, and decides; a refused failure exhausts nothing', async () => {
  const { ann, advance, settle } = setup()
  const asked: unknown[] = []
  const told: unknown[] = []
  const retryIf = (failure: TaskFailure, error: unknown): boolean => {
    asked.push([failure.message, error])
    return failure.message === 'again'
  }
  const work = controllableTool('work', {
    policy: { retry: { ...EVEN, retryIf, onExhausted: (failure) => told.push(failure) } },
  })
  const task = await ann.spawn(work.tool, undefined)
  const errors = [new Error('again'), new Error('never')]
  work.call(0).reject(errors[0])
  await advance(100)
  work.call(1).reject(errors[1])
  await settle()
  expect(asked).toEqual([
    ['again', errors[0]],
    ['never', errors[1]],
  ])
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 2, failure: { message: 'never' } })
  expect(told).toEqual([])
})

test.each<readonly [string, () => boolean, string]>([
  [
    'throws',
    () => {
      throw new Error('broken filter')
    },
    'broken filter',
  ],
  ['gives a promise', (() => Promise.resolve(true)) as unknown as () => boolean, 'boolean'],
  ['gives nothing', (() => undefined) as unknown as () => boolean, 'boolean'],
])('a filter that %s is reported and retries nothing', async (_what, retryIf, message) => {
  const { ann, settle, logged } = setup()
  const work = controllableTool('work', { policy: { retry: { ...EVEN, retryIf } } })
  const task = await ann.spawn(work.tool, undefined)
  work.call(0).reject(new Error('broken'))
  await settle()
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 1, failure: { message: 'broken' } })
  expect(logged).toMatchObject([
    {
      level: 'error',
      message: 'retryIf threw; the task is not tried again',
      fields: {
        taskId: task.taskId,
        tool: 'work',
        owner: 'ann',
        error: { message: expect.stringContaining(message) as string },
      },
    },
  ])
})

test.each(['has thrown', 'takes too long', 'was slow to stop'])(
  'a filter that cancels its task, whose code %s, has it cancelled, and none of it goes on',
  async (how) => {
    const harness = setup({ graceMs: 500 })
    const { ann, advance } = harness
    const cancelled: unknown[] = []
    const retryIf = (): boolean => {
      cancelled.push(watch(ann.cancel('task-1')))
      return true
    }
    const work = controllableTool('work', {
      honoursSignal: how !== 'was slow to stop',
      policy: { attemptTimeoutMs: 1_000, retry: { ...EVEN, retryIf } },
    })
    const task = await ann.spawn(work.tool, undefined)
    if (how === 'has thrown') work.call(0).reject(new Error('broken'))
    await advance(10_000)
    expect(cancelled).toMatchObject([{ state: 'resolved', value: { count: 1 } }])
    expect(await task.record()).toMatchObject({ status: 'cancelled', attempt: 1, cause: { reason: 'user' } })
    expect((await task.record()).failure).toBeUndefined()
    expect(work.calls).toHaveLength(1)
    expect(breachesOf(await wholeLog(harness))).toEqual([])
  },
)

test('a result that cannot be kept is no reason to run again, unless the filter says so', async () => {
  const { ann, advance } = setup()
  const calls: number[] = []
  const tool = { name: 'odd', run: (_: undefined, ctx: TaskContext) => (calls.push(ctx.attempt), new Map()) }
  const once = await ann.spawn(tool, undefined, { retry: EVEN })
  await advance(1_000)
  expect(await once.record()).toMatchObject({ attempt: 1, failure: { code: 'result_unserialisable' } })
  const again = await ann.spawn(tool, undefined, { retry: { ...EVEN, maxAttempts: 2, retryIf: () => true } })
  await advance(1_000)
  expect(await again.record()).toMatchObject({ attempt: 2, failure: { code: 'result_unserialisable' } })
  expect(calls).toEqual([1, 1, 2])
})

test('no attempt is made that would be due later than maxElapsedMs after the first start', async () => {
  const { ann, advance } = setup()
  const told: RetryExhausted[] = []
  const work = controllableTool('work', {
    policy: {
      retry: {
        ...EVEN,
        maxAttempts: 100,
        factor: 1,
        maxElapsedMs: 1_000,
        onExhausted: (_, exhausted) => told.push(exhausted),
      },
    },
  })
  const task = await ann.spawn(work.tool, undefined)
  await advance(700)
  work.call(0).reject(new Error('first'))
  await advance(100)
  await advance(100)
  work.call(1).reject(new Error('second'))
  await advance(100)
  expect((await task.record()).status).toBe('running')
  work.call(2).reject(new Error('third'))
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 3 })
  expect(told).toEqual([{ taskId: task.taskId, owner: 'ann', tool: 'work', attempts: 3, limit: 'elapsed' }])
})

test('the hook is told once, after the end is public, outside of any task', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const told: unknown[] = []
  const onExhausted = async (failure: TaskFailure, exhausted: RetryExhausted): Promise<void> => {
    const record = await ann.get(exhausted.taskId)
    const next = await ann.spawn(() => 'instead', undefined)
    told.push([failure.message, exhausted, record?.status, (await next.record()).depth])
  }
  const work = controllableTool('work', { policy: { retry: { ...EVEN, maxAttempts: 2, onExhausted } } })
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  const task = await parent.call(0).ctx.spawn(work.tool, undefined)
  await settle()
  work.call(0).reject(new Error('first'))
  await advance(100)
  work.call(1).reject(new Error('second'))
  await advance(10_000)
  const exhausted = { taskId: task.taskId, owner: 'ann', tool: 'work', attempts: 2, limit: 'attempts' }
  expect(told).toEqual([['second', exhausted, 'failed', 0]])
})

test.each<readonly [string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('broken hook')
    },
  ],
  ['rejects', () => Promise.reject(new Error('broken hook'))],
])('a hook that %s is reported and breaks nothing', async (_what, onExhausted) => {
  const { ann, settle, logged } = setup()
  const work = controllableTool('work', { policy: { retry: { maxAttempts: 1, onExhausted } } })
  const task = await ann.spawn(work.tool, undefined)
  work.call(0).reject(new Error('broken'))
  expect((await task.wait()).status).toBe('failed')
  await settle()
  expect(logged).toMatchObject([
    { level: 'error', message: 'onExhausted threw', fields: { error: { message: 'broken hook' } } },
  ])
})

test('the hook is not told of a task that completes, or that somebody stops', async () => {
  const { ann, advance } = setup()
  const told: unknown[] = []
  const work = controllableTool('work', {
    policy: { retry: { ...EVEN, maxAttempts: 2, onExhausted: (failure) => told.push(failure) } },
  })
  const completed = await ann.spawn(work.tool, undefined)
  const stopped = await ann.spawn(work.tool, undefined)
  work.call(0).reject(new Error('broken'))
  work.call(1).reject(new Error('broken'))
  await advance(100)
  work.call(2).resolve(1)
  watch(stopped.cancel())
  work.call(3).reject(new Error('broken'))
  await advance(1)
  expect([(await completed.record()).status, (await stopped.record()).status]).toEqual(['completed', 'cancelled'])
  expect(told).toEqual([])
})

test('a cancel while retrying ends the task at once, and no attempt follows', async () => {
  const harness = setup()
  const { ann, advance, clock, settle } = harness
  const work = controllableTool('work', { policy: { retry: EVEN } })
  const task = await ann.spawn(work.tool, undefined)
  work.call(0).reject(new Error('broken'))
  await settle()
  expect((await task.record()).status).toBe('retrying')
  expect(await task.cancel()).toEqual({ count: 1, tasks: [{ taskId: task.taskId, status: 'cancelled' }] })
  expect(clock.heldTimerCount()).toBe(0)
  await advance(10_000)
  expect(work.calls).toHaveLength(1)
  const record = await task.record()
  expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'user', actor: 'ann' } })
  expect([record.failure, record.dueAt, record.abandoned]).toEqual([undefined, undefined, undefined])
  const log = await wholeLog(harness)
  expect(typesOf(log, task.taskId)).toEqual(['task.queued', 'task.started', 'task.retrying', 'task.cancelled'])
  expect(breachesOf(log)).toEqual([])
})

test('a cancel of a tree reaches a child that is retrying', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const parent = controllableTool('parent', { honoursSignal: true })
  const child = controllableTool('child', { policy: { retry: EVEN } })
  const root = await ann.spawn(parent.tool, undefined)
  const below = await parent.call(0).ctx.spawn(child.tool, undefined)
  await settle()
  child.call(0).reject(new Error('broken'))
  await settle()
  const report = watch(root.cancel())
  await advance(10_000)
  expect(report.value?.tasks).toEqual([
    { taskId: below.taskId, status: 'cancelled' },
    { taskId: root.taskId, status: 'cancelled' },
  ])
  expect((await below.record()).cause).toEqual({ reason: 'parent', actor: root.taskId })
  expect(child.calls).toHaveLength(1)
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a subscriber that cancels on hearing of the retry, or of the next start, has the last word', async () => {
  for (const type of ['task.retrying', 'task.started'] as const) {
    const harness = setup()
    const { ann, advance } = harness
    const work = controllableTool('work', { honoursSignal: true, policy: { retry: EVEN } })
    const task = await ann.spawn(work.tool, undefined)
    let isArmed = false
    ann.events$({ type }).subscribe(() => {
      if (isArmed) watch(ann.cancel(task.taskId))
    })
    await advance(0)
    isArmed = true
    work.call(0).reject(new Error('broken'))
    await advance(10_000)
    expect((await task.record()).status).toBe('cancelled')
    // A late store tells of the start when the code runs already.
    expect(work.calls).toHaveLength(type === 'task.started' && isLateStore ? 2 : 1)
    expect(breachesOf(await wholeLog(harness))).toEqual([])
  }
})

test('a shutdown drops what is scheduled at once, and what would be', async () => {
  const { ann, tasks, advance, clock, settle } = setup()
  const work = controllableTool('work', { policy: { retry: { ...EVEN, baseMs: 60_000, maxMs: 60_000 } } })
  const between = await ann.spawn(work.tool, 0 as never)
  const running = await ann.spawn(work.tool, 1 as never)
  const fine = await ann.spawn(work.tool, 2 as never)
  work.call(0).reject(new Error('broken'))
  await settle()
  expect((await between.record()).status).toBe('retrying')
  const closing = watch(tasks.shutdown({ graceMs: 10_000 }))
  await settle()
  expect(await between.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'shutdown' }, attempt: 1 })
  await advance(1_000)
  work.call(1).reject(new Error('broken'))
  await settle()
  expect(await running.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'shutdown' } })
  work.call(2).resolve('value')
  await advance(100)
  expect(closing.value).toMatchObject({ completed: 1, cancelled: 2, abandoned: 0 })
  expect((await fine.record()).status).toBe('completed')
  expect(work.calls).toHaveLength(3)
  expect(clock.timerCount()).toBe(0)
  expect((await tasks.operator.stats()).counters.droppedRetries).toBe(2)
})

test('the hard deadline counts what all attempts ran, and stands still between them', async () => {
  const harness = setup()
  const { ann, advance } = harness
  const work = controllableTool('work', {
    honoursSignal: true,
    policy: { retry: { ...EVEN, baseMs: 5_000, factor: 1 } },
  })
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  await advance(600)
  work.call(0).reject(new Error('broken'))
  await advance(5_000)
  const { startedAt = NaN, dueAt } = await task.record()
  expect(dueAt).toBe(startedAt + 5_600 + 400)
  await advance(399)
  expect((await task.record()).status).toBe('running')
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 2, failure: { code: 'timeout' } })
  await advance(100_000)
  expect(work.calls).toHaveLength(2)
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('an attempt that has used up the running time of its task is the last', async () => {
  const { ann, advance } = setup()
  const told: RetryExhausted[] = []
  const retry: RetryPolicy = { ...EVEN, onExhausted: (_, exhausted) => told.push(exhausted) }
  const work = controllableTool('work', { honoursSignal: true, policy: { retry, attemptTimeoutMs: 1_000 } })
  const task = await ann.spawn(work.tool, undefined, { timeoutMs: 1_000 })
  await advance(100_000)
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 1, failure: { code: 'timeout' } })
  expect(work.calls).toHaveLength(1)
  // Whichever of the two limits came first.
  expect(told.length).toBeLessThanOrEqual(1)
})

test('an attempt that takes too long is stopped alone: its own signal, its own failure, and the next one starts', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const work = controllableTool('work', { honoursSignal: true, policy: { retry: EVEN, attemptTimeoutMs: 1_000 } })
  const task = await ann.spawn(work.tool, undefined)
  await settle()
  const first = work.call(0).ctx.signal
  expect((await task.record()).dueAt).toBe(((await task.record()).startedAt ?? NaN) + 1_000)
  await advance(999)
  expect(first.aborted).toBe(false)
  await advance(1)
  expect(isTaskError(first.reason, 'task_stopped')).toBe(true)
  expect(first.reason).toMatchObject({ stopCause: { reason: 'timeout' } })
  expect(await task.record()).toMatchObject({ status: 'retrying', failure: { code: 'timeout' } })
  expect((await task.record()).cause).toBeUndefined()
  await advance(100)
  const { ctx } = work.call(1)
  expect(ctx.signal).not.toBe(first)
  expect(ctx.signal.aborted).toBe(false)
  // Who looks at the past sees the past.
  expect(work.call(0).ctx.signal).toBe(first)
  await advance(999)
  work.call(1).resolve('done')
  expect(await task.result()).toBe('done')
  expect(ctx.signal.aborted).toBe(false)
  const log = await wholeLog(harness)
  expect(typesOf(log, task.taskId)).toEqual([
    'task.queued',
    'task.started',
    'task.stopping',
    'task.retrying',
    'task.started',
    'task.completed',
  ])
  expect(log.find((item) => item.type === 'task.stopping')).toMatchObject({ stopCause: { reason: 'timeout' } })
  expect(breachesOf(log)).toEqual([])
})

test('an attempt that ends by itself leaves its signal alone, whatever becomes of the next', async () => {
  const { ann, advance } = setup()
  const work = controllableTool('work', { policy: { retry: EVEN } })
  const task = await ann.spawn(work.tool, undefined)
  const { signal } = work.call(0).ctx
  work.call(0).reject(new Error('broken'))
  await advance(100)
  watch(task.cancel())
  await advance(10_000)
  expect(work.call(1).ctx.signal.aborted).toBe(true)
  expect(signal.aborted).toBe(false)
  expect(work.call(0).ctx.signal).toBe(signal)
})

test('a signal that is read for the first time when its attempt is over tells how that ended', async () => {
  const { ann, advance } = setup({ graceMs: 50 })
  const work = controllableTool('work', { policy: { retry: EVEN, attemptTimeoutMs: 1_000 } })
  await ann.spawn(work.tool, undefined)
  await advance(1_150)
  work.call(1).reject(new Error('broken'))
  await advance(200)
  expect(work.calls).toHaveLength(3)
  expect(work.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'timeout' } })
  expect(work.call(1).ctx.signal.aborted).toBe(false)
})

test('an attempt timeout without retries, or after the last, fails the task', async () => {
  const harness = setup()
  const { ann, advance } = harness
  const work = controllableTool('work', { honoursSignal: true, policy: { attemptTimeoutMs: 1_000 } })
  const once = await ann.spawn(work.tool, undefined)
  await advance(1_000)
  expect(await once.record()).toMatchObject({
    status: 'failed',
    cause: { reason: 'timeout' },
    failure: { code: 'timeout' },
  })
  const twice = await ann.spawn(work.tool, undefined, { retry: { ...EVEN, maxAttempts: 2 } })
  await advance(2_100)
  expect(await twice.record()).toMatchObject({ status: 'failed', attempt: 2, failure: { code: 'timeout' } })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('code that ignores the end of its attempt is let go after the grace, and what it does later counts for nothing', async () => {
  const harness = setup({ graceMs: 2_000 })
  const { ann, tasks, advance, settle, logged } = harness
  const work = controllableTool<undefined, string>('deaf', { policy: { retry: EVEN, attemptTimeoutMs: 1_000 } })
  const task = await ann.spawn(work.tool, undefined)
  await advance(2_999)
  expect(await task.record()).toMatchObject({ status: 'stopping', cause: { reason: 'timeout' } })
  await advance(1)
  // The delay was over before the grace was.
  expect(await task.record()).toMatchObject({ status: 'running', attempt: 2 })
  expect((await task.record()).abandoned).toBeUndefined()
  expect(logged).toMatchObject([
    { level: 'warn', message: 'the work ignores its signal; the attempt was let go', fields: { attempt: 1 } },
  ])
  const zombie = work.call(0).ctx
  zombie.progress(0.1)
  zombie.output('late')
  zombie.emit('late')
  zombie.usage({ tokens: 5 })
  await expect(zombie.spawn(() => 1)).rejects.toMatchObject({ code: 'parent_stopping' })
  await expect(zombie.run(() => 1)).rejects.toMatchObject({ code: 'parent_stopping' })
  await expect(zombie.holdKey('late')).rejects.toMatchObject({ code: 'parent_stopping' })
  work.call(0).resolve('late')
  await settle()
  expect((await task.record()).status).toBe('running')
  work.call(1).resolve('right')
  expect(await task.result()).toBe('right')
  const { counters } = await tasks.operator.stats()
  expect(counters).toMatchObject({ abandonedAttempts: 1, abandonedTasks: 0, lateOutcomes: 1, lateReports: 4 })
  const log = await wholeLog(harness)
  expect(log.find((item) => item.type === 'task.retrying')).toMatchObject({ attempt: 1, abandoned: true })
  expect(typesOf(log, task.taskId)).not.toContain('task.output')
  expect((await task.record()).usage).toBeUndefined()
  expect(breachesOf(log)).toEqual([])
})

test('code that an attempt left behind is no parent once the attempt is over, though its task lives', async () => {
  const { ann, advance, settle } = setup()
  const refused: unknown[] = []
  let goOn = (): void => undefined
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  const endless = controllableTool('endless')
  const task = await ann.spawn(
    (_: undefined, ctx: TaskContext): unknown => {
      if (ctx.attempt > 1) return new Promise(() => undefined)
      const leftBehind = async (): Promise<void> => {
        await gate
        refused.push(await ann.spawn(endless.tool, undefined).catch((error: unknown) => error))
      }
      void leftBehind()
      throw new Error('broken')
    },
    undefined,
    { retry: EVEN },
  )
  await advance(100)
  expect(await task.record()).toMatchObject({ status: 'running', attempt: 2 })
  goOn()
  await settle()
  expect(refused).toMatchObject([{ code: 'parent_stopping' }])
})

test('a cancel while an attempt is torn down stops the task where the next attempt would have been', async () => {
  const harness = setup({ graceMs: 2_000 })
  const { ann, advance, settle } = harness
  const work = controllableTool('deaf', { policy: { retry: EVEN, attemptTimeoutMs: 1_000 } })
  const task = await ann.spawn(work.tool, undefined)
  await advance(2_000)
  const cancelled = watch(task.cancel())
  await settle()
  expect(cancelled.state).toBe('pending')
  await advance(1_000)
  expect(cancelled.value?.tasks).toEqual([{ taskId: task.taskId, status: 'cancelled' }])
  await advance(10_000)
  expect(work.calls).toHaveLength(1)
  expect(await task.record()).toMatchObject({ cause: { reason: 'user' } })
  const log = await wholeLog(harness)
  expect(typesOf(log, task.taskId).slice(2)).toEqual(['task.stopping', 'task.retrying', 'task.cancelled'])
  expect(breachesOf(log)).toEqual([])
})

test('the children of a failed attempt are gone before the task retries, and the next attempt has its own', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const parent = controllableTool('parent', { policy: { retry: EVEN } })
  const child = controllableTool('child')
  const task = await ann.spawn(parent.tool, undefined)
  const first = await parent.call(0).ctx.spawn(child.tool, undefined)
  await settle()
  parent.call(0).reject(new Error('broken'))
  await advance(1_000)
  expect((await task.record()).status).toBe('stopping')
  expect(child.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: task.taskId } })
  child.call(0).resolve('at last')
  await advance(0)
  expect((await first.record()).status).toBe('cancelled')
  expect(await task.record()).toMatchObject({ status: 'running', attempt: 2 })
  const second = await parent.call(1).ctx.spawn(child.tool, undefined)
  await settle()
  parent.call(1).resolve('done')
  await settle()
  expect((await task.record()).status).toBe('finishing')
  child.call(1).resolve('done')
  expect(await task.result()).toBe('done')
  expect((await second.record()).status).toBe('completed')
  const log = await wholeLog(harness)
  expect(breachesOf(log)).toEqual([])
  expect(typesOf(log, task.taskId)).toEqual([
    'task.queued',
    'task.started',
    'task.stopping',
    'task.retrying',
    'task.started',
    'task.finishing',
    'task.completed',
  ])
})

test('a child that fails its parent fails an attempt of it: the others stop, and all is tried again', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const parent = controllableTool('parent', {
    honoursSignal: true,
    policy: { onChildFailure: 'fail', retry: { ...EVEN, maxAttempts: 2 } },
  })
  const child = controllableTool<number>('child', { honoursSignal: true })
  const task = await ann.spawn(parent.tool, undefined)
  for (const attempt of [0, 1]) {
    const { ctx } = parent.call(attempt)
    for (const index of [0, 1, 2]) await ctx.spawn(child.tool, index)
    await settle()
    child.call(3 * attempt + 1).reject(new Error('broken'))
    await settle()
    const cause = { reason: 'child_failed', actor: child.call(3 * attempt + 1).ctx.taskId }
    expect(ctx.signal.reason).toMatchObject({ stopCause: cause })
    for (const index of [0, 2]) {
      expect(child.call(3 * attempt + index).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent' } })
    }
    await advance(100)
  }
  expect(await task.record()).toMatchObject({
    status: 'failed',
    attempt: 2,
    cause: { reason: 'child_failed' },
    failure: { code: 'child_failed', cause: { message: 'broken' } },
  })
  expect((await ann.stats()).byStatus).toEqual({ failed: 3, cancelled: 4 })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a child that fails a parent whose code has succeeded undoes that: its value is forgotten and the code runs again', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const parent = controllableTool<undefined, string>('parent', { policy: { onChildFailure: 'fail', retry: EVEN } })
  const child = controllableTool('child')
  const task = await ann.spawn(parent.tool, undefined)
  await parent.call(0).ctx.spawn(child.tool, undefined)
  await settle()
  parent.call(0).resolve('first')
  await settle()
  expect((await task.record()).status).toBe('finishing')
  child.call(0).reject(new Error('broken'))
  await advance(100)
  expect(await task.record()).toMatchObject({ status: 'running', attempt: 2 })
  parent.call(1).resolve('second')
  expect(await task.result()).toBe('second')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('what an attempt gave that a child undid is not kept as partial when the next one fails', async () => {
  const { ann, advance, settle } = setup()
  const parent = controllableTool<undefined, string>('parent', {
    policy: { onChildFailure: 'fail', retry: { ...EVEN, maxAttempts: 2 } },
  })
  const child = controllableTool('child')
  const task = await ann.spawn(parent.tool, undefined)
  await parent.call(0).ctx.spawn(child.tool, undefined)
  await settle()
  parent.call(0).resolve('first')
  child.call(0).reject(new Error('broken'))
  await advance(100)
  parent.call(1).reject(new Error('second'))
  const record = await task.wait()
  expect(record).toMatchObject({ status: 'failed', attempt: 2, failure: { message: 'second' } })
  expect(record.partial).toBeUndefined()
})

test('each attempt that is deaf has the whole grace', async () => {
  const { ann, advance } = setup({ graceMs: 2_000 })
  const work = controllableTool('deaf', { policy: { retry: EVEN, attemptTimeoutMs: 1_000 } })
  await ann.spawn(work.tool, undefined)
  await advance(3_000)
  expect(work.calls).toHaveLength(2)
  await advance(2_999)
  expect(work.calls).toHaveLength(2)
  await advance(1)
  expect(work.calls).toHaveLength(3)
})

test('no attempt begins once a cancel is accepted, although its signal comes in a later slice', async () => {
  // Time passes without a turn of the loop, so that the slices after the first wait.
  const clock = createManualClock({ settle: () => Promise.resolve() })
  const tasks = createTaskSupervisor({ clock, logger: { warn: () => undefined, error: () => undefined } })
  const work = controllableTool('work', { honoursSignal: true, policy: { retry: EVEN } })
  const first = await tasks.spawn(work.tool, undefined)
  for (let n = 0; n < 1_500; n += 1) await tasks.spawn(work.tool, undefined)
  work.call(0).reject(new Error('broken'))
  await Promise.resolve()
  await Promise.resolve()
  expect((await first.record()).status).toBe('retrying')
  const cancelled = tasks.cancelAll()
  await clock.advance(100)
  expect((await first.record()).status).toBe('retrying')
  expect((await cancelled).count).toBe(1_501)
  expect(work.calls).toHaveLength(1_501)
  expect(await first.record()).toMatchObject({ status: 'cancelled', attempt: 1 })
  await tasks.shutdown()
})

test('a detached child outlives the attempt that started it', async () => {
  const { ann, advance, settle } = setup()
  const parent = controllableTool('parent', { policy: { retry: EVEN } })
  const child = controllableTool<undefined, string>('child')
  await ann.spawn(parent.tool, undefined)
  const below = await parent.call(0).ctx.spawn(child.tool, undefined, { onParentEnd: 'detach' })
  await settle()
  parent.call(0).reject(new Error('broken'))
  await advance(100)
  expect(parent.calls).toHaveLength(2)
  child.call(0).resolve('alive')
  expect(await below.result()).toBe('alive')
})

test('between two attempts others have the slot; the next attempt takes one at once, beyond the limit if need be', async () => {
  const { ann, advance, settle } = setup({ limits: { maxRunning: 1 } })
  const work = controllableTool<number>('work', { policy: { retry: EVEN } })
  const statuses = async (): Promise<unknown> => {
    const { tasks } = await ann.list()
    return tasks.map(({ status }) => status)
  }
  for (const index of [0, 1, 2]) await ann.spawn(work.tool, index)
  await settle()
  expect(await statuses()).toEqual(['running', 'queued', 'queued'])
  work.call(0).reject(new Error('broken'))
  await settle()
  expect(await statuses()).toEqual(['retrying', 'running', 'queued'])
  await advance(100)
  expect(await statuses()).toEqual(['running', 'running', 'queued'])
  work.call(1).resolve(1)
  await settle()
  expect(await statuses()).toEqual(['running', 'completed', 'queued'])
  work.call(2).resolve(1)
  await settle()
  expect(await statuses()).toEqual(['completed', 'completed', 'running'])
})

test('what the code of an attempt still waits for when that is over has no say in the slot of the next', async () => {
  const { ann, advance, settle } = setup({ limits: { maxRunning: 2 } })
  const endless = controllableTool('endless')
  const other = await ann.spawn(endless.tool, undefined)
  const work = controllableTool('work')
  const task = await ann.spawn(
    (_: undefined, ctx: TaskContext): unknown => {
      if (ctx.attempt > 1) return work.tool.run(undefined, ctx)
      watch(other.result({ waitMs: Infinity }))
      throw new Error('broken')
    },
    undefined,
    { retry: EVEN },
  )
  await advance(100)
  expect((await task.record()).attempt).toBe(2)
  const queued = await ann.spawn(work.tool, undefined)
  await settle()
  expect((await queued.record()).status).toBe('queued')
  endless.call(0).resolve(1)
  await settle()
  expect((await queued.record()).status).toBe('running')
  const next = await ann.spawn(work.tool, undefined)
  await settle()
  expect((await next.record()).status).toBe('queued')
  for (const { resolve } of work.calls) resolve(1)
  await settle()
  expect((await next.record()).status).toBe('running')
})

test('a parent waits for a child that is retrying', async () => {
  const harness = setup()
  const { ann, advance, settle } = harness
  const child = controllableTool('child', { policy: { retry: EVEN } })
  const root = await ann.spawn(async (_: undefined, ctx) => void (await ctx.spawn(child.tool, undefined)), undefined)
  await settle()
  child.call(0).reject(new Error('broken'))
  await advance(50)
  expect((await root.record()).status).toBe('finishing')
  await advance(50)
  child.call(1).resolve(1)
  expect((await root.wait()).status).toBe('completed')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('each attempt gets the input as the caller gave it', async () => {
  const { ann, advance } = setup()
  const seen: unknown[] = []
  const tool = {
    name: 'greedy',
    policy: { retry: EVEN },
    run(input: { list: number[] }, ctx: TaskContext) {
      seen.push([...input.list])
      input.list.length = 0
      if (ctx.attempt < 3) throw new Error('again')
    },
  }
  await ann.spawn(tool, { list: [1, 2] })
  await advance(1_000)
  expect(seen).toEqual([
    [1, 2],
    [1, 2],
    [1, 2],
  ])
})

test('what a schema has made of the input may be anything, and all attempts get the same', async () => {
  const { ann, advance } = setup()
  const seen: unknown[] = []
  const tool = defineTool({
    name: 'typed',
    input: z.string().transform((text) => ({ shout: () => text.toUpperCase() })) as never,
    policy: { retry: { ...EVEN, maxAttempts: 2 } },
    run(input: { shout(): string }) {
      seen.push(input.shout())
      throw new Error('again')
    },
  })
  await ann.spawn(tool, 'ho' as never)
  await advance(1_000)
  expect(seen).toEqual(['HO', 'HO'])
})

test('every attempt runs in the async context of the call, as its task', async () => {
  const { ann, advance } = setup()
  const host = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const tool = {
    name: 'context',
    policy: { retry: { ...EVEN, maxAttempts: 2 } },
    run: (name: string) => {
      seen.push([name, host.getStore()])
      throw new Error('again')
    },
  }
  await Promise.all(['one', 'two'].map((name) => host.run(name, () => ann.spawn(tool, name))))
  await advance(1_000)
  expect(seen).toEqual(expect.arrayContaining(['one', 'one', 'two', 'two'].map((name) => [name, name])))
  expect(seen).toHaveLength(4)
})

test('code that fails at once every time is tried as often as it may be, without a stack that grows', async () => {
  const { ann, advance } = setup()
  let calls = 0
  const task = await ann.spawn(
    () => {
      calls += 1
      throw new Error('again')
    },
    undefined,
    { retry: { maxAttempts: 1_000, baseMs: 1, factor: 1 } },
  )
  await advance(1_000)
  expect(await task.record()).toMatchObject({ status: 'failed', attempt: 1_000 })
  expect(calls).toBe(1_000)
})

test('usage adds up over the attempts, and the last report of each is kept before it ends', async () => {
  const { ann, advance } = setup({ progressMs: 100 })
  const work = controllableTool('work', { policy: { retry: EVEN } })
  const task = await ann.spawn(work.tool, undefined)
  work.call(0).ctx.usage({ tokens: 10 })
  work.call(0).ctx.progress(0.1)
  work.call(0).ctx.progress(0.7)
  work.call(0).reject(new Error('broken'))
  await advance(100)
  expect((await task.record()).progress).toEqual({ fraction: 0.7 })
  work.call(1).ctx.usage({ tokens: 5, cost: 1 })
  work.call(1).resolve(1)
  expect((await task.wait()).usage).toEqual({ tokens: 15, cost: 1 })
  const { items, ended } = collect(task.events())
  await ended
  const types = items.map(({ type }) => type)
  expect(types.lastIndexOf('task.progress')).toBeLessThan(types.indexOf('task.retrying'))
})

test('a bad retry policy is a TypeError that names it, at the definition and at the call', async () => {
  const { ann } = setup()
  const run = (): number => 1
  for (const [retry, message] of [
    [true, 'retry must be an object, got true'],
    [{ maxAttempts: 0 }, 'retry.maxAttempts must be a whole number from 1 to 1000, got 0'],
    [{ maxAttempts: 1_001 }, 'retry.maxAttempts must be'],
    [{ maxAttempts: 2.5 }, 'retry.maxAttempts must be'],
    [{ maxAttempts: Infinity }, 'retry.maxAttempts must be'],
    [{ baseMs: 0 }, 'retry.baseMs must be a positive number of milliseconds, got 0'],
    [{ baseMs: Infinity }, 'retry.baseMs must be'],
    [{ factor: 0.5 }, 'retry.factor must be a finite number of at least 1, got 0.5'],
    [{ factor: NaN }, 'retry.factor must be'],
    [{ factor: '2' }, 'retry.factor must be'],
    [{ maxMs: -1 }, 'retry.maxMs must be'],
    [{ jitter: 'half' }, 'retry.jitter must be one of full, none, got "half"'],
    [{ maxElapsedMs: 0 }, 'retry.maxElapsedMs must be a positive number of milliseconds or Infinity, got 0'],
    [{ retryIf: true }, 'retry.retryIf must be a function, got true'],
    [{ onExhausted: null }, 'retry.onExhausted must be a function, got null'],
    [{ retries: 3 }, 'retry has no option "retries"'],
  ] as const) {
    expect(() => defineTool({ name: 'bad', policy: { retry: retry as never }, run })).toThrow(
      new RegExp(`^tool\\.policy\\.${message.replaceAll('.', '\\.')}`),
    )
    await expect(ann.run(run, undefined as never, { retry: retry as never })).rejects.toThrow(message)
  }
  await expect(ann.run(run, undefined as never, { attemptTimeoutMs: 0 })).rejects.toThrow(
    'attemptTimeoutMs must be a positive number of milliseconds or Infinity, got 0',
  )
  for (const [restarts, message] of [
    [{ max: -1, withinMs: 1 }, 'restarts.max must be a whole number from 0 to 1000, got -1'],
    [{ max: 1 }, 'restarts.withinMs must be a positive number of milliseconds, got undefined'],
    [{ max: 1, withinMs: Infinity }, 'restarts.withinMs must be'],
    [{ max: 1, withinMs: 1, per: 1 }, 'restarts has no option "per"'],
  ] as const) {
    expect(() => defineTool({ name: 'bad', policy: { restarts: restarts as never }, run })).toThrow(message)
  }
})
