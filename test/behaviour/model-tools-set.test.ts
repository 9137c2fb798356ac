/** Which control tools a model gets, what a host can know of them, and how errors and aborts come out of them. */
import {
  callbackChannel,
  defineTool,
  ERROR_CODES,
  TaskError,
  type ErrorCode,
  type Session,
  type TaskContext,
} from 'outlive'
import { controllableTool } from 'outlive/testing'
import { controlTools, ticketText, type ControlToolName, type ControlToolsOptions } from 'outlive/tools'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { setup, watch } from '../support/setup.ts'
import { callsOf, callTool, requireTool, TASK_NOT_FOUND_TEXT } from '../support/tool-calls.ts'

const READING = ['task_check', 'task_wait', 'task_list', 'task_result']

const look = defineTool({ name: 'look', input: z.object({}), policy: { readOnly: true }, run: () => 'seen' })
const later = defineTool({
  ...controllableTool<object>('later', { honoursSignal: true, policy: { modelMayChoose: true } }).tool,
  input: z.object({}),
})
const wipe = defineTool({ name: 'wipe', input: z.object({}), policy: { destructive: true }, run: () => 'gone' })

describe('the set', () => {
  test.each<{ options: ControlToolsOptions; names: string[] }>([
    { options: {}, names: [...READING, 'task_cancel', 'task_send'] },
    { options: { redirectTo: ['board'] }, names: [...READING, 'task_cancel', 'task_send', 'task_redirect'] },
    { options: { start: [look] }, names: ['task_start', ...READING, 'task_cancel', 'task_send'] },
    { options: { redirectTo: [], start: [] }, names: [...READING, 'task_cancel', 'task_send'] },
    { options: { mayAnswer: true }, names: [...READING, 'task_cancel', 'task_send', 'task_answer'] },
    { options: { mayAnswer: true, readOnly: true }, names: READING },
    { options: { readOnly: true, redirectTo: ['board'], start: [wipe] }, names: READING },
    { options: { readOnly: true, start: [wipe, look] }, names: ['task_start', ...READING] },
    { options: { allow: ['task_result', 'task_check'] }, names: ['task_check', 'task_result'] },
    { options: { allow: ['task_cancel', 'task_list'], readOnly: true }, names: ['task_list'] },
    { options: { allow: ['task_start', 'task_redirect'], redirectTo: ['a'], start: [] }, names: ['task_redirect'] },
    { options: { allow: [] }, names: [] },
  ])('$options gives $names', ({ options, names }) => {
    const { ann } = setup()
    expect(controlTools(ann, options).map(({ name }) => name)).toEqual(names)
  })

  test('only what changes nothing is readOnly, and a set that is readOnly has nothing else', () => {
    const { ann } = setup()
    const all = controlTools(ann, { redirectTo: ['board'], mayAnswer: true, start: [look, wipe] })
    const annotations = Object.fromEntries(all.map(({ name, annotations }) => [name, annotations]))
    expect(annotations).toEqual({
      task_start: { readOnly: false, destructive: true, idempotent: false },
      task_check: { readOnly: true, destructive: false, idempotent: true },
      task_wait: { readOnly: true, destructive: false, idempotent: true },
      task_list: { readOnly: true, destructive: false, idempotent: true },
      task_result: { readOnly: true, destructive: false, idempotent: true },
      task_cancel: { readOnly: false, destructive: true, idempotent: true },
      task_send: { readOnly: false, destructive: false, idempotent: false },
      task_redirect: { readOnly: false, destructive: false, idempotent: true },
      task_answer: { readOnly: false, destructive: false, idempotent: false },
    })
    const reading = controlTools(ann, { readOnly: true, redirectTo: ['board'], mayAnswer: true, start: [look, wipe] })
    expect(reading.filter(({ annotations }) => !annotations.readOnly)).toEqual([])
    expect(reading.map(({ name }) => name)).toEqual(['task_start', ...READING])
  })

  describe('no text names a tool that the model does not have', () => {
    const names = [
      'task_start',
      ...READING,
      'task_cancel',
      'task_send',
      'task_redirect',
      'task_answer',
    ] as const as readonly ControlToolName[]

    /** What a tool says about tasks in every condition, and the other tools it names. */
    const namedBy = async (name: ControlToolName, allow: readonly ControlToolName[]): Promise<string[]> => {
      const { ann, advance } = setup({ channels: { board: callbackChannel(() => undefined) } })
      const work = controllableTool('work', { honoursSignal: true })
      const live = await ann.spawn(work.tool, undefined)
      const ended = await ann.spawn(async () => 'x'.repeat(20_000), undefined)
      await ended.wait()
      const call = callsOf(controlTools(ann, { redirectTo: ['board'], mayAnswer: true, start: [later], allow }))
      const answers: unknown[] = []
      for (const about of [
        { task_id: ended.taskId },
        { task_id: 'nothing' },
        { status: 'all' },
        { task_id: live.taskId },
      ]) {
        const args = {
          text: 'x',
          wait_seconds: 0,
          tool: 'later',
          input: {},
          background: true,
          target: 'board',
          ...about,
        }
        const answer = watch(call(name, args))
        await advance(1)
        expect(answer.state).toBe('resolved')
        answers.push(answer.value)
      }
      return names.filter((known) => known !== name && answers.join('\n').includes(known))
    }

    test.each(names)('%s', async (name) => {
      expect(await namedBy(name, [name])).toEqual([])
    })

    test('and with them they are named', async () => {
      const named = new Set((await Promise.all(names.map((name) => namedBy(name, names)))).flat())
      expect([...named].sort()).toEqual([...READING, 'task_answer', 'task_cancel', 'task_redirect', 'task_send'].sort())
    })
  })

  test('what is given of a tool is plain: a schema that is an object, and a Standard Schema that says the same', async () => {
    const { ann } = setup()
    const tools = controlTools(ann, { redirectTo: ['board'], start: [look] })
    for (const { inputSchema, input, description } of tools) {
      expect(JSON.parse(JSON.stringify(inputSchema))).toEqual(inputSchema)
      expect(inputSchema).toMatchObject({ type: 'object', properties: {}, required: expect.any(Array) as unknown })
      expect(input['~standard']).toMatchObject({ version: 1, vendor: 'outlive' })
      for (const side of ['input', 'output'] as const) {
        expect(input['~standard'].jsonSchema[side]({ target: 'draft-2020-12' })).toEqual(inputSchema)
      }
      expect(description.length).toBeGreaterThan(20)
    }
    expect(requireTool(tools, 'task_redirect').inputSchema).toEqual({
      type: 'object',
      properties: {
        task_id: { type: 'string', description: 'The id of the task.' },
        target: { type: 'string', description: 'Where the result goes.', enum: ['board'] },
      },
      required: ['task_id', 'target'],
    })
    // A host's SDK may write into what it is given; another set is not touched by that.
    Object.assign(requireTool(tools, 'task_check').inputSchema, { additionalProperties: false })
    const again = requireTool(controlTools(ann), 'task_check').inputSchema
    expect(again).not.toHaveProperty('additionalProperties')
  })

  test('what the Standard Schema read means the same when it is read again, and nothing is refused', async () => {
    const { ann } = setup()
    const strange = [
      undefined,
      null,
      7,
      'text',
      [],
      { task_id: 'a', wait_seconds: 'soon', page: '3', name: 5, after: null, owner: 'ann', background: 'true' },
      JSON.parse('{"__proto__":{"task_id":"a"},"constructor":1}'),
      Object.create({ task_id: 'inherited' }),
    ] as const
    for (const { input } of controlTools(ann, { redirectTo: ['board'], start: [look] })) {
      for (const args of strange) {
        const once = await input['~standard'].validate(args)
        expect(once.issues).toBeUndefined()
        if (once.issues !== undefined) continue
        expect(Object.keys(once.value)).not.toContain('owner')
        expect(JSON.stringify(once.value)).not.toContain('inherited')
        expect(await input['~standard'].validate(once.value)).toEqual(once)
      }
    }
  })
})

