/** Everything a user can hand in that is kept with a task has a bound: at the bound it is taken, above it is not. */
import { callbackChannel, defineTool, type CallOptions, type StreamItem, type ToolDefinition } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { collectGarbage } from '../growth/growth-ratio.ts'
import { collect, setup } from '../support/setup.ts'

const text = (chars: number): string => 'x'.repeat(chars)
const channels = { home: callbackChannel(() => undefined) }
const targets = (count: number): string[] => Array.from({ length: count }, (_, index) => `home:${index}`)

const TYPE_ERROR = { name: 'TypeError' }

/** What a call may ask for: at its bound, above it, and how that is refused. */
const CALLS: readonly (readonly [string, CallOptions, CallOptions, object])[] = [
  ['name', { name: text(64) }, { name: text(65) }, { code: 'name_invalid' }],
  ['description', { description: text(4_000) }, { description: text(4_001) }, TYPE_ERROR],
  ['metadata', { metadata: { k: text(16_376) } }, { metadata: { k: text(16_377) } }, TYPE_ERROR],
  ['correlation.runId', { correlation: { runId: text(256) } }, { correlation: { runId: text(257) } }, TYPE_ERROR],
  ['correlation.callId', { correlation: { callId: text(256) } }, { correlation: { callId: text(257) } }, TYPE_ERROR],
  ['correlation.agentId', { correlation: { agentId: text(256) } }, { correlation: { agentId: text(257) } }, TYPE_ERROR],
  ['target', { deliverTo: `home:${text(507)}` }, { deliverTo: `home:${text(508)}` }, { code: 'target_invalid' }],
  ['deliverTo', { deliverTo: targets(100) }, { deliverTo: targets(101) }, TYPE_ERROR],
]

test.each(CALLS)('a call may have a %s as large as its bound and no larger', async (_what, most, tooMuch, refusal) => {
  const { ann } = setup({ channels })
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined, most)
  await expect(ann.run(work.tool, undefined, tooMuch)).rejects.toMatchObject(refusal)
  await expect(ann.spawn(work.tool, undefined, tooMuch)).rejects.toMatchObject(refusal)
  expect(work.calls).toHaveLength(1)
})

test('metadata without end is refused at its bound, and what would come after is not touched', async () => {
  const { ann } = setup()
  const huge = { list: Array.from({ length: 1_000_000 }, () => text(100)), late: { toJSON: () => expect.fail('read') } }
  await expect(ann.spawn(() => 1, undefined, { metadata: huge })).rejects.toThrow(
    /metadata must be at most 16384 bytes/,
  )
})

test('a tool may have a name and a description as large as their bounds and no larger', async () => {
  const { ann } = setup()
  const run = (): number => 1
  const task = await ann.spawn(defineTool({ name: text(128), description: text(4_000), run }), undefined)
  expect(await task.record()).toMatchObject({ tool: text(128), description: text(4_000) })
  expect(() => defineTool({ name: text(129), run })).toThrow(TypeError)
  expect(() => defineTool({ name: 'x', description: text(4_001), run })).toThrow(TypeError)
  const longNamed = Object.defineProperty(() => 1, 'name', { value: text(1_000) })
  expect(await (await ann.spawn(longNamed, undefined)).record()).toMatchObject({ tool: text(128) })
})

test('a session may have an owner, a conversation and an origin as large as their bounds and no larger', () => {
  const { tasks } = setup({ channels })
  tasks.session({ owner: text(256), conversation: text(256), origin: `home:${text(507)}` })
  expect(() => tasks.session({ owner: text(257) })).toThrow(TypeError)
  expect(() => tasks.session({ owner: 'ann', conversation: text(257) })).toThrow(TypeError)
  expect(() => tasks.session({ owner: 'ann', origin: `home:${text(508)}` })).toThrow(
    expect.objectContaining({ code: 'target_invalid' }) as Error,
  )
})

test('a supervisor has at most a hundred default targets', () => {
  setup({ channels, deliverTo: targets(100) })
  expect(() => setup({ channels, deliverTo: targets(101) })).toThrow(/deliverTo must be at most 100 targets/)
})

test('the result of an ended task goes to a hundred targets and then to no more', async () => {
  const { ann, settle } = setup({ channels })
  const task = await ann.spawn(() => 1, undefined, { deliverTo: targets(99) })
  await task.wait()
  await settle()
  await task.redirect('home:100th')
  await task.redirect('home:100th')
  await expect(task.redirect('home:101st')).rejects.toMatchObject({ code: 'not_allowed' })
  expect((await task.record()).targets).toHaveLength(100)
  expect(await ann.deliveries(task.taskId)).toHaveLength(100)
})

test('the note of a cancel may be as large as its bound and no larger', async () => {
  const { tasks, ann } = setup()
  const work = controllableTool('work', { honoursSignal: true })
  const task = await ann.spawn(work.tool, undefined)
  await expect(task.cancel({ note: text(1_001) })).rejects.toThrow(TypeError)
  await expect(ann.cancelAll({ note: text(1_001) })).rejects.toThrow(TypeError)
  await expect(ann.cancelAll({ runId: text(257) })).rejects.toThrow(TypeError)
  await expect(tasks.operator.cancel(task.taskId, { note: text(1_001) })).rejects.toThrow(TypeError)
  await task.cancel({ note: text(1_000) })
  expect(await task.record()).toMatchObject({ status: 'cancelled', cause: { note: text(1_000) } })
})

