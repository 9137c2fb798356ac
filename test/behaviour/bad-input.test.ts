import { runInNewContext } from 'node:vm'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { callbackChannel, createTaskSupervisor, defineTool, isTaskError, memoryStore, TaskNotFoundError } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, inject, test, vi } from 'vitest'
import { z } from 'zod'
import { setup, watch } from '../support/setup.ts'

describe('input', () => {
  test('what the caller does to its input after the call has no effect inside, and the other way round', async () => {
    const { ann, settle } = setup()
    const input = { list: [1], inner: { a: 1 } }
    const work = controllableTool<typeof input>('work')
    await ann.spawn(work.tool, input)
    input.list.push(2)
    input.inner.a = 2
    await settle()
    expect(work.call(0).input).toEqual({ list: [1], inner: { a: 1 } })
    work.call(0).input.list.push(9)
    expect(input.list).toEqual([1, 2])
  })

  test('two calls with one input share nothing', async () => {
    const { ann, settle } = setup()
    const input = { list: [1] }
    const work = controllableTool<typeof input>('work')
    await ann.spawn(work.tool, input)
    await ann.spawn(work.tool, input)
    await settle()
    work.call(0).input.list.push(2)
    expect(work.call(1).input).toEqual({ list: [1] })
  })

  test.each<readonly [string, unknown]>([
    ['a Map', new Map([[1, { a: 1 }]])],
    ['a Date', new Date(5)],
    ['bytes', new Uint8Array([1, 2])],
    ['undefined', undefined],
    ['null', null],
    ['a BigInt', 5n],
    ['an own __proto__ key', JSON.parse('{"__proto__":{"polluted":1}}')],
  ])('an input that is or has %s reaches the tool as it is', async (_what, input) => {
    const { ann } = setup()
    const work = controllableTool<unknown>('work')
    const call = ann.run(work.tool, input)
    expect(work.call(0).input).toEqual(input)
    work.call(0).resolve(1)
    await call
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  const nested = (depth: number): unknown => {
    let value: unknown = 1
    for (let level = 0; level < depth; level += 1) value = { value }
    return value
  }

  test.each<readonly [string, unknown]>([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a function deep inside', { a: [() => 1] }],
    ['a promise', { later: Promise.resolve(1) }],
    ['a WeakMap', new WeakMap()],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('no')
        },
      },
    ],
    [
      'a proxy that throws at every touch',
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no')
          },
        },
      ),
    ],
    ['a million levels', nested(1_000_000)],
  ])('an input that is or has %s is refused, and nothing starts', async (_what, input) => {
    const { ann } = setup()
    const work = controllableTool<unknown>('work')
    await expect(ann.run(work.tool, input)).rejects.toMatchObject({ code: 'input_invalid' })
    await expect(ann.spawn(work.tool, input, { name: 'free' })).rejects.toMatchObject({ code: 'input_invalid' })
    expect(work.calls).toHaveLength(0)
    expect((await ann.stats()).live).toBe(0)
  })

  test('an input that does not fit the schema is refused, with what is wrong where', async () => {
    const { ann } = setup()
    const calls: unknown[] = []
    const tool = defineTool({
      name: 'search',
      input: z.object({ query: z.string().min(1), limit: z.number().default(10) }),
      run: (input) => void calls.push(input),
    })
    await expect(ann.run(tool, { query: '' } as never)).rejects.toMatchObject({
      code: 'input_invalid',
      details: [{ path: 'query' }],
    })
    await expect(ann.spawn(tool, 5 as never)).rejects.toMatchObject({ code: 'input_invalid' })
    expect(calls).toEqual([])
    expect((await ann.stats()).live).toBe(0)
    await ann.run(tool, { query: 'q' } as never)
    expect(calls).toEqual([{ query: 'q', limit: 10 }])
  })

  const schemaOf = (validate: (value: unknown) => unknown): StandardSchemaV1<unknown, unknown> =>
    ({ '~standard': { version: 1, vendor: 'test', validate } }) as StandardSchemaV1<unknown, unknown>
  const REFUSAL = { issues: [{ message: 'never' }] }

  test.each<readonly [string, () => unknown]>([
    ['at once', () => REFUSAL],
    ['later', async () => REFUSAL],
    // eslint-disable-next-line unicorn/no-thenable -- the point of the test
    ['by a thenable', () => ({ then: (resolve: (result: unknown) => void) => resolve(REFUSAL) })],
    [
      'by a promise of another realm',
      () => runInNewContext('Promise.resolve({ issues: [{ message: "never" }] })') as unknown,
    ],
  ])('a schema that refuses %s keeps the tool from being called', async (_how, validate) => {
    const { ann } = setup()
    const calls: unknown[] = []
    const tool = defineTool({ name: 'guarded', input: schemaOf(validate), run: (input) => void calls.push(input) })
    await expect(ann.run(tool, 1)).rejects.toMatchObject({ code: 'input_invalid' })
    await expect(ann.spawn(tool, 1)).rejects.toMatchObject({ code: 'input_invalid' })
    expect(calls).toEqual([])
  })

  test('a schema that throws rejects the call with what it threw, and nothing starts', async () => {
    const { ann } = setup()
    const error = new Error('broken schema')
    const broken = schemaOf(() => {
      throw error
    })
    const tool = defineTool({ name: 'guarded', input: broken, run: () => 1 })
    await expect(ann.run(tool, 1)).rejects.toBe(error)
    expect((await ann.stats()).live).toBe(0)
  })

  test('what the caller does to its options while a schema is still checking changes nothing', async () => {
    const { ann, settle } = setup({ channels: { home: callbackChannel(() => undefined) } })
    let fit: (() => void) | undefined
    const slow = schemaOf((value) => new Promise((resolve) => (fit = () => resolve({ value }))))
    const tool = defineTool({ name: 'slow', input: slow, run: () => 1 })
    const options = { name: 'first', deliverTo: ['home:1'], metadata: { k: 'v' }, correlation: { runId: 'r1' } }
    const call = watch(ann.spawn(tool, 1, options))
    options.name = 'second'
    options.deliverTo.push('home:2')
    options.metadata.k = 'w'
    options.correlation.runId = 'r2'
    await settle()
    fit?.()
    await settle()
    expect(call.state).toBe('resolved')
    expect(await ann.get('task-1')).toMatchObject({
      name: 'first',
      targets: ['home:1'],
      metadata: { k: 'v' },
      correlation: { runId: 'r1' },
    })
  })

  test('bad options are told before a schema is asked', async () => {
    const { ann } = setup()
    let asked = 0
    const tool = defineTool({ name: 'guarded', input: schemaOf((value) => ((asked += 1), { value })), run: () => 1 })
    await expect(ann.spawn(tool, 1, { timeoutMs: 0 })).rejects.toThrow(TypeError)
    await expect(ann.spawn(tool, 1, { signal: 5 as never })).rejects.toThrow(TypeError)
    expect(asked).toBe(0)
  })

  test('a call that was aborted while a schema was checking starts nothing', async () => {
    const { ann, settle } = setup()
    const calls: unknown[] = []
    const stop = new AbortController()
    const slow = schemaOf(async (value) => ({ value }))
    const tool = defineTool({ name: 'slow', input: slow, run: (input) => void calls.push(input) })
    const call = watch(ann.run(tool, 1, { cancelSignal: stop.signal }))
    stop.abort('changed my mind')
    await settle()
    expect(call.error).toBe('changed my mind')
    expect(calls).toEqual([])
  })
})

