/** `task_start`: what a model may start, how it is told, and what becomes of it. */
import { defineTool, TaskNotFoundError, type TaskContext, type ToolPolicy } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { controlTools, type ControlToolsOptions } from 'outlive/tools'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { setup, watch, type Harness } from '../support/setup.ts'
import { callsOf, readFenced, readPages, requireTool, type ToolCalls } from '../support/tool-calls.ts'

const topicSchema = z.object({ topic: z.string() })

function setupStart(
  start: ControlToolsOptions['start'],
  options: Parameters<typeof setup>[0] = {},
): Harness & { readonly call: ToolCalls } {
  const harness = setup(options)
  return { ...harness, call: callsOf(controlTools(harness.ann, { clock: harness.clock, ...(start && { start }) })) }
}

/** A tool of the model's whose calls the test ends by hand. */
function slowTool(policy: ToolPolicy = {}, { honoursSignal = false } = {}) {
  const slow = controllableTool<{ topic: string }>('slow', { policy, honoursSignal })
  return { ...slow, tool: defineTool({ ...slow.tool, input: topicSchema }) }
}

describe('what a model is told', () => {
  const search = defineTool({
    name: 'search',
    description: 'Looks up a topic.',
    input: topicSchema,
    policy: { readOnly: true, modelMayChoose: true },
    run: () => [],
  })
  const wipe = defineTool({
    name: 'wipe',
    description: 'Removes all.',
    input: z.object({ force: z.boolean() }),
    policy: { destructive: true },
    run: () => 0,
  })

  test('each tool is described with what it does to the world, and its input by its own JSON Schema', () => {
    const { ann } = setup()
    const { description, inputSchema } = requireTool(controlTools(ann, { start: [search, wipe] }), 'task_start')
    expect(description.split('\n')).toEqual([
      expect.stringContaining('Starts a tool as a task of yours.'),
      '- search: Looks up a topic. (changes nothing)',
      '- wipe: Removes all. (destructive: what it does may not be undone)',
    ])
    expect(inputSchema).toMatchObject({
      required: ['tool', 'input'],
      properties: {
        tool: { enum: ['search', 'wipe'] },
        input: {
          anyOf: [
            { title: 'search', type: 'object', properties: { topic: { type: 'string' } }, required: ['topic'] },
            { title: 'wipe', type: 'object', properties: { force: { type: 'boolean' } }, required: ['force'] },
          ],
        },
        background: { type: 'boolean', description: expect.stringContaining('Only search can be told so.') as unknown },
      },
    })
    expect(JSON.stringify(inputSchema)).not.toContain('$schema')
  })

  test('one tool alone needs no choice of inputs, and none that chooses the background is told of it', () => {
    const { ann } = setup()
    const { inputSchema, input, annotations } = requireTool(controlTools(ann, { start: [wipe] }), 'task_start')
    expect(inputSchema).toMatchObject({ properties: { input: { type: 'object', required: ['force'] } } })
    expect(inputSchema['properties']).not.toHaveProperty('background')
    expect(annotations).toMatchObject({ readOnly: false, destructive: true })
    const seen = requireTool(controlTools(ann, { start: [search] }), 'task_start')
    expect(seen.annotations).toMatchObject({ readOnly: true, destructive: false })
    const all = seen.inputSchema['properties'] as { readonly background: { readonly description: string } }
    expect(all.background.description).not.toContain('Only')
    expect(input['~standard'].jsonSchema.input({ target: 'draft-07' })).toEqual(inputSchema)
  })

  test('a JSON Schema beside the tool counts before that of its input', () => {
    const { ann } = setup()
    const jsonSchema = {
      type: 'object',
      properties: { topic: { type: 'string', enum: ['owls'] } },
      required: ['topic'],
    }
    const plain = (input: { topic: string }): string => input.topic
    const tools = controlTools(ann, {
      start: [
        { tool: search, jsonSchema },
        { tool: plain, jsonSchema },
      ],
    })
    const { anyOf } = (requireTool(tools, 'task_start').inputSchema['properties'] as { input: { anyOf: unknown } })
      .input
    expect(anyOf).toEqual([
      { title: 'search', ...jsonSchema },
      { title: 'plain', ...jsonSchema },
    ])
  })

  test('a set that is readOnly starts what is readOnly and nothing else', async () => {
    const { ann } = setup()
    let wiped = 0
    const count = defineTool({ ...wipe, run: () => (wiped += 1) })
    const unsaid = defineTool({ name: 'unsaid', input: topicSchema, run: () => (wiped += 1) })
    const tools = controlTools(ann, { readOnly: true, start: [count, search, unsaid] })
    const call = callsOf(tools)
    for (const tool of ['wipe', 'unsaid']) {
      expect(await call('task_start', { tool, input: { force: true, topic: 'x' } })).toBe(
        `There is no tool "${tool}" to start. There are: search.`,
      )
    }
    expect(wiped).toBe(0)
    expect(requireTool(tools, 'task_start').description).not.toContain('wipe')
    expect((await ann.list()).tasks).toEqual([])
  })
})

