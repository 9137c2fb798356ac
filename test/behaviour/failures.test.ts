import { runInNewContext } from 'node:vm'
import { callbackChannel, defineTool, isTaskError, TaskFailedError } from 'outlive'
import { controllableTool, passTurns } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setupHeld, type HeldHarness } from '../support/held-store.ts'
import { collect, setup, watch } from '../support/setup.ts'

const unreadable = new Proxy(new Error('hidden'), {
  get: () => {
    throw new Error('not even a name')
  },
  getPrototypeOf: () => {
    throw new Error('no prototype')
  },
})

const cyclic = new Error('round')
cyclic.cause = cyclic

const THROWN: readonly (readonly [string, unknown, object])[] = [
  ['a string', 'plain text', { name: 'Error', message: 'plain text' }],
  ['a number', 42, { message: '42' }],
  ['undefined', undefined, { message: 'undefined' }],
  ['null', null, { message: 'null' }],
  ['a symbol', Symbol('s'), { message: 'Symbol(s)' }],
  ['an object without a prototype', Object.create(null), { message: 'a value that cannot be shown' }],
  [
    'an error with a name of its own',
    Object.assign(new Error('x'), { name: 'QuotaError' }),
    { name: 'QuotaError', message: 'x' },
  ],
  ['an error that is retryable', Object.assign(new Error('x'), { retryable: true }), { retryable: true }],
  ['an error whose message is no string', Object.assign(new Error('x'), { message: 7 }), { name: 'Error' }],
  [
    'an AggregateError',
    new AggregateError([new Error('a'), new Error('b')], 'both'),
    { name: 'AggregateError', message: 'both' },
  ],
  [
    'an error with a cause',
    new Error('outer', { cause: new TypeError('inner') }),
    { message: 'outer', cause: { name: 'TypeError', message: 'inner' } },
  ],
  ['an error with a cyclic cause', cyclic, { message: 'round', cause: { message: 'round' } }],
  ['a proxy that throws at every touch', unreadable, { message: 'a value that cannot be shown' }],
  [
    'an error of another realm',
    runInNewContext('new RangeError("far")') as unknown,
    { name: 'RangeError', message: 'far' },
  ],
]

describe.each(THROWN)('a tool that throws %s', (_what, thrown, expected) => {
  test('reaches the caller who waits inline with the very same value', async () => {
    const { ann } = setup()
    const call = watch(
      ann.run(() => {
        throw thrown
      }, undefined),
    )
    const asynchronous = watch(
      ann.run(async () => {
        throw thrown
      }, undefined),
    )
    await setupTurns()
    expect([call.state, asynchronous.state]).toEqual(['rejected', 'rejected'])
    expect(Object.is(call.error, thrown)).toBe(true)
    expect(Object.is(asynchronous.error, thrown)).toBe(true)
  })

  test('is a capped failure record for everybody later, the same for a throw and a rejection', async () => {
    const { ann } = setup()
    const synchronous = await ann.spawn(() => {
      throw thrown
    }, undefined)
    const asynchronous = await ann.spawn(async () => {
      throw thrown
    }, undefined)
    const [first, second] = await ann.waitAll([synchronous.taskId, asynchronous.taskId])
    expect(first).toMatchObject({ status: 'failed', failure: { code: 'tool_error', ...expected } })
    expect(second?.failure).toEqual(first?.failure)
    const text = JSON.stringify(first?.failure)
    expect(text).not.toContain('stack')
    expect(text).not.toContain('.test.ts')
    await expect(ann.result(synchronous.taskId)).rejects.toMatchObject({
      name: 'TaskFailedError',
      code: 'task_failed',
      failure: first?.failure,
    })
  })
})

async function setupTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('a failure is capped, however much the error carries', async () => {
  const { ann } = setup()
  let deep: Error = new Error('x'.repeat(1_000_000))
  for (let level = 0; level < 50; level += 1) deep = new Error('y'.repeat(100_000), { cause: deep })
  Object.assign(deep, { name: 'N'.repeat(10_000), details: { text: 'z'.repeat(1_000_000) } })
  const task = await ann.spawn(() => {
    throw deep
  }, undefined)
  const { failure } = await task.wait()
  expect(JSON.stringify(failure).length).toBeLessThan(40_000)
  expect(failure?.message).toHaveLength(4_001)
  let levels = 0
  for (let cause = failure?.cause; cause !== undefined; cause = cause.cause) levels += 1
  expect(levels).toBe(5)
})

test('the details of an error are kept when they are small and plain', async () => {
  const { ann } = setup()
  const task = await ann.spawn(() => {
    throw Object.assign(new Error('x'), { details: { field: 'name' } })
  }, undefined)
  expect((await task.wait()).failure).toMatchObject({ details: { field: 'name' } })
})