describe('what a task reports', () => {
  test('the note of progress is cut, the name and the payload of an event are refused, above their bounds', async () => {
    const { ann } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    const { ctx } = work.call(0)
    ctx.progress({ note: `${text(999)}😀` })
    ctx.emit(text(128), text(64 * 1024 - 2))
    expect(() => ctx.emit(text(129))).toThrow(TypeError)
    expect(() => ctx.emit('event', text(64 * 1024 - 1))).toThrow(
      expect.objectContaining({ code: 'input_invalid' }) as Error,
    )
    work.call(0).resolve(1)
    expect(await task.wait()).toMatchObject({ progress: { note: text(999) } })
  })

  test('a payload is read once: what is kept is what was measured', async () => {
    const { ann, settle } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    let reads = 0
    work.call(0).ctx.emit('event', { toJSON: () => ((reads += 1), reads === 1 ? 'small' : text(1_000_000)) })
    work.call(0).resolve(1)
    await settle()
    const items: StreamItem[] = collect(task.events()).items
    await settle()
    expect(items.find((item) => item.type === 'task.custom')).toMatchObject({ payload: 'small' })
    expect(reads).toBe(1)
  })

  test('output is kept in whole characters, however it is divided', async () => {
    const { ann, settle } = setup({ retention: { maxEventChars: 5 } })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    work.call(0).ctx.output('a😀😀😀😀😀')
    work.call(0).resolve(1)
    await settle()
    const { items, ended } = collect(task.events())
    await ended
    const chunks = items.flatMap((item) => (item.type === 'task.output' ? [item.chunk] : []))
    expect(chunks.join(' ')).not.toMatch(/\p{Surrogate}/u)
    expect(chunks.at(-1)).toMatch(/😀$/u)
  })
})

describe('what a task fails with', () => {
  test('message, name, details and causes are cut or left out above their bounds', async () => {
    const { ann } = setup()
    let error: Error = new Error(text(4_001))
    for (let level = 0; level < 20; level += 1) error = new Error(text(4_001), { cause: error })
    Object.assign(error, { name: text(101), details: { k: text(7_992) } })
    const { failure } = await (await ann.spawn(() => Promise.reject(error), undefined)).wait()
    expect(failure).toMatchObject({ message: `${text(4_000)}…`, name: `${text(100)}…`, details: { k: text(7_992) } })
    let causes = 0
    for (let cause = failure?.cause; cause !== undefined; cause = cause.cause) causes += 1
    expect(causes).toBe(5)
    Object.assign(error, { details: { k: text(7_993) } })
    const { failure: second } = await (await ann.spawn(() => Promise.reject(error), undefined)).wait()
    expect(second).not.toHaveProperty('details')
  })

  test('the details of an error are read no further than their bound', async () => {
    const { ann } = setup()
    const late = { toJSON: () => expect.fail('read') }
    const details = { list: Array.from({ length: 100_000 }, () => text(100)), late }
    const task = await ann.spawn(() => Promise.reject(Object.assign(new Error('x'), { details })), undefined)
    expect(await task.wait()).toMatchObject({ failure: { message: 'x' } })
  })

  test('why a result cannot be kept is told as far as its bound', async () => {
    const { ann } = setup()
    const refuse = (): never => {
      throw new Error(text(1_000_000))
    }
    const task = await ann.spawn(() => ({ toJSON: refuse }), undefined)
    const { failure } = await task.wait()
    expect(failure).toMatchObject({ code: 'result_unserialisable' })
    expect(failure?.message).toHaveLength(4_001)
  })

  test('a chain of children that fail each other says what failed first, in a bounded number of links', async () => {
    const { ann } = setup()
    const below = defineTool({
      name: 'below',
      policy: { onChildFailure: 'fail' },
      run: async (levels: number, ctx) => {
        if (levels === 0) throw new TypeError('at the bottom')
        const child = await ctx.spawn(below, levels - 1)
        return child.result()
      },
    }) as ToolDefinition<number, unknown>
    const { failure } = await (await ann.spawn(below, 40)).wait()
    let links = 0
    let first = failure
    for (; first?.cause !== undefined; first = first.cause) links += 1
    expect(first).toMatchObject({ code: 'tool_error', name: 'TypeError', message: 'at the bottom' })
    expect(links).toBeLessThanOrEqual(6)
  })
})

test('the end of a delivery is told as far as its bound', async () => {
  const { ann, settle } = setup({
    channels: { home: callbackChannel(() => Promise.reject(new Error(text(1_000)))) },
  })
  const task = await ann.spawn(() => 1, undefined, { deliverTo: 'home' })
  await settle()
  expect(await ann.deliveries(task.taskId)).toMatchObject([{ attempts: 1, failure: { message: text(500) } }])
})

test('what is kept of a large text does not hold the rest of it in memory', async () => {
  const { ann, settle } = setup()
  const MB = 1024 * 1024
  const heapMb = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed / MB
  }
  const before = heapMb()
  for (let round = 0; round < 10; round += 1) {
    const task = await ann.spawn((_: undefined, ctx) => {
      ctx.output(text(10 * MB))
      ctx.progress({ note: text(10 * MB) })
      throw new Error(text(10 * MB))
    }, undefined)
    await task.wait()
    await settle()
  }
  expect((await ann.list()).tasks).toHaveLength(10)
  expect(heapMb() - before).toBeLessThan(30)
})