describe('what becomes of a start', () => {
  test('a quick tool answers with its result, and is a task of record that is found again', async () => {
    const lines = Array.from({ length: 3_000 }, (_, n) => `line ${n}\n`).join('')
    const quick = defineTool({ name: 'quick', input: topicSchema, run: async ({ topic }) => `${topic}\n${lines}` })
    const { ann, call } = setupStart([quick])
    const first = await call('task_start', { tool: 'quick', input: { topic: 'owls' } })
    const { head, data } = readFenced(first)
    expect(head).toContain('Task task-1 (quick): completed. It took 0.0 s. Its result:')
    expect(head).toContain('call task_result with page 2.')
    expect(data.startsWith('owls\nline 0\n')).toBe(true)
    const pages = await readPages(call, 'task-1')
    expect(pages[0]).toBe(first)
    expect(pages.map((page) => readFenced(page).data).join('')).toBe(`owls\n${lines}`)
    expect((await ann.list()).tasks).toMatchObject([{ taskId: 'task-1', status: 'completed' }])
  })

  test('a slow tool answers with its ticket and the ways to go on', async () => {
    const { tool, call: callOf } = slowTool({ inlineMs: 2_000 })
    const { call, advance } = setupStart([tool])
    const answer = watch(call('task_start', { tool: 'slow', input: { topic: 'owls' }, name: 'reader' }))
    await advance(1_999)
    expect(answer.state).toBe('pending')
    await advance(1)
    expect(answer.value).toBe(
      'The call to slow goes on in the background as task task-1 (running). Ask for its result later with this id. ' +
        'The call was made, so do not make it again. With the id task-1, task_check tells how far it is, ' +
        'task_wait waits for its end, task_result reads its result once it has ended, task_cancel stops it, task_send tells it something.',
    )
    expect(await call('task_check', { task_id: 'task-1' })).toContain('(slow, named reader): running.')
    callOf(0).resolve(['owl'])
    await advance(0)
    expect(JSON.parse(readFenced(await call('task_result', { task_id: 'task-1' })).data)).toEqual(['owl'])
  })

  test('the model sends a call to the background where the tool leaves it to the model, and nowhere else', async () => {
    const chosen = slowTool({ modelMayChoose: true })
    const fixed = controllableTool<{ topic: string }, string>('fixed')
    const { call, settle } = setupStart([chosen.tool, { tool: fixed.tool, jsonSchema: { type: 'object' } }])
    const start = (tool: string, background: unknown) =>
      watch(call('task_start', { tool, input: { topic: 'x' }, background }))
    const sent = start('slow', true)
    const waited = [start('slow', false), start('slow', 'true'), start('slow', 1), start('fixed', true)]
    await settle()
    expect(sent.value).toContain('goes on in the background as task task-1')
    expect(waited.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'pending'])
    for (const { resolve } of [...chosen.calls, ...fixed.calls]) resolve('here')
    await settle()
    expect(waited.map(({ value }) => readFenced(value ?? '').data)).toEqual(['here', 'here', 'here', 'here'])
  })

  test('what the policy of the tool says about the background is done', async () => {
    const always = slowTool({ background: 'always' })
    const { call, advance } = setupStart([always.tool])
    expect(await call('task_start', { tool: 'slow', input: { topic: 'x' } })).toContain('goes on in the background')
    const never = slowTool({ background: 'never' })
    const second = setupStart([never.tool])
    const answer = watch(second.call('task_start', { tool: 'slow', input: { topic: 'x' } }))
    await second.advance(600_000)
    await advance(0)
    expect(answer.state).toBe('pending')
  })

  test('within a task what is started is a task below it', async () => {
    const who = defineTool({
      name: 'who',
      input: topicSchema,
      run: (_input, ctx) => ({ above: ctx.parentId, owner: ctx.owner }),
    })
    const { ann, call } = setupStart([who])
    const agent = await ann.spawn(
      async () =>
        call('task_start', { tool: 'who', input: { topic: 'x', parentId: 'none', owner: 'bob' }, owner: 'bob' }),
      undefined,
    )
    expect(JSON.parse(readFenced(await agent.result()).data)).toEqual({ above: agent.taskId, owner: 'ann' })
  })

  test('an abort of the turn stops the wait, and what was started goes on', async () => {
    const { tool, call: callOf } = slowTool()
    const { ann, call, settle } = setupStart([tool])
    const turn = new AbortController()
    const answer = watch(call('task_start', { tool: 'slow', input: { topic: 'x' } }, { signal: turn.signal }))
    await settle()
    turn.abort(new Error('the turn is over'))
    await settle()
    expect(answer.error).toMatchObject({ message: 'the turn is over' })
    callOf(0).resolve('done')
    expect(await ann.result('task-1')).toBe('done')
  })

  test('a result that the store has not taken is told all the same', async () => {
    const quick = defineTool({ name: 'quick', input: topicSchema, run: async () => 'the value' })
    const { ann, clock } = setup()
    // What `run` gives while the store does not answer: the value, and an id whose record is behind.
    const session = { ...ann, get: async () => undefined }
    const call = callsOf(controlTools(session, { clock, start: [quick] }))
    const { head, data } = readFenced(await call('task_start', { tool: 'quick', input: { topic: 'x' } }))
    expect(head).toContain('Task task-1: completed. Its result:')
    expect(data).toBe('the value')
  })
})