test('a failed call leaves other calls, later calls and the process alone', async () => {
  const { ann } = setup()
  const work = controllableTool<undefined, string>('work')
  const bystander = await ann.spawn(work.tool, undefined)
  const broken = await ann.spawn(() => Promise.reject(new Error('broken')), undefined)
  await expect(broken.result()).rejects.toBeInstanceOf(TaskFailedError)
  work.call(0).resolve('fine')
  expect(await bystander.result()).toBe('fine')
  expect(await ann.run((n: number) => n, 1)).toMatchObject({ value: 1 })
})

test('an error inside the inline window is thrown as it is; the same error later is a record', async () => {
  const { ann, advance, settle } = setup()
  const work = controllableTool('work')
  class OwnError extends Error {}
  const error = new OwnError('mine')
  const early = watch(ann.run(work.tool, undefined))
  work.call(0).reject(error)
  await settle()
  expect(early.error).toBe(error)
  const late = watch(ann.run(work.tool, undefined))
  await advance(10_000)
  expect(late.state).toBe('resolved')
  work.call(1).reject(error)
  const failed = ann.result('task-2')
  await expect(failed).rejects.toBeInstanceOf(TaskFailedError)
  await expect(failed).rejects.not.toBe(error)
})

test('a rejection after a cancel changes nothing and is no unhandled rejection', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).reject(new Error('after the cancel'))
  await cancelled
  const record = await task.record()
  expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'user', actor: 'ann' } })
  expect(record).not.toHaveProperty('failure')
})

test('work that ignores its signal is stopping until the grace is over, then final and abandoned', async () => {
  const { ann, advance, logged } = setup({ graceMs: 5_000 })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancel = watch(task.cancel())
  await advance(4_999)
  expect(await task.record()).toMatchObject({ status: 'stopping', cause: { reason: 'user' } })
  expect(cancel.state).toBe('pending')
  await advance(1)
  expect(cancel.value).toEqual({ count: 1, tasks: [{ taskId: task.taskId, status: 'cancelled' }] })
  expect(await task.record()).toMatchObject({ status: 'cancelled', abandoned: true })
  expect(logged).toMatchObject([{ level: 'warn', fields: { taskId: task.taskId } }])
})

test('a cancel on top of a cancel gives the same answer and tells the log nothing new', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const first = task.cancel({ note: 'first' })
  const second = task.cancel({ note: 'second', reason: 'superseded' })
  work.call(0).resolve(1)
  expect(await second).toEqual(await first)
  expect(await task.record()).toMatchObject({ cause: { reason: 'user', note: 'first' } })
  const { items, ended } = collect(task.events())
  await ended
  expect(items.map(({ type }) => type)).toEqual(['task.queued', 'task.started', 'task.stopping', 'task.cancelled'])
})

test('a cancel of a final task stops nothing and says how the task ended', async () => {
  const { ann } = setup()
  const task = await ann.spawn(() => 1, undefined)
  const before = await task.wait()
  expect(await task.cancel()).toEqual({ count: 0, tasks: [{ taskId: task.taskId, status: 'completed' }] })
  expect(await task.cancel()).toEqual({ count: 0, tasks: [{ taskId: task.taskId, status: 'completed' }] })
  expect(await task.record()).toEqual(before)
})

test.each([
  [
    'resolves, then rejects',
    (resolve: (v: string) => void, reject: (e: Error) => void) => (resolve('first'), reject(new Error('second'))),
  ],
  ['resolves twice', (resolve: (v: string) => void) => (resolve('first'), resolve('second'))],
  [
    'resolves, then throws',
    (resolve: (v: string) => void) => {
      resolve('first')
      throw new Error('second')
    },
  ],
])('a thenable that %s has ended with the first', async (_how, then) => {
  const { ann } = setup()
  // eslint-disable-next-line unicorn/no-thenable -- the point of the test
  expect(await ann.run(() => ({ then }) as PromiseLike<string>, undefined)).toMatchObject({ value: 'first' })
})

test('a thenable that rejects first has failed with it', async () => {
  const { ann } = setup()
  const error = new Error('first')
  const task = (_input: unknown): PromiseLike<string> =>
    ({
      // eslint-disable-next-line unicorn/no-thenable -- the point of the test
      then: (resolve: (v: string) => void, reject: (e: Error) => void) => (reject(error), resolve('second')),
    }) as PromiseLike<string>
  await expect(ann.run(task, undefined)).rejects.toBe(error)
})

test('a thenable whose then cannot be read has failed with what the getter threw', async () => {
  const { ann } = setup()
  const error = new Error('no then')
  // eslint-disable-next-line unicorn/no-thenable -- the point of the test
  const hidden = Object.defineProperty({}, 'then', {
    get: () => {
      throw error
    },
  })
  await expect(ann.run(() => hidden, undefined)).rejects.toBe(error)
})