describe('options of the set', () => {
  const noSchema = defineTool({ name: 'bare', run: () => 1 })
  const blind = defineTool({
    name: 'blind',
    input: { '~standard': { version: 1, vendor: 'blind', validate: (value) => ({ value }) } },
    run: () => 1,
  })
  const unspeakable = defineTool({ name: 'unspeakable', input: z.object({ at: z.date() }), run: () => 1 })

  test.each<{ options: unknown; message: string }>([
    { options: null, message: 'options must be an object' },
    { options: { model: 'x' }, message: 'options has no option "model"' },
    { options: { allow: 'task_check' }, message: 'allow must be an array of non-empty strings' },
    { options: { allow: ['task_delete'] }, message: 'allow must be names of task_start' },
    { options: { allow: ['toString'] }, message: 'allow must be names of task_start' },
    {
      options: { allow: ['task_redirect'] },
      message: 'allow names task_redirect, which there is only with redirectTo',
    },
    { options: { allow: ['task_start'] }, message: 'allow names task_start, which there is only with start' },
    { options: { allow: ['task_answer'] }, message: 'allow names task_answer, which there is only with mayAnswer' },
    { options: { mayAnswer: 'yes' }, message: 'mayAnswer must be a boolean' },
    { options: { readOnly: 'yes' }, message: 'readOnly must be a boolean' },
    { options: { redirectTo: 'board' }, message: 'redirectTo must be an array of non-empty strings' },
    { options: { redirectTo: [''] }, message: 'redirectTo must be an array of non-empty strings' },
    { options: { self: '' }, message: 'self must be a non-empty string' },
    { options: { self: 7 }, message: 'self must be a non-empty string' },
    { options: { maxTokens: 399 }, message: 'maxTokens must be at least 400, got 399' },
    { options: { maxTokens: 1e3 + 0.5 }, message: 'maxTokens must be a positive whole number' },
    { options: { countTokens: 4 }, message: 'countTokens must be a function' },
    {
      options: { countTokens: () => Number.NaN },
      message: 'what countTokens gives must be a number from 0 up, got NaN',
    },
    { options: { countTokens: async () => 1 }, message: 'what countTokens gives must be a number from 0 up' },
    { options: { clock: {} }, message: 'clock.now must be a function' },
    { options: { onError: {} }, message: 'onError must be a function' },
    { options: { start: look }, message: 'start must be an array of tools' },
    { options: { start: [undefined] }, message: 'tool must be a function or a tool definition' },
    { options: { start: [look, look] }, message: 'start must be tools of different names, got "look"' },
    {
      options: { start: [noSchema] },
      message:
        'a model cannot be told what bare takes. Give it beside the tool: { tool, jsonSchema }; the tool has no input schema.',
    },
    { options: { start: [() => 1] }, message: 'a model cannot be told what anonymous takes' },
    {
      options: { start: [blind] },
      message: 'blind takes. Give it beside the tool: { tool, jsonSchema }; its input schema gives no JSON Schema.',
    },
    { options: { start: [unspeakable] }, message: 'unspeakable takes' },
    { options: { start: [{ tool: noSchema }] }, message: 'a model cannot be told what bare takes' },
    { options: { start: [{ tool: noSchema, jsonSchema: 'object' }] }, message: 'jsonSchema of bare must be an object' },
    { options: { start: [{ tool: noSchema, jsonSchema: [] }] }, message: 'jsonSchema of bare must be an object' },
    { options: { start: [{ tool: noSchema, schema: {} }] }, message: 'start has no option "schema"' },
  ])('$options is refused: $message', ({ options, message }) => {
    const { ann } = setup()
    const make = (): unknown => controlTools(ann, options as object)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  test('a schema that cannot be told says why', () => {
    const { ann } = setup()
    const make = (): unknown => controlTools(ann, { start: [unspeakable] })
    expect(make).toThrow(
      expect.objectContaining({
        cause: expect.objectContaining({ message: expect.stringContaining('Date') as unknown }) as unknown,
      }),
    )
  })

  test('what is no session, and a supervisor that needs an owner, are refused at once', () => {
    for (const session of [undefined, null, {}, 'ann']) {
      expect(() => controlTools(session as unknown as Session)).toThrow('session must be a session')
    }
    const { tasks } = setup({ channels: { board: callbackChannel(() => undefined) } })
    expect(() => controlTools(tasks)).toThrow(expect.objectContaining({ code: 'not_allowed' }))
    expect(controlTools(setup().tasks)).toHaveLength(6)
  })
})

describe('errors', () => {
  /** A session of which every verb rejects so. */
  const failing = (session: Session, error: unknown): Session => {
    const reject = (): Promise<never> => Promise.reject(error as Error)
    const verbs = ['run', 'get', 'list', 'wait', 'result', 'cancel', 'redirect'] as const
    return { ...session, ...Object.fromEntries(verbs.map((verb) => [verb, reject])) }
  }
  const SECRET = 'postgres://admin:secret@db'

  test('each code has a text of its own for the model, which tells nothing of the error’s message', async () => {
    const { ann } = setup()
    const texts = new Map<string, ErrorCode>()
    for (const code of ERROR_CODES) {
      const session = failing(ann, new TaskError(code, SECRET, { details: { SECRET }, cause: new Error(SECRET) }))
      const text = await callTool(session, 'task_result', { task_id: 'a' }, { allow: ['task_result'] })
      expect(text).not.toContain('secret')
      expect(text, code).toMatch(/^[A-Z].{20,}\.$/)
      expect(texts.get(text)).toBeUndefined()
      texts.set(text, code)
    }
    expect(texts.size).toBe(ERROR_CODES.length)
    expect(texts.size).toBeGreaterThan(15)
  })

  test('an error with a hint when to retry gives the hint', async () => {
    const { ann } = setup()
    const session = failing(ann, new TaskError('capacity_exceeded', 'full', { retryAfterMs: 1_500 }))
    expect(await callTool(session, 'task_list', {})).toBe(
      'Too many tasks are live, so nothing was started. Wait until some have ended, then try again. It may work in 2 s.',
    )
  })

  test('what is no error of the family is told to the host, and to the model only that it was', async () => {
    const { ann } = setup()
    const told: unknown[] = []
    const onError = (error: unknown, tool: string): void => {
      told.push([error, tool])
      throw new Error('a listener that throws changes nothing')
    }
    const error = new Error(SECRET)
    const unknown = 'Something went wrong that you can do nothing about. Go on without this, or try again later.'
    expect(await callTool(failing(ann, error), 'task_check', { task_id: 'a' }, { onError })).toBe(unknown)
    expect(await callTool(failing(ann, undefined), 'task_list', {}, { onError })).toBe(unknown)
    expect(await callTool(failing(ann, error), 'task_cancel', { task_id: 'a' })).toBe(unknown)
    expect(told).toEqual([
      [error, 'task_check'],
      [undefined, 'task_list'],
    ])
    await callTool(failing(ann, new TaskError('wait_cycle', 'x')), 'task_check', {}, { onError })
    expect(told).toHaveLength(2)
  })

  test('a counter of tokens that breaks later is such an error', async () => {
    const { ann } = setup()
    const told: unknown[] = []
    const countTokens = (text: string): number => (text === 'text' ? 1 : Number.NaN)
    const task = await ann.spawn(async () => 'x', undefined)
    await task.wait()
    const answer = await callTool(
      ann,
      'task_result',
      { task_id: task.taskId },
      { countTokens, onError: (error) => told.push(error) },
    )
    expect(answer).toMatch(/^Something went wrong/)
    expect(told).toEqual([expect.any(TypeError)])
  })

  test('a set whose supervisor is closed answers still', async () => {
    const { tasks, ann, clock } = setup()
    const task = await ann.spawn(async () => 'kept', undefined)
    await task.wait()
    const closing = tasks.shutdown({ graceMs: 1 })
    await clock.advance(60_000)
    await closing
    const call = callsOf(controlTools(ann, { start: [look] }))
    expect(await call('task_start', { tool: 'look', input: {} })).toBe(
      'The system is shutting down and starts nothing any more. Bring your work to an end.',
    )
    expect(await call('task_check', { task_id: 'nothing' })).toBe(TASK_NOT_FOUND_TEXT)
    expect(await call('task_result', { task_id: task.taskId })).toContain('kept')
  })
})

describe('aborts by the host', () => {
  const reason = new Error('the turn is over')

  test('a signal aborted beforehand means nothing is done', async () => {
    const { ann, settle } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    await settle()
    const aborted = AbortSignal.abort(reason)
    for (const { name, execute } of controlTools(ann, { redirectTo: ['board'], start: [look] })) {
      const args = { task_id: task.taskId, tool: 'look', input: {}, target: 'board' }
      await expect(execute(args, { signal: aborted }), name).rejects.toBe(reason)
    }
    expect((await ann.list()).tasks).toMatchObject([{ status: 'running' }])
    expect(work.call(0).ctx.signal.aborted).toBe(false)
  })

  test('an abort ends the wait with its reason, at once, and never the task', async () => {
    const { ann, settle } = setup({ graceMs: 60_000 })
    const stubborn = controllableTool<undefined, string>('work')
    const first = await ann.spawn(stubborn.tool, undefined)
    const second = await ann.spawn(stubborn.tool, undefined)
    const call = callsOf(controlTools(ann))
    for (const make of [
      (signal: AbortSignal) => call('task_wait', { task_id: first.taskId }, { signal }),
      (signal: AbortSignal) => call('task_cancel', { task_id: second.taskId }, { signal }),
    ]) {
      const turn = new AbortController()
      const answer = watch(make(turn.signal))
      await settle()
      expect(answer.state).toBe('pending')
      turn.abort(reason)
      await settle()
      expect(answer.error).toBe(reason)
    }
    expect(await first.record()).toMatchObject({ status: 'running' })
    expect(await second.record()).toMatchObject({ status: 'stopping' })
    stubborn.call(0).resolve('done')
    stubborn.call(1).resolve('late')
    expect(await first.result()).toBe('done')
    expect(await second.wait()).toMatchObject({ status: 'cancelled', partial: 'late' })
  })

  test('a task that cancels itself with its own signal in hand ends its call with the stop', async () => {
    const { ann } = setup()
    const call = callsOf(controlTools(ann))
    const seen: unknown[] = []
    const agent = await ann.spawn(async (_: undefined, ctx: TaskContext) => {
      await call('task_cancel', { task_id: 'self' }, { signal: ctx.signal }).catch((error: unknown) => seen.push(error))
    }, undefined)
    expect(await agent.wait()).toMatchObject({ status: 'cancelled' })
    expect(seen).toMatchObject([{ code: 'task_stopped' }])
  })

  test('a signal that is none is refused, and whatever else a host hands on is not looked at', async () => {
    const { ann } = setup()
    const call = callsOf(controlTools(ann))
    await expect(call('task_list', {}, { signal: 'stop' as unknown as AbortSignal })).rejects.toThrow(
      'signal must be an AbortSignal',
    )
    const more = { toolCallId: 'c-1', signal: new AbortController().signal }
    expect(await call('task_list', {}, more)).toContain('There are no live tasks.')
  })
})

describe('the text of a ticket', () => {
  test('it names the tools that the model has, and no others', async () => {
    const { ann } = setup({ channels: { board: callbackChannel(() => undefined) } })
    const outcome = await ann.run(controllableTool('research').tool, undefined, { inlineMs: 0 })
    if (outcome.kind !== 'background') throw new Error('it answered inline')
    const { ticket } = outcome
    expect(ticket.text).toMatch(
      /^The call to research goes on in the background as task task-1 \((queued|running)\)\. Ask for its result later with this id\.$/,
    )
    expect(ticket.text).not.toContain('task_')
    const said = `${ticket.text} The call was made, so do not make it again.`
    expect(ticketText(ticket, [])).toBe(said)
    expect(ticketText(ticket, [{ name: 'search' }])).toBe(said)
    expect(ticketText(ticket, controlTools(ann, { allow: ['task_result', 'task_list'] }))).toBe(
      `${said} With the id task-1, task_result reads its result once it has ended.`,
    )
    expect(ticketText(ticket, controlTools(ann, { redirectTo: ['board'] }))).toBe(
      `${said} With the id task-1, task_check tells how far it is, task_wait waits for its end, ` +
        'task_result reads its result once it has ended, task_cancel stops it, task_send tells it something, task_redirect sends its result elsewhere.',
    )
  })
})