describe('what is handed out', () => {
  test('records, events, lists, tickets and failures cannot be changed by their readers', async () => {
    const { ann, settle } = setup({ channels: { home: callbackChannel(() => undefined) } })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, {
      metadata: { deep: { list: [1] } },
      correlation: { runId: 'r' },
      deliverTo: 'home',
    })
    const child = controllableTool('child', { honoursSignal: true })
    await work.call(0).ctx.spawn(child.tool, undefined)
    const cancelled = await ann.spawn(async (_input: undefined, ctx) => {
      const grandchild = await ctx.spawn(child.tool, undefined)
      await grandchild.result()
    }, undefined)
    await settle()
    await cancelled.cancel()
    work.call(0).ctx.progress(0.5)
    work.call(0).ctx.usage({ tokens: 1 })
    work.call(0).ctx.emit('step', { deep: [1] })
    work.call(0).reject(Object.assign(new Error('x'), { details: { deep: { a: 1 } }, cause: new Error('y') }))
    await task.wait()
    await task.redirect('home:2')
    await settle()
    const seen: unknown[] = [
      await task.record(),
      ...(await ann.list()).tasks,
      await task.background(),
      ...(await ann.deliveries(task.taskId)),
    ]
    for await (const event of task.events()) seen.push(event)
    expect(seen.length).toBeGreaterThan(10)
    for (const value of seen) expectDeepFrozen(value)
  })

  test('a record that was read does not change with its task', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<undefined, number>('work')
    const task = await ann.spawn(work.tool, undefined)
    await settle()
    const before = await task.record()
    work.call(0).resolve(1)
    await task.wait()
    expect(before).toMatchObject({ status: 'running' })
    expect(before).not.toHaveProperty('endedAt')
  })

  test('what is told of a task says what it is and what it is for', async () => {
    const { tasks, settle } = setup()
    const ann = tasks.session({ owner: 'ann', conversation: 'c-1' })
    const work = controllableTool('research')
    const described = defineTool({ ...work.tool, description: 'finds things out' })
    const task = await ann.spawn(described, undefined, { metadata: { topic: 'bees' }, name: 'Scout' })
    const own = await ann.spawn(described, undefined, { description: 'of this call' })
    await settle()
    expect(await task.record()).toMatchObject({
      tool: 'research',
      description: 'finds things out',
      metadata: { topic: 'bees' },
      name: 'scout',
      owner: 'ann',
      conversation: 'c-1',
      attempt: 1,
      epoch: 1,
      depth: 0,
      rootId: task.taskId,
    })
    expect(await own.record()).toMatchObject({ description: 'of this call' })
    expect((await ann.list({ tool: 'research', conversation: 'c-1' })).tasks).toHaveLength(2)
  })

  test('a list names the tasks of the owner by each filter, oldest first, in pages', async () => {
    const { ann, bob, settle } = setup()
    const work = controllableTool('work')
    const parent = await ann.spawn(work.tool, undefined, { correlation: { runId: 'r' } })
    const child = await work.call(0).ctx.spawn(work.tool, undefined, { name: 'kid' })
    await ann.spawn(() => 1, undefined)
    await bob.spawn(work.tool, undefined)
    await settle()
    const ids = async (filter: Parameters<typeof ann.list>[0]): Promise<string[]> =>
      (await ann.list(filter)).tasks.map(({ taskId }) => taskId)
    expect(await ids({})).toEqual(['task-1', 'task-2', 'task-3'])
    expect(await ids({ status: 'running' })).toEqual(['task-1', 'task-2'])
    expect(await ids({ status: ['completed', 'failed'] })).toEqual(['task-3'])
    expect(await ids({ parent: parent.taskId })).toEqual([child.taskId])
    expect(await ids({ tree: parent.taskId })).toEqual(['task-1', 'task-2'])
    expect(await ids({ name: 'KID' })).toEqual([child.taskId])
    expect(await ids({ correlation: { runId: 'r' } })).toEqual(['task-1', 'task-2'])
    expect(await ids({ tool: 'work', status: 'completed' })).toEqual([])
    const first = await ann.list({ limit: 2 })
    expect(first.tasks.map(({ taskId }) => taskId)).toEqual(['task-1', 'task-2'])
    const second = await ann.list({ limit: 2, ...(first.next === undefined ? {} : { after: first.next }) })
    expect(second.tasks.map(({ taskId }) => taskId)).toEqual(['task-3'])
    expect(second.next).toBeUndefined()
  })
})

