import { inspect } from 'node:util'
import {
  callbackChannel,
  createTaskSupervisor,
  defineTool,
  fileChannel,
  memoryStore,
  type CancelOptions,
  type ListFilter,
  type RunCall,
  type SpawnCall,
  type StreamFilter,
  type Tool,
  type ToolDefinition,
  type ToolPolicy,
  type WaitOptions,
} from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setup, watch } from '../support/setup.ts'

const WRONG_DURATIONS: readonly unknown[] = [-1, -0.5, NaN, -Infinity, '5', null, true, {}, [5], 5n]
const ZERO_TOO: readonly unknown[] = [...WRONG_DURATIONS, 0, -0]
const INFINITY_TOO: readonly unknown[] = [...ZERO_TOO, Infinity]
const WRONG_LIMITS: readonly unknown[] = [...ZERO_TOO, 1.5]
const WRONG_OBJECTS: readonly unknown[] = [null, 5, 'x', true, []]

/** What a check has to say: the option and the value it got. */
const named = (option: string): { name: string; message: unknown } => ({
  name: 'TypeError',
  message: expect.stringContaining(option.split('.').at(-1) ?? option) as unknown,
})

/** Options, each with the values it refuses. */
const cross = (options: readonly string[], values: readonly unknown[]): [string, readonly unknown[]][] =>
  options.map((option) => [option, values])

/** `{ a: { b: value } }` for `a.b`. */
function optionsWith(path: string, value: unknown): Record<string, unknown> {
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>
}

describe('createTaskSupervisor', () => {
  test.each([
    ...cross(['inlineMs'], WRONG_DURATIONS),
    ...cross(['timeoutMs', 'waitMs', 'retention.finishedMs'], ZERO_TOO),
    ...cross(['graceMs', 'commitWaitMs', 'progressMs'], INFINITY_TOO),
    ...cross(
      [
        'maxBufferedEvents',
        'limits.maxLive',
        'limits.maxDepth',
        'limits.maxChildren',
        'inbox.maxMessages',
        'inbox.maxBytes',
        'retention.maxFinished',
        'retention.maxProgressEvents',
        'retention.maxEventChars',
        'retention.maxResultBytes',
      ],
      WRONG_LIMITS,
    ),
    ...cross(['limits', 'inbox', 'retention', 'channels'], WRONG_OBJECTS),
    ...cross(['store', 'logger', 'clock'], [null, 5, 'x', {}, []]),
    ...cross(['lineage'], [null, '', 'both', 5]),
    ...cross(['memoise'], [null, 1, 'yes']),
    ...cross(['retention.oversizeResult'], [null, '', 'spill', 'Truncate', 5, true]),
    ...cross(['createId', 'random01', 'inspect'], [null, 5, 'x']),
    ...cross(['channels.slack'], [null, undefined, 5, {}, { send: 1 }]),
    ...cross(['unknown', 'InlineMs', 'inlinems', 'limits.maxlive', 'retention.maxAge'], [1]),
  ])('a wrong %s is a TypeError that names it', (option, values) => {
    for (const value of values) {
      expect(() => createTaskSupervisor(optionsWith(option, value)), inspect(value)).toThrow(
        expect.objectContaining(named(option)) as Error,
      )
    }
  })

  test('the message of a refused option shows the value it got', () => {
    expect(() => createTaskSupervisor({ graceMs: '5s' as never })).toThrow(
      'graceMs must be a positive number of milliseconds, got "5s"',
    )
    expect(() => createTaskSupervisor({ graceMs: NaN })).toThrow('got NaN')
  })

  test.each(WRONG_OBJECTS)('options that are %s are a TypeError', (options) => {
    expect(() => createTaskSupervisor(options as never)).toThrow(TypeError)
  })

  test.each([['slack bot'], [''], ['9lives'], ['a:b']])('a channel named %o is refused', (name) => {
    expect(() => createTaskSupervisor({ channels: { [name]: callbackChannel(() => undefined) } })).toThrow(TypeError)
  })

  test('two channels whose names differ in case only are refused', () => {
    const channel = callbackChannel(() => undefined)
    expect(() => createTaskSupervisor({ channels: { Slack: channel, slack: channel } })).toThrow(TypeError)
  })

  test.each([['nowhere'], ['UP:'], [''], [5], [null]])('deliverTo %o names no channel and is refused', (deliverTo) => {
    expect(() =>
      createTaskSupervisor({ channels: { up2: callbackChannel(() => undefined) }, deliverTo: deliverTo as string }),
    ).toThrow(expect.objectContaining({ code: 'target_invalid' }) as Error)
  })

  test('undefined means the default, for every option', async () => {
    const tasks = createTaskSupervisor({
      inlineMs: undefined,
      store: undefined,
      logger: undefined,
      clock: undefined,
      limits: { maxLive: undefined },
      retention: undefined,
      lineage: undefined,
    } as never)
    expect(await tasks.run((n: number) => n, 1)).toMatchObject({ value: 1 })
    await tasks.shutdown()
  })

  test('an option is read once: what the host does to its options later changes nothing', async () => {
    const limits = { maxLive: 1 }
    const { ann } = setup({ limits })
    limits.maxLive = 10
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined)
    await expect(ann.spawn(work.tool, undefined)).rejects.toMatchObject({ code: 'capacity_exceeded' })
  })
})