describe('what is refused', () => {
  const quick = defineTool({ name: 'quick', input: topicSchema, run: async () => 'done' })
  const args = { tool: 'quick', input: { topic: 'x' } }

  test.each([undefined, null, 7, '', 'Quick', 'toString', '__proto__', ['quick'], 'x'.repeat(1_000)])(
    'there is no tool %j',
    async (tool) => {
      const { ann, call } = setupStart([quick])
      const answer = await call('task_start', { tool, input: { topic: 'x' } })
      expect(answer).toMatch(/^There is no tool ".*["…] to start\. There are: quick\.$/)
      expect(answer.length).toBeLessThan(200)
      expect((await ann.list()).tasks).toEqual([])
    },
  )

  test('an input that does not fit is told with what is wrong in it', async () => {
    const { ann, call } = setupStart([
      defineTool({
        name: 'quick',
        input: z.object({ topic: z.string(), at: z.object({ page: z.number() }) }),
        run: () => 1,
      }),
    ])
    expect(await call('task_start', { tool: 'quick', input: { at: { page: 'one' } } })).toBe(
      'The input does not fit the tool, so nothing was started. Correct it and call again.\n' +
        '- topic: Invalid input: expected string, received undefined\n' +
        '- at.page: Invalid input: expected number, received string',
    )
    for (const input of [undefined, null, 'text', [], 7]) {
      expect(await call('task_start', { tool: 'quick', input })).toMatch(/^The input does not fit the tool/)
    }
    expect((await ann.list()).tasks).toEqual([])
  })

  test('so many issues are told that a model can mend them, each in one short line', async () => {
    const issues = Array.from({ length: 50 }, (_, n) => ({
      message: `${'wrong\n- '.repeat(100)}${n}`,
      path: ['at', n],
    }))
    const strict = defineTool({
      name: 'strict',
      input: { '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) } },
      run: () => 1,
    })
    const { call } = setupStart([{ tool: strict, jsonSchema: { type: 'object' } }])
    const lines = (await call('task_start', { tool: 'strict', input: {} })).split('\n')
    expect(lines).toHaveLength(11)
    expect(lines.filter((line) => line.length > 210)).toEqual([])
  })

  test('names that are taken or none are told so', async () => {
    const slow = slowTool({ background: 'always' })
    const { call } = setupStart([slow.tool])
    const start = (name: string) => call('task_start', { tool: 'slow', input: { topic: 'x' }, name })
    expect(await start('reader')).toContain('goes on in the background')
    expect(await start('READER')).toBe(
      'Another live task has this name, so nothing was started. Use another name, or none.',
    )
    for (const name of ['all', '1x', 'a b', 'x'.repeat(65)]) {
      expect(await start(name)).toBe(
        'This is no name for a task, so nothing was started. A name is a letter and up to 63 letters, digits, _ or -, and none of parent, owner, self, all, broadcast.',
      )
    }
  })

  test('what is busy, was asked for otherwise before, or finds no place in the queue is told so', async () => {
    const busy = slowTool({ background: 'always', concurrencyKey: 'one' })
    const once = controllableTool<{ topic: string }>('once', { policy: { background: 'always', dedupeKey: 'same' } })
    const plain = controllableTool<{ topic: string }>('plain', { policy: { background: 'always' } })
    const jsonSchema = { type: 'object' }
    const { call } = setupStart([busy.tool, { tool: once.tool, jsonSchema }, { tool: plain.tool, jsonSchema }], {
      limits: { maxRunning: 2, maxQueued: 1 },
    })
    const start = (tool: string, topic = 'x') => call('task_start', { tool, input: { topic } })
    expect(await start('slow')).toContain('as task task-1')
    expect(await start('slow')).toBe(
      'This may run only once at a time, and it does already, so nothing was started. Wait for the end of that task. It is task task-1.',
    )
    const first = await start('once')
    const taskId = /goes on in the background as task (?<taskId>\S+)/.exec(first)?.groups?.['taskId'] ?? 'none'
    expect(await start('once')).toContain(`as task ${taskId} (`)
    expect(await start('once', 'y')).toBe(
      `This was asked for with another input before, so nothing was started. Use what that task gives. It is task ${taskId}.`,
    )
    expect(await start('plain')).toContain('(queued)')
    expect(await start('plain')).toMatch(
      /^Too many tasks wait for their turn, so nothing was started\. Try again later\./,
    )
  })

  test('a key that a task above holds is told so', async () => {
    const keyed = defineTool({
      name: 'keyed',
      input: topicSchema,
      policy: { concurrencyKey: 'one', onBusy: 'queue' },
      run: () => 1,
    })
    const { ann, call } = setupStart([keyed])
    const holder = { ...controllableTool('holder').tool, policy: { concurrencyKey: 'one' } }
    const task = await ann.spawn(
      { ...holder, run: async () => call('task_start', { tool: 'keyed', input: { topic: 'x' } }) },
      undefined,
    )
    expect(await task.result()).toBe(
      'A task above yours, or one that waits for yours, keeps this from starting. Nothing was started; do the work yourself.',
    )
  })

  test('limits that are reached, and a parent that stops, are told so, and nothing starts', async () => {
    const slow = slowTool({ background: 'always' }, { honoursSignal: true })
    const { ann, call, settle } = setupStart([slow.tool], { limits: { maxLive: 3, maxChildren: 1 } })
    const start = () => call('task_start', { tool: 'slow', input: { topic: 'x' } })
    const answers: Record<string, string> = {}
    const agent = await ann.spawn(async (_: undefined, ctx: TaskContext) => {
      await start()
      answers['children'] = await start()
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
      answers['stopping'] = await start()
    }, undefined)
    await settle()
    await start()
    answers['capacity'] = await start()
    await agent.cancel()
    expect(answers).toEqual({
      children:
        'Your task has as many live tasks below it as it may, so nothing was started. Wait until one has ended, then try again. It may work in 1 s.',
      stopping: 'Your task has to stop, so nothing was started. Bring your work to an end.',
      capacity: expect.stringMatching(/^Too many tasks are live, so nothing was started\./) as unknown,
    })
    expect(slow.calls).toHaveLength(2)
  })

  test('a task that is as deep as it may be starts none below it', async () => {
    const { ann, call } = setupStart([quick], { limits: { maxDepth: 1 } })
    const root = await ann.spawn(
      async (_: undefined, ctx: TaskContext) =>
        (await ctx.spawn(async () => call('task_start', args), undefined)).result(),
      undefined,
    )
    expect(await root.result()).toBe(
      'Tasks cannot be nested more deeply, so nothing was started. Do the work yourself.',
    )
  })

  test.each([
    { what: 'throws', run: async () => Promise.reject(new Error('```\nno luck')), data: '```\nno luck' },
    // The error of a verb that the tool called itself must not pass for one of `task_start`.
    {
      what: 'rejects with an error of the family',
      run: async () => Promise.reject(new TaskNotFoundError()),
      data: 'There is no such task.',
    },
    {
      what: 'gives what cannot be kept',
      run: async () => new Map(),
      data: 'The task failed: The result cannot be kept: a Map cannot be kept as JSON.',
    },
    {
      what: 'throws what is no error',
      run: async () => Promise.reject(undefined as unknown as Error),
      data: 'undefined',
    },
  ])('a tool that $what ended without a result, and what it said is data', async ({ run, data }) => {
    const tool = defineTool<{ topic: string }, unknown>({ name: 'quick', input: topicSchema, run })
    const { call } = setupStart([tool])
    const answer = readFenced(await call('task_start', args))
    expect(answer.head).toContain('The call of quick ended without a result.')
    expect(answer.data).toBe(data)
  })

  test('a call that is stopped while it is awaited ended without a result', async () => {
    const { tool } = slowTool({ timeoutMs: 1_000 })
    const { ann, call, advance, settle } = setupStart([tool], { graceMs: 100 })
    const timedOut = watch(call('task_start', { tool: 'slow', input: { topic: 'x' } }))
    const cancelled = watch(call('task_start', { tool: 'slow', input: { topic: 'x' } }))
    await settle()
    const cancelling = ann.cancel('task-2')
    await advance(1_200)
    await cancelling
    expect(readFenced(timedOut.value ?? '').data).toMatch(/^The task failed: /)
    expect(readFenced(cancelled.value ?? '').data).toBe('The task was cancelled (user).')
  })
})
