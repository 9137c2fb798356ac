import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { setup } from '../support/setup.ts'

/** Values that can be kept, with what readers get of them. */
const KEPT: readonly (readonly [string, () => unknown, unknown])[] = [
  ['undefined', () => undefined, undefined],
  ['null', () => null, null],
  ['an empty string', () => '', ''],
  ['zero', () => 0, 0],
  ['NaN', () => NaN, null],
  ['an invalid Date', () => new Date(NaN), null],
  ['a Date', () => new Date(0), '1970-01-01T00:00:00.000Z'],
  ['a Buffer', () => Buffer.from('hi'), { type: 'Buffer', data: [104, 105] }],
  ['an array with a hole', () => [1, undefined, 3], [1, null, 3]],
  ['an object with an undefined field', () => ({ a: undefined, b: 1 }), { b: 1 }],
  ['an object without a prototype', () => Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
  [
    'an own __proto__ key',
    () => JSON.parse('{"__proto__":{"polluted":true}}') as unknown,
    JSON.parse('{"__proto__":{"polluted":true}}'),
  ],
  ['a toJSON that gives another value', () => ({ toJSON: () => ({ told: 1 }) }), { told: 1 }],
  ['a toJSON that gives nothing', () => ({ toJSON: () => undefined }), undefined],
  ['an error', () => new Error('as a value'), {}],
]

test.each(KEPT)(
  'a result that is %s is read back as its JSON, by every reader alike',
  async (_what, make, expected) => {
    const { ann } = setup()
    const task = await ann.spawn(make, undefined)
    expect(await task.result()).toEqual(expected)
    expect(await ann.result(task.taskId)).toEqual(expected)
    expect(await task.attach()).toEqual({
      kind: 'inline',
      value: expected,
      persisted: false,
      taskId: task.taskId,
    })
    expect(await task.record()).toMatchObject({ status: 'completed' })
  },
)

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level += 1) value = [value]
  return value
}

const cycle = (): unknown => {
  const value: Record<string, unknown> = {}
  value['self'] = { value }
  return value
}

const hostile = (): never => {
  throw Object.defineProperty(new Error('x'), 'message', {
    get: () => {
      throw new Error('no message either')
    },
  })
}

const unreadable = new Proxy(
  {},
  {
    ownKeys: hostile,
    get: (_target, key) => (key === 'then' ? undefined : hostile()),
    getPrototypeOf: hostile,
  },
)

/** Values that cannot be kept. */
const REFUSED: readonly (readonly [string, () => unknown])[] = [
  ['a function', () => () => 1],
  ['a symbol', () => Symbol('s')],
  ['a BigInt', () => 1n],
  ['a Map', () => new Map([[1, 2]])],
  ['a Set deep inside', () => ({ a: [{ b: new Set([1]) }] })],
  ['a function deep inside', () => ({ a: [() => 1] })],
  ['a cycle', cycle],
  ['100,000 levels deep', () => nested(100_000)],
  [
    'a getter that throws',
    () => ({
      get secret(): never {
        throw new Error('no')
      },
    }),
  ],
  ['a toJSON that throws', () => ({ toJSON: hostile })],
  ['a toJSON that gives a function', () => ({ toJSON: () => () => 1 })],
  ['a proxy that throws at every touch', () => unreadable],
]

test.each(REFUSED)('a result that is or has %s fails its own task and no other', async (_what, make) => {
  const { ann, settle } = setup()
  const other = controllableTool<undefined, string>('other')
  const bystander = await ann.spawn(other.tool, undefined)
  const task = await ann.spawn(make, undefined)
  await expect(task.result()).rejects.toMatchObject({
    code: 'task_failed',
    failure: { code: 'result_unserialisable', retryable: false },
  })
  expect(await task.record()).toMatchObject({ status: 'failed' })
  other.call(0).resolve('fine')
  expect(await bystander.result()).toBe('fine')
  await settle()
  expect(await ann.stats()).toEqual({ byStatus: { failed: 1, completed: 1 }, live: 0 })
})

test('a value inline is the very value the tool returned, whatever it is', async () => {
  const { ann } = setup()
  const value = new Map([['f', () => 1]])
  const outcome = await ann.run(() => value, undefined)
  expect(outcome).toEqual({ kind: 'inline', value, persisted: false })
  expect(outcome.kind === 'inline' && outcome.value).toBe(value)
})

test('a durable call whose result cannot be kept fails, also for the caller who waits inline', async () => {
  const { ann } = setup()
  await expect(ann.run(() => new Map(), undefined, { durable: true })).rejects.toMatchObject({
    code: 'task_failed',
    failure: { code: 'result_unserialisable' },
  })
})

test('a result may be as large as the limit and not one byte larger', async () => {
  const { ann } = setup({ retention: { maxResultBytes: 100 } })
  const fits = await ann.spawn(() => 'x'.repeat(98), undefined)
  expect(await fits.result()).toBe('x'.repeat(98))
  const tooLarge = await ann.spawn(() => 'x'.repeat(99), undefined)
  await expect(tooLarge.result()).rejects.toMatchObject({ failure: { code: 'result_too_large' } })
})

test('the size of a result is counted in bytes, not in characters', async () => {
  const { ann } = setup({ retention: { maxResultBytes: 100 } })
  const task = await ann.spawn(() => 'é'.repeat(50), undefined)
  await expect(task.result()).rejects.toMatchObject({ failure: { code: 'result_too_large' } })
})

test('what a reader does to a result is seen by no other reader', async () => {
  const { ann } = setup()
  const task = await ann.spawn(() => ({ list: [1] }), undefined)
  const first = (await task.result()) as { list: number[] }
  first.list.push(2)
  expect(await task.result()).toEqual({ list: [1] })
})

test('what the tool does to its result after it returned changes nothing', async () => {
  const { ann } = setup()
  const result = { list: [1] }
  const task = await ann.spawn(() => result, undefined)
  result.list.push(2)
  expect(await task.result()).toEqual({ list: [1] })
})

test('what stopped work returns is kept as partial', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).resolve({ pages: 3 })
  await cancelled
  await settle()
  expect(await task.record()).toMatchObject({ status: 'cancelled', partial: { pages: 3 } })
})

test('a partial result that cannot be kept is left out and changes no outcome', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).resolve(new Map())
  await cancelled
  const record = await task.record()
  expect(record).toMatchObject({ status: 'cancelled' })
  expect(record).not.toHaveProperty('partial')
})

test('a late outcome is counted and changes nothing', async () => {
  const { ann, tasks, advance, settle } = setup({ graceMs: 100 })
  const work = controllableTool<undefined, string>('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  await advance(100)
  await cancelled
  const before = await task.record()
  expect(before).toMatchObject({ status: 'cancelled', abandoned: true })
  work.call(0).resolve('too late')
  await settle()
  expect(await task.record()).toEqual(before)
  expect((await tasks.operator.stats()).counters).toMatchObject({ lateOutcomes: 1, abandonedTasks: 1 })
})

test('an object that resolves to itself is awaited until its deadline and no longer', async () => {
  const { ann, advance } = setup({ timeoutMs: 1_000, graceMs: 10 })
  // eslint-disable-next-line unicorn/no-thenable -- the point of the test
  const task = await ann.spawn(() => ({ then: () => undefined }), undefined)
  const ended = task.wait()
  await advance(1_010)
  expect(await ended).toMatchObject({ status: 'failed', failure: { code: 'timeout' }, abandoned: true })
})