describe('session', () => {
  test.each([[undefined], [null], [''], [5], ['x'.repeat(257)], ['a\nb'], ['a\u0000'], ['\u0085'], [{}], [['ann']]])(
    'the owner %o is refused',
    (owner) => {
      const { tasks } = setup()
      expect(() => tasks.session({ owner: owner as string })).toThrow(expect.objectContaining(named('owner')) as Error)
    },
  )

  test.each(WRONG_OBJECTS)('options that are %s are a TypeError', (options) => {
    const { tasks } = setup()
    expect(() => tasks.session(options as never)).toThrow(TypeError)
  })

  test('an unknown name, an origin that is no target and a conversation that is no text are refused', () => {
    const { tasks } = setup()
    expect(() => tasks.session({ owner: 'ann', user: 'bob' } as never)).toThrow(TypeError)
    expect(() => tasks.session({ owner: 'ann', origin: 'nowhere:1' })).toThrow(
      expect.objectContaining({ code: 'target_invalid' }) as Error,
    )
    expect(() => tasks.session({ owner: 'ann', conversation: '' })).toThrow(
      expect.objectContaining(named('conversation')) as Error,
    )
    expect(() => tasks.session({ owner: 'ann', conversation: 7 as never })).toThrow(TypeError)
  })
})

describe('run and spawn', () => {
  const CALL_ERRORS: readonly [string, readonly unknown[]][] = [
    ...cross(['timeoutMs'], ZERO_TOO),
    ...cross(['durable'], [null, 0, 'yes']),
    ...cross(['onParentEnd'], [null, 'kill', 1]),
    ...cross(['signal'], [null, {}, 'x', new AbortController()]),
    ...cross(['description'], [null, '', 5, 'x'.repeat(4_001)]),
    ...cross(['metadata'], [null, 5, 'x', [1], { f: () => 1 }, { n: 1n }]),
    ...cross(['correlation'], [null, 5, 'run', { runID: 'x' }, { runId: '' }, { runId: 5 }]),
    ...cross(['timeout', 'NAME', 'owner', 'parentId', 'taskId'], [1]),
  ]

  test.each([...CALL_ERRORS, ...cross(['inlineMs'], WRONG_DURATIONS), ...cross(['cancelSignal'], [null, {}])])(
    'run with a wrong %s rejects with a TypeError that names it, and nothing starts',
    async (option, values) => {
      const { ann } = setup()
      const work = controllableTool('work')
      for (const value of values) {
        const call = ann.run(work.tool, undefined, { [option]: value } as RunCall)
        await expect(call, inspect(value)).rejects.toMatchObject(named(option))
      }
      expect(work.calls).toHaveLength(0)
      expect((await ann.stats()).live).toBe(0)
    },
  )

  test.each([...CALL_ERRORS, ...cross(['inlineMs', 'cancelSignal'], [1])])(
    'spawn with a wrong %s rejects with a TypeError that names it, and nothing starts',
    async (option, values) => {
      const { ann } = setup()
      const work = controllableTool('work')
      for (const value of values) {
        const call = ann.spawn(work.tool, undefined, { [option]: value } as SpawnCall)
        await expect(call, inspect(value)).rejects.toMatchObject(named(option))
      }
      expect(work.calls).toHaveLength(0)
      expect((await ann.stats()).live).toBe(0)
    },
  )

  test.each(WRONG_OBJECTS)('options that are %s reject with a TypeError', async (options) => {
    const { ann } = setup()
    await expect(ann.run(() => 1, undefined, options as never)).rejects.toThrow(TypeError)
    await expect(ann.spawn(() => 1, undefined, options as never)).rejects.toThrow(TypeError)
    expect((await ann.stats()).live).toBe(0)
  })
})