function expectDeepFrozen(value: unknown, path = ''): void {
  if (typeof value !== 'object' || value === null) return
  expect(Object.isFrozen(value), `${path || 'the value'} is frozen`).toBe(true)
  for (const [key, inner] of Object.entries(value)) expectDeepFrozen(inner, `${path}.${key}`)
}

describe('after the end of the supervisor', () => {
  test('every verb that would start something is refused with supervisor_closed, and nothing hangs', async () => {
    const { tasks, ann, advance } = setup()
    const kept = await ann.spawn(() => 'v', undefined)
    await kept.wait()
    const closing = tasks.shutdown({ graceMs: 1 })
    await advance(1)
    await closing
    const closed = { code: 'supervisor_closed', retryable: false }
    const work = controllableTool('work')
    await expect(ann.run(work.tool, undefined)).rejects.toMatchObject(closed)
    await expect(ann.run(work.tool, undefined, { durable: true })).rejects.toMatchObject(closed)
    await expect(ann.spawn(work.tool, undefined, { name: 'late' })).rejects.toMatchObject(closed)
    await expect(tasks.session({ owner: 'new' }).run(work.tool, undefined)).rejects.toMatchObject(closed)
    expect(work.calls).toHaveLength(0)
  })

  test('a second shutdown is the first one', async () => {
    const { tasks, advance } = setup()
    const both = Promise.all([tasks.shutdown(), tasks.shutdown(), tasks[Symbol.asyncDispose]()])
    await advance(10_000)
    const [first, second] = await both
    expect(second).toEqual(first)
  })

  test('while it drains, new calls are refused and running ones end by themselves', async () => {
    const { tasks, ann, advance, settle } = setup()
    const work = controllableTool<undefined, string>('work')
    const call = watch(ann.run(work.tool, undefined))
    await settle()
    const closing = watch(tasks.shutdown({ graceMs: 60_000 }))
    await expect(ann.run(work.tool, undefined)).rejects.toMatchObject({ code: 'supervisor_closed' })
    work.call(0).resolve('in time')
    await advance(10)
    expect(call.value).toMatchObject({ value: 'in time' })
    expect(closing.value).toMatchObject({ completed: 1, cancelled: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
  })
})

describe('more than one supervisor', () => {
  test('two supervisors in one process share neither tasks, nor names, nor their ends', async () => {
    const one = setup()
    const two = setup()
    const work = controllableTool('work')
    await one.ann.spawn(work.tool, undefined, { name: 'same' })
    await two.ann.spawn(work.tool, undefined, { name: 'same' })
    await one.settle()
    expect((await two.ann.list()).tasks).toHaveLength(1)
    const closing = one.tasks.shutdown({ graceMs: 1 })
    await one.advance(10_000)
    await closing
    expect(await two.ann.stats()).toMatchObject({ live: 1 })
    expect(await two.ann.run((n: number) => n, 1)).toMatchObject({ value: 1 })
  })

  test('a call to another supervisor inside a task starts a tree of its own there', async () => {
    const one = setup()
    const two = setup()
    const task = await one.ann.spawn(async () => (await two.ann.spawn(() => 1, undefined)).taskId, undefined)
    const inner = await task.result()
    await two.settle()
    expect(await two.ann.get(inner)).toMatchObject({ depth: 0, rootId: inner })
  })

  test('two copies of the package know each other by their errors, and work side by side', async () => {
    vi.resetModules()
    const copy = await import('outlive')
    expect(copy.TaskNotFoundError).not.toBe(TaskNotFoundError)
    const options = { store: copy.memoryStore(), memoise: inject('memoise') }
    const theirs = copy.createTaskSupervisor(options)
    const ours = createTaskSupervisor({ store: memoryStore(), memoise: inject('memoise') })
    const error: unknown = await theirs.result('unknown').catch((thrown: unknown) => thrown)
    expect(error).not.toBeInstanceOf(TaskNotFoundError)
    expect(isTaskError(error, 'task_not_found')).toBe(true)
    const outcome = await ours.run(async () => {
      const nested = await theirs.run((n: number) => n * 2, 21)
      return nested.kind === 'inline' ? nested.value : undefined
    }, undefined)
    expect(outcome).toMatchObject({ value: 42 })
    await Promise.all([theirs.shutdown(), ours.shutdown()])
  })
})

describe('ids', () => {
  test.each([
    'unknown',
    '',
    '__proto__',
    'constructor',
    'task-1\u0000',
    'x'.repeat(10_000),
    5,
    null,
    undefined,
    {},
    [],
  ])('the id %o gives undefined from get and the one not-found error from every other verb', async (taskId) => {
    const { ann, bob } = setup({ channels: { home: callbackChannel(() => undefined) } })
    await bob.spawn(() => 1, undefined)
    const id = taskId as string
    expect(await ann.get(id)).toBeUndefined()
    const verbs: readonly (() => Promise<unknown>)[] = [
      () => ann.wait(id),
      () => ann.result(id),
      () => ann.cancel(id),
      () => ann.redirect(id, 'home'),
      () => ann.background(id),
      () => ann.attach(id),
      () => ann.deliveries(id),
      () => ann.handle(id).record(),
      () => ann.handle(id).wait(),
    ]
    for (const verb of verbs) {
      await expect(verb()).rejects.toMatchObject({ name: 'TaskNotFoundError', message: 'There is no such task.' })
    }
  })
})