test('a promise whose then was replaced by one that calls back twice ends once', async () => {
  const { ann, tasks } = setup()
  const odd = Promise.resolve('own')
  // eslint-disable-next-line unicorn/no-thenable -- the point of the test
  odd.then = ((resolve: (v: string) => void) => (resolve('first'), resolve('second'))) as typeof odd.then
  expect(await ann.run(() => odd, undefined)).toMatchObject({ value: 'first' })
  expect((await tasks.operator.stats()).counters.lateOutcomes).toBe(0)
})

test('a promise whose then throws fails its task, and nothing is left behind', async () => {
  const { ann } = setup()
  const error = new Error('then threw')
  const odd = Promise.resolve('own')
  // eslint-disable-next-line unicorn/no-thenable -- the point of the test
  odd.then = () => {
    throw error
  }
  await expect(ann.run(() => odd, undefined)).rejects.toBe(error)
  expect((await ann.stats()).live).toBe(0)
})

test('a promise of another realm is awaited', async () => {
  const { ann } = setup()
  const far = (): Promise<string> => runInNewContext('Promise.resolve("far")') as Promise<string>
  expect(await ann.run(far, undefined)).toMatchObject({ value: 'far' })
})

test('reports after the end are dropped and counted, and nothing follows the terminal event', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool<undefined, number>('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  work.call(0).resolve(1)
  await task.wait()
  ctx.progress(0.9)
  ctx.emit('late', {})
  ctx.output('late')
  ctx.usage({ tokens: 5 })
  await settle()
  const { items, ended } = collect(task.events())
  await ended
  expect(items.map(({ type }) => type)).toEqual(['task.queued', 'task.started', 'task.completed'])
  expect((await tasks.operator.stats()).counters.lateReports).toBe(4)
  expect(await task.record()).not.toHaveProperty('usage')
})

test('a hard deadline ends in failed with code timeout, inline and later alike', async () => {
  const { ann, advance, settle } = setup({ timeoutMs: 3_000 })
  const work = controllableTool('work', { honoursSignal: true })
  const inline = watch(ann.run(work.tool, undefined))
  const task = await ann.spawn(work.tool, undefined)
  await advance(2_999)
  expect(await task.record()).toMatchObject({ status: 'running' })
  await advance(1)
  await settle()
  expect(inline.error).toMatchObject({ code: 'task_failed', failure: { code: 'timeout' } })
  expect(await task.record()).toMatchObject({
    status: 'failed',
    failure: { code: 'timeout' },
    cause: { reason: 'timeout' },
  })
})

test('the signal of a stopped task says why, and also when it is first read after the stop', async () => {
  const { ann, advance } = setup({ graceMs: 100 })
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const { ctx } = work.call(0)
  const cancelled = task.cancel({ note: 'enough' })
  expect(ctx.signal.aborted).toBe(true)
  expect(isTaskError(ctx.signal.reason, 'task_stopped')).toBe(true)
  expect(ctx.signal.reason).toMatchObject({ stopCause: { reason: 'user', actor: 'ann', note: 'enough' } })
  await advance(100)
  await cancelled
})

test.each<readonly [string, (harness: HeldHarness) => unknown]>([
  ['a deadline', ({ clock }) => clock.advance(5_000)],
  ['a cancel', ({ ann }) => void watch(ann.cancel('task-1'))],
  ['a redirect', ({ ann }) => void watch(ann.redirect('task-1', 'away'))],
  ['a request for a ticket', ({ ann }) => void watch(ann.background('task-1'))],
])('%s that comes while the completion is being written changes neither the end nor its log', async (_what, act) => {
  const channels = { away: callbackChannel(() => undefined) }
  const harness = setupHeld({ timeoutMs: 1_000, graceMs: 100, commitWaitMs: 60_000, channels })
  const { ann, store, open, hold, release } = harness
  await open()
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  hold()
  work.call(0).resolve('done')
  await passTurns(2)
  await act(harness)
  await passTurns(2)
  await release()
  expect(await task.result()).toBe('done')
  expect(await task.cancel()).toEqual({ count: 0, tasks: [{ taskId: 'task-1', status: 'completed' }] })
  const events = await store.readEvents({ taskId: 'task-1', afterSeq: 0, limit: 100 })
  expect(events.map(({ event }) => event.type)).toEqual(['task.queued', 'task.started', 'task.completed'])
})

test('no event leaves a final state: cancel, deadline, redirect, background and attach change no record', async () => {
  const { ann, advance } = setup({ timeoutMs: 1_000 })
  const task = await ann.spawn(() => 'value', undefined)
  const before = await task.wait()
  await task.cancel()
  expect(await task.background()).toMatchObject({ status: 'completed' })
  expect(await task.attach()).toMatchObject({ kind: 'inline', value: 'value' })
  await advance(5_000)
  expect(await task.record()).toEqual(before)
})

test('a tool that is a class method keeps the object it belongs to', async () => {
  const { ann } = setup()
  const tool = defineTool({
    name: 'greeter',
    run(this: { name: string }) {
      return this.name
    },
  })
  expect(await ann.run(tool, undefined)).toMatchObject({ value: 'greeter' })
})