describe('defineTool', () => {
  const good: ToolDefinition<unknown, unknown> = { name: 'good', run: () => 1 }

  test.each([
    ...cross(['name'], [undefined, null, '', 5, 'x'.repeat(129)]),
    ...cross(['description'], [null, '', 5]),
    ...cross(['run'], [undefined, null, 5, {}, function* generate() {}, async function* generate() {}]),
    ...cross(['input'], [null, 5, {}, () => 1]),
    ...cross(['policy'], WRONG_OBJECTS),
    ...cross(['policy.inlineMs'], WRONG_DURATIONS),
    ...cross(['policy.timeoutMs'], ZERO_TOO),
    ...cross(['policy.background'], [null, 'sometimes', true]),
    ...cross(['policy.onParentEnd', 'policy.onChildFailure'], [null, 'explode']),
    ...cross(['policy.durable', 'policy.modelMayChoose', 'policy.readOnly', 'policy.destructive'], [null, 1]),
    ...cross(['policy.retries', 'execute'], [1]),
  ])('a wrong %s is a TypeError that names it', (option, values) => {
    for (const value of values) {
      const definition = { ...good, ...optionsWith(option, value) }
      expect(() => defineTool(definition as never), inspect(value)).toThrow(
        expect.objectContaining(named(option)) as Error,
      )
    }
  })

  test.each<[ToolPolicy, string]>([
    [{ readOnly: true, destructive: true }, 'tool.policy.destructive must be false for a tool that is readOnly'],
    [
      { modelMayChoose: true, background: 'never' },
      'tool.policy.modelMayChoose must be false where background is "never"',
    ],
    [
      { modelMayChoose: true, background: 'always' },
      'tool.policy.modelMayChoose must be false where background is "always"',
    ],
  ])('%o contradicts itself and is refused', (policy, message) => {
    const make = (): unknown => defineTool({ ...good, policy })
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  test('what a host says of its tool for models is no matter of its own calls', async () => {
    const { ann } = setup()
    for (const policy of [
      { readOnly: true, modelMayChoose: true, background: 'auto' },
      { destructive: true, readOnly: false },
    ] as const) {
      expect(await ann.run(defineTool({ ...good, policy }), undefined)).toMatchObject({ kind: 'inline', value: 1 })
    }
  })

  test.each([[undefined], [null], [5], ['tool'], [{}], [[]], [function* generate() {}]])(
    'a tool that is %o is refused when it is called, and nothing starts',
    async (tool) => {
      const { ann } = setup()
      await expect(ann.run(tool as unknown as Tool<unknown, unknown>, undefined)).rejects.toThrow(TypeError)
      await expect(ann.spawn(tool as unknown as Tool<unknown, unknown>, undefined)).rejects.toThrow(TypeError)
      expect((await ann.stats()).live).toBe(0)
    },
  )

  test('a tool that returns a plain value, or is a class that cannot be called, ends like any other', async () => {
    const { ann } = setup()
    expect(await ann.run((n: number) => n * 2, 4)).toMatchObject({ value: 8 })
    class NoFunction {
      readonly kind = 'class'
    }
    await expect(ann.run(NoFunction as never, undefined)).rejects.toThrow(TypeError)
    expect((await ann.stats()).live).toBe(0)
  })
})

describe('waits', () => {
  test.each([
    ...cross(['waitMs'], ZERO_TOO),
    ...cross(['signal'], [null, {}, 'x']),
    ...cross(['timeoutMs', 'waitms'], [1]),
  ])('a wrong %s is a TypeError that names it, in every verb that waits', async (option, values) => {
    const { ann } = setup()
    const task = await ann.spawn(() => 1, undefined)
    const verbs: readonly ((options: WaitOptions) => Promise<unknown>)[] = [
      (options) => ann.wait(task.taskId, options),
      (options) => ann.waitAny([task.taskId], options),
      (options) => ann.waitAll([task.taskId], options),
      (options) => ann.result(task.taskId, options),
      (options) => ann.attach(task.taskId, options),
      (options) => task.result(options),
    ]
    for (const value of values) {
      for (const verb of verbs) {
        await expect(verb({ [option]: value }), inspect(value)).rejects.toMatchObject(named(option))
      }
    }
  })

  test.each([[undefined], [null], ['task-1'], [5], [[]]])('waitAny and waitAll refuse %o as ids', async (ids) => {
    const { ann } = setup()
    await expect(ann.waitAny(ids as never)).rejects.toMatchObject(named('taskIds'))
    await expect(ann.waitAll(ids as never)).rejects.toMatchObject(named('taskIds'))
  })
})

describe('list', () => {
  test.each([
    ...cross(['limit'], WRONG_LIMITS),
    ...cross(['status'], [null, '', 'done', 5, ['running', 'done']]),
    ...cross(['parent', 'tree', 'tool', 'name', 'conversation'], [null, '', 5, 'x'.repeat(257)]),
    ...cross(['correlation'], [null, 'x', { callId: 'x' }, { runId: '' }]),
    ...cross(['owner', 'Status', 'offset'], ['bob']),
  ])('a wrong %s rejects with a TypeError that names it', async (option, values) => {
    const { ann } = setup()
    for (const value of values) {
      await expect(ann.list({ [option]: value } as ListFilter), inspect(value)).rejects.toMatchObject(named(option))
    }
  })

  test.each([[null], [''], [5], ['nonsense'], ['1'], ['1.'], ['-1.x'], ['x'.repeat(10_000)]])(
    'after: %o is an invalid cursor',
    async (after) => {
      const { ann } = setup()
      await expect(ann.list({ after: after as string })).rejects.toMatchObject({ code: 'invalid_cursor' })
    },
  )
})

describe('events', () => {
  test.each([
    ...cross(['signal'], [null, {}, 'x']),
    ...cross(['type'], [null, '', 'task.finished', 5, ['task.queued', 'done']]),
    ...cross(['tree', 'tool', 'conversation'], [null, '', 5]),
    ...cross(['after'], [null, -1, 1.5, NaN, {}, true]),
    ...cross(['owner', 'types', 'since'], ['x']),
  ])('a wrong %s is a TypeError that names it, for both faces', (option, values) => {
    const { ann } = setup()
    for (const value of values) {
      const options = { [option]: value } as StreamFilter
      const refused = expect.objectContaining(named(option)) as Error
      expect(() => ann.events(options), inspect(value)).toThrow(refused)
      expect(() => ann.events$(options), inspect(value)).toThrow(refused)
    }
  })
})

describe('cancel', () => {
  test.each([
    ...cross(['reason'], [null, '', 'parent', 'timeout', 'shutdown', 'budget', 5]),
    ...cross(['note'], [null, '', 5, 'x'.repeat(1_001)]),
    ...cross(['runId', 'force'], ['x']),
  ])('a wrong %s rejects with a TypeError that names it, and nothing is stopped', async (option, values) => {
    const { ann, settle } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    for (const value of values) {
      const options = { [option]: value } as CancelOptions
      await expect(task.cancel(options), inspect(value)).rejects.toMatchObject(named(option))
      if (option !== 'runId') await expect(ann.cancelAll(options), inspect(value)).rejects.toMatchObject(named(option))
    }
    await settle()
    expect(await task.record()).toMatchObject({ status: 'running' })
  })

  test.each([[null], [''], [5], ['x'.repeat(257)]])('cancelAll refuses the runId %o', async (runId) => {
    const { ann } = setup()
    await expect(ann.cancelAll({ runId: runId as string })).rejects.toMatchObject(named('runId'))
  })
})

describe('shutdown', () => {
  test.each([...cross(['graceMs'], INFINITY_TOO), ...cross(['timeoutMs'], [1])])(
    'a wrong %s rejects with a TypeError that names it, and the supervisor goes on',
    async (option, values) => {
      const { tasks, ann } = setup()
      for (const value of values) {
        await expect(tasks.shutdown({ [option]: value }), inspect(value)).rejects.toMatchObject(named(option))
      }
      expect(await ann.run((n: number) => n, 1)).toMatchObject({ value: 1 })
    },
  )
})

describe('channels', () => {
  test.each([[undefined], [null], [{}], [{ folder: '' }], [{ folder: 5 }], [{ folder: 'x', path: 'y' }]])(
    'fileChannel refuses %o',
    (options) => {
      expect(() => fileChannel(options as never)).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          message: expect.stringMatching(/options|folder|path/) as unknown,
        }) as Error,
      )
    },
  )

  test.each([[undefined], [null], [5], [{}]])('callbackChannel refuses %o', (receive) => {
    expect(() => callbackChannel(receive as never)).toThrow(TypeError)
  })
})

const DAY_MS = 86_400_000

describe('long durations', () => {
  test('a hard deadline of 30 days passes after 30 days and not before', async () => {
    const { ann, advance } = setup({ timeoutMs: 30 * DAY_MS, retention: { finishedMs: Infinity } })
    const work = controllableTool('work', { honoursSignal: true })
    const task = await ann.spawn(work.tool, undefined)
    await advance(30 * DAY_MS - 1)
    expect(await task.record()).toMatchObject({ status: 'running' })
    await advance(1)
    expect(await task.record()).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  })

  test('an inline time of 30 days passes after 30 days and not before', async () => {
    const { ann, advance } = setup()
    const work = controllableTool('work')
    const call = watch(ann.run(work.tool, undefined, { inlineMs: 30 * DAY_MS, timeoutMs: Infinity }))
    await advance(30 * DAY_MS - 1)
    expect(call.state).toBe('pending')
    await advance(1)
    expect(call.value).toMatchObject({ kind: 'background' })
  })

  test('a wait of 30 days gives up after 30 days and not before', async () => {
    const { ann, advance } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { timeoutMs: Infinity })
    const wait = watch(task.wait({ waitMs: 30 * DAY_MS }))
    await advance(30 * DAY_MS - 1)
    expect(wait.state).toBe('pending')
    await advance(1)
    expect(wait.error).toMatchObject({ code: 'wait_timeout' })
  })

  test('durations far beyond any timer never fire at once', async () => {
    const { ann, advance } = setup({ store: memoryStore() })
    const work = controllableTool('work')
    const call = watch(ann.run(work.tool, undefined, { inlineMs: Number.MAX_VALUE, timeoutMs: 2 ** 53 }))
    await advance(365 * DAY_MS)
    expect(call.state).toBe('pending')
  })

  test('Infinity switches the soft and the hard deadline off', async () => {
    const { ann, advance } = setup()
    const work = controllableTool('work')
    const call = watch(ann.run(work.tool, undefined, { inlineMs: Infinity, timeoutMs: Infinity }))
    await advance(365 * DAY_MS)
    expect(call.state).toBe('pending')
    work.call(0).resolve('late')
    await advance(0)
    expect(call.value).toMatchObject({ kind: 'inline', value: 'late' })
  })

  test('a jump of the wall clock, forward or back, moves no deadline', async () => {
    const { ann, advance, clock } = setup({ timeoutMs: 10_000 })
    const work = controllableTool('work', { honoursSignal: true })
    const task = await ann.spawn(work.tool, undefined)
    clock.jump(365 * DAY_MS)
    await advance(9_999)
    clock.jump(-2 * 365 * DAY_MS)
    expect(await task.record()).toMatchObject({ status: 'running' })
    await advance(1)
    expect(await task.record()).toMatchObject({ status: 'failed' })
  })
})
