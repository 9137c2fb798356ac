import type { StandardSchemaV1 } from '@standard-schema/spec'
import { approval, callbackChannel, type Session, type TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { setupBreakable } from '../support/breakable-store.ts'
import { fingerprint, outcomeOf } from '../support/isolation-matrix.ts'
import { collect, setup, watch } from '../support/setup.ts'

const DAY_MS = 24 * 60 * 60_000

/** A running task whose code asks when the test says so. */
async function setupAsker(options: Parameters<typeof setup>[0] = {}) {
  const harness = setup(options)
  const work = controllableTool<undefined, string>('work')
  const task = await harness.ann.spawn(work.tool, undefined)
  await harness.settle()
  return { ...harness, work, task, ctx: work.call(0).ctx }
}

async function typesOf(session: Session, taskId: string): Promise<string[]> {
  const { items, ended } = collect(session.events({ taskId }))
  await ended
  expect(verifyLog(items)).toEqual([])
  return items.map(({ type }) => type)
}

/** A schema whose answers come when the test gives them. */
function heldSchema() {
  const checks: { readonly value: unknown; accept(): void; refuse(message: string): void; fail(error: Error): void }[] =
    []
  const schema: StandardSchemaV1<unknown, string> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        new Promise((resolve, reject) => {
          checks.push({
            value,
            accept: () => resolve({ value: `checked ${String(value)}` }),
            refuse: (message) => resolve({ issues: [{ message }] }),
            fail: reject,
          })
        }),
    },
  }
  return { schema, checks }
}

const closed = (reason: string): object => ({ code: 'question_closed', details: { reason } })

describe('asking', () => {
  test('a task that asks waits, shows its question, and goes on with the answer', async () => {
    const { ann, settle, work, task, ctx, clock } = await setupAsker()
    const answer = watch(ctx.ask('colour', { text: 'Which colour?', of: ['red', 'blue'] }))
    await settle()
    const askedAt = clock.now()
    expect(await task.record()).toMatchObject({
      status: 'waiting',
      questions: [
        {
          key: 'colour',
          question: { text: 'Which colour?', of: ['red', 'blue'] },
          askedAt,
          answerBy: askedAt + DAY_MS,
          hasDefault: false,
        },
      ],
      dueAt: askedAt + DAY_MS,
    })
    expect((await ann.list({ status: 'waiting' })).tasks).toMatchObject([{ taskId: task.taskId }])
    await task.answer('colour', 'blue')
    expect(answer).toEqual({ state: 'resolved', value: 'blue' })
    const record = await task.record()
    expect(record).toMatchObject({ status: 'running' })
    expect(record).not.toHaveProperty('questions')
    work.call(0).resolve('painted')
    expect(await task.result()).toBe('painted')
    expect(await typesOf(ann, task.taskId)).toEqual([
      'task.queued',
      'task.started',
      'task.asked',
      'task.answered',
      'task.resumed',
      'task.completed',
    ])
    const { items, ended } = collect(task.events())
    await ended
    expect(items.slice(2, 4)).toMatchObject([
      { key: 'colour', question: { text: 'Which colour?', of: ['red', 'blue'] }, answerBy: askedAt + DAY_MS },
      { key: 'colour', by: 'answer', answer: 'blue', actor: 'ann' },
    ])
  })

  test('a question gives whoever waits inline a ticket that names it, and makes the call a task of record', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<undefined, string>('work', { policy: { background: 'never' } })
    const call = watch(ann.run(work.tool, undefined))
    await settle()
    expect(await ann.list()).toEqual({ tasks: [] })
    const answer = watch(work.call(0).ctx.ask('go', 'Go on?'))
    await settle()
    expect(call.value).toMatchObject({
      kind: 'background',
      ticket: { taskId: 'task-1', status: 'waiting', text: expect.stringContaining('an answer to "go"') as string },
    })
    expect((await ann.list()).tasks).toMatchObject([{ taskId: 'task-1', status: 'waiting' }])
    await ann.answer('task-1', 'go', true)
    expect(answer.value).toBe(true)
    work.call(0).resolve('done')
    await ann.wait('task-1')
    expect(await typesOf(ann, 'task-1')).toEqual([
      'task.queued',
      'task.started',
      'task.asked',
      'task.backgrounded',
      'task.answered',
      'task.resumed',
      'task.completed',
    ])
  })

  test('several questions are open at once, and the task waits until the last has its answer', async () => {
    const { ann, settle, task, ctx } = await setupAsker()
    const answers = ['a', 'b', 'c'].map((key) => watch(ctx.ask(key, `What is ${key}?`)))
    await settle()
    const keys = async (): Promise<unknown> => (await task.record()).questions?.map(({ key }) => key)
    expect(await keys()).toEqual(['a', 'b', 'c'])
    await task.answer('b', 2)
    expect(answers.map(({ state }) => state)).toEqual(['pending', 'resolved', 'pending'])
    expect([(await task.record()).status, await keys()]).toEqual(['waiting', ['a', 'c']])
    await task.answer('a', 1)
    expect((await task.record()).status).toBe('waiting')
    await task.answer('c', 3)
    expect((await task.record()).status).toBe('running')
    await settle()
    expect(answers.map(({ value }) => value)).toEqual([1, 2, 3])
    const more = watch(ctx.ask('d', 'And d?'))
    await settle()
    expect([(await task.record()).status, await keys()]).toEqual(['waiting', ['d']])
    await ann.answer(task.taskId, 'd', 4)
    expect(more.value).toBe(4)
  })

  test('a key is used once in a task, whatever became of its question', async () => {
    const { advance, settle, task, ctx } = await setupAsker()
    void ctx.ask('open', '?')
    void ctx.ask('answered', '?')
    void ctx.ask('late', '?', { answerWithinMs: 10 })
    await advance(10)
    await task.answer('answered', 1)
    for (const key of ['open', 'answered', 'late']) {
      await expect(ctx.ask(key, 'again?')).rejects.toMatchObject({ code: 'not_allowed', details: { key } })
    }
    await settle()
    expect((await task.record()).questions).toMatchObject([{ key: 'open', question: '?' }])
  })

  test('another task may ask with the same key', async () => {
    const { ann, settle, work, task, ctx } = await setupAsker()
    const other = await ann.spawn(work.tool, undefined)
    const answers = [watch(ctx.ask('go', 1)), watch(work.call(1).ctx.ask('go', 2))]
    await settle()
    await other.answer('go', 'other')
    await task.answer('go', 'first')
    expect(answers.map(({ value }) => value)).toEqual(['first', 'other'])
  })

  test('32 questions may be open and 256 asked', async () => {
    const { settle, task, ctx } = await setupAsker()
    for (let n = 0; n < 32; n += 1) void ctx.ask(`key ${n}`, n)
    await expect(ctx.ask('one more', '?')).rejects.toMatchObject({ code: 'not_allowed' })
    for (let n = 0; n < 256; n += 1) {
      await task.answer(`key ${n}`, n)
      if (n + 32 < 256) void ctx.ask(`key ${n + 32}`, n)
    }
    await settle()
    expect((await task.record()).status).toBe('running')
    await expect(ctx.ask('one more', '?')).rejects.toMatchObject({ code: 'not_allowed' })
  })

  test.each([
    ['no key', ['', '?'], TypeError],
    ['a key that is too long', ['k'.repeat(129), '?'], TypeError],
    ['no question', ['k', undefined], TypeError],
    ['an unknown option', ['k', '?', { answerWithin: 5 }], TypeError],
    ['no time at all', ['k', '?', { answerWithinMs: 0 }], TypeError],
    ['no end of time', ['k', '?', { answerWithinMs: Infinity }], TypeError],
    ['a schema that is none', ['k', '?', { schema: { type: 'string' } }], TypeError],
  ] as const)('%s is refused, and nothing is asked', async (_case, args, expected) => {
    const { task, ctx } = await setupAsker()
    await expect(ctx.ask(...(args as unknown as Parameters<TaskContext['ask']>))).rejects.toThrow(expected)
    expect((await task.record()).status).toBe('running')
  })

  test.each([
    ['a function', () => 1],
    ['more than 4 KiB', 'q'.repeat(4_097)],
  ])('a question that is %s is refused', async (_case, question) => {
    const { task, ctx } = await setupAsker()
    await expect(ctx.ask('k', question)).rejects.toMatchObject({ code: 'input_invalid' })
    expect((await task.record()).status).toBe('running')
  })

  test('code that has ended cannot ask', async () => {
    const { ann, settle } = setup()
    const child = controllableTool('child')
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    await work.call(0).ctx.spawn(child.tool, undefined)
    work.call(0).resolve('done')
    await settle()
    expect((await task.record()).status).toBe('finishing')
    await expect(work.call(0).ctx.ask('k', '?')).rejects.toMatchObject({ code: 'not_allowed' })
    child.call(0).resolve(1)
    await task.wait()
    await expect(work.call(0).ctx.ask('k', '?')).rejects.toMatchObject({ code: 'task_final' })
    expect((await task.record()).status).toBe('completed')
  })

  test('code that was told to stop cannot ask', async () => {
    const { settle, work, task, ctx } = await setupAsker()
    const cancelling = task.cancel({ note: 'enough' })
    await settle()
    await expect(ctx.ask('k', '?')).rejects.toMatchObject({
      code: 'task_stopped',
      stopCause: { reason: 'user', note: 'enough' },
    })
    work.call(0).resolve('stopped')
    await cancelling
  })
})

describe('answering', () => {
  test('any session of the owner answers, a task of the owner too, and the log says who did', async () => {
    const { tasks, ann, settle, task, ctx } = await setupAsker()
    void ctx.ask('a', '?')
    void ctx.ask('b', '?')
    await tasks.session({ owner: 'ann', conversation: 'another' }).answer(task.taskId, 'a', 1)
    const helper = await ann.spawn(() => ann.answer(task.taskId, 'b', 2), undefined)
    await helper.wait()
    await settle()
    const answered: unknown[] = []
    const leave = new AbortController()
    const { items } = collect(task.events({ signal: leave.signal }))
    await settle()
    leave.abort()
    for (const item of items) if (item.type === 'task.answered') answered.push([item.key, item.actor])
    expect(answered).toEqual([
      ['a', 'ann'],
      ['b', helper.taskId],
    ])
  })

  test('nobody else can: a foreign answer looks like one to a task that is not there, and changes nothing', async () => {
    const { bob, settle, task, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    await settle()
    const before = await task.record()
    const foreign = await outcomeOf(() => bob.answer(task.taskId, 'k', 'mine'))
    expect(foreign).toEqual(await outcomeOf(() => bob.answer('task-99', 'k', 'mine')))
    expect(foreign).toMatchObject({ rejected: { kind: 'TaskNotFoundError' } })
    expect(await task.record()).toEqual(before)
    expect(answer.state).toBe('pending')
  })

  test('an answer that comes twice, late or to no question is refused with the reason', async () => {
    const { advance, settle, work, task, ctx } = await setupAsker()
    const first = watch(ctx.ask('twice', '?'))
    void ctx.ask('late', '?', { answerWithinMs: 50, default: 'nobody came' })
    void ctx.ask('open', '?')
    await advance(50)
    await task.answer('twice', 'one')
    await expect(task.answer('twice', 'two')).rejects.toMatchObject(closed('answered'))
    await expect(task.answer('late', 'here')).rejects.toMatchObject(closed('timeout'))
    await expect(task.answer('never', 'x')).rejects.toMatchObject(closed('unknown'))
    expect(first.value).toBe('one')
    expect((await task.record()).questions).toMatchObject([{ key: 'open' }])
    work.call(0).resolve('done')
    await settle()
    await expect(task.answer('open', 1)).rejects.toMatchObject({ code: 'task_final' })
    await expect(task.answer('never', 1)).rejects.toMatchObject({ code: 'task_final' })
  })

  test('a task that has asked nothing takes no answer', async () => {
    const { task } = await setupAsker()
    await expect(task.answer('k', 1)).rejects.toMatchObject(closed('unknown'))
  })

  test('what was not asked, and answers that cannot be kept, are refused at once', async () => {
    const { settle, task, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    await settle()
    await expect(task.answer(5 as unknown as string, 1)).rejects.toThrow(TypeError)
    for (const wrong of [() => 1, new Map(), 1n, 'x'.repeat(64 * 1024)]) {
      await expect(task.answer('k', wrong)).rejects.toMatchObject({ code: 'input_invalid' })
    }
    expect(answer.state).toBe('pending')
    expect((await task.record()).status).toBe('waiting')
  })

  test('the code gets a copy of its own, and the log another', async () => {
    const { work, task, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    const given = { rows: [1] }
    await task.answer('k', given)
    given.rows.push(2)
    expect(answer.value).toEqual({ rows: [1] })
    ;(answer.value as typeof given).rows.push(3)
    work.call(0).resolve('done')
    await task.wait()
    const { items, ended } = collect(task.events())
    await ended
    expect(items.find(({ type }) => type === 'task.answered')).toMatchObject({ answer: { rows: [1] } })
  })

  test('no value is an answer', async () => {
    const { task, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    await task.answer('k', undefined)
    expect(answer).toEqual({ state: 'resolved', value: undefined })
  })

  test('an answer of more than 4 KiB reaches the code and is left out of the log', async () => {
    const { work, task, ctx } = await setupAsker()
    const answers = [watch(ctx.ask('short', '?')), watch(ctx.ask('long', '?'))]
    await task.answer('short', 'x'.repeat(4_000))
    await task.answer('long', 'x'.repeat(5_000))
    expect(answers.map(({ value }) => (value as string).length)).toEqual([4_000, 5_000])
    work.call(0).resolve('done')
    await task.wait()
    const { items, ended } = collect(task.events())
    await ended
    const answered = items.filter(({ type }) => type === 'task.answered')
    expect(answered.map((item) => 'answer' in item)).toEqual([true, false])
  })
})

describe('schemas', () => {
  test('an answer that does not fit is refused with its details, and the question stays open', async () => {
    const { settle, task, ctx } = await setupAsker()
    const schema = z.object({ size: z.coerce.number().min(1), tags: z.array(z.string()).default([]) })
    const answer = watch(ctx.ask('k', '?', { schema }))
    await settle()
    await expect(task.answer('k', { size: 0, tags: [5] })).rejects.toMatchObject({
      code: 'input_invalid',
      details: [{ path: 'size' }, { path: 'tags.0' }],
    })
    expect((await task.record()).status).toBe('waiting')
    await task.answer('k', { size: '12' })
    expect(answer.value).toEqual({ size: 12, tags: [] })
  })

  test('the record shows what an answer has to look like', async () => {
    const { settle, task, ctx } = await setupAsker()
    void ctx.ask('yes', '?', { schema: approval })
    void ctx.ask('size', '?', { schema: z.object({ size: z.number() }) })
    void ctx.ask('date', '?', { schema: z.date() })
    void ctx.ask('long', '?', { schema: z.object({ size: z.string().describe('s'.repeat(5_000)) }) })
    void ctx.ask('held', '?', { schema: heldSchema().schema })
    await settle()
    const hints = (await task.record()).questions?.map(({ schema }) => schema)
    expect(hints?.slice(0, 2)).toMatchObject([
      { type: 'object', properties: { approved: { type: 'boolean' } }, required: ['approved'] },
      { type: 'object', properties: { size: { type: 'number' } } },
    ])
    expect(hints?.slice(2)).toEqual([undefined, undefined, undefined])
  })

  test('an approval is a question with a schema of its own', async () => {
    const { task, ctx } = await setupAsker()
    const answer = ctx.ask('deploy', 'Deploy?', { schema: approval })
    for (const wrong of [true, 'yes', null, {}, { approved: 'yes' }, { approved: true, note: 5 }, [true]]) {
      await expect(task.answer('deploy', wrong)).rejects.toMatchObject({ code: 'input_invalid' })
    }
    await task.answer('deploy', { approved: false, note: 'not today', by: 'a stranger' })
    const { approved, note } = await answer
    expect([approved, note]).toEqual([false, 'not today'])
  })

  test('a schema that throws refuses the answer, and the question stays open', async () => {
    const { task, ctx } = await setupAsker()
    const schema: StandardSchemaV1 = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          if (value === 'bad') throw new Error('the schema is broken')
          return { value }
        },
      },
    }
    const answer = watch(ctx.ask('k', '?', { schema }))
    await expect(task.answer('k', 'bad')).rejects.toMatchObject({
      code: 'input_invalid',
      message: expect.stringContaining('the schema is broken') as string,
    })
    await task.answer('k', 'good')
    expect(answer.value).toBe('good')
  })

  test('of two answers that are being checked the first accepted counts, and the other hears of it at once', async () => {
    const { settle, task, ctx } = await setupAsker()
    const { schema, checks } = heldSchema()
    const answer = watch(ctx.ask('k', '?', { schema }))
    const answering = ['one', 'two', 'three'].map((value) => watch(task.answer('k', value)))
    await settle()
    expect(checks.map(({ value }) => value)).toEqual(['one', 'two', 'three'])
    checks[2]?.refuse('no')
    await settle()
    expect(answering[2]?.error).toMatchObject({ code: 'input_invalid' })
    expect(answer.state).toBe('pending')
    checks[1]?.accept()
    await settle()
    expect(answer.value).toBe('checked two')
    expect(answering[1]?.state).toBe('resolved')
    expect(answering[0]?.error).toMatchObject(closed('answered'))
    checks[0]?.accept()
    await settle()
    expect(answer.value).toBe('checked two')
  })

  test('two answers whose checks end in the same turn are not both accepted', async () => {
    const { settle, task, ctx } = await setupAsker()
    const { schema, checks } = heldSchema()
    const answer = watch(ctx.ask('k', '?', { schema }))
    const answering = ['one', 'two'].map((value) => watch(task.answer('k', value)))
    await settle()
    for (const check of checks) check.accept()
    await settle()
    expect(answer.value).toBe('checked one')
    expect(answering.map(({ state }) => state)).toEqual(['resolved', 'rejected'])
    expect(answering[1]?.error).toMatchObject(closed('answered'))
  })

  test('the time of a question, a cancel and the end of the code each end a check that is under way', async () => {
    const codes: unknown[] = []
    for (const how of ['time', 'cancel', 'end'] as const) {
      const { ann, advance, settle, work, task, ctx } = await setupAsker()
      const { schema, checks } = heldSchema()
      void ctx.ask('k', '?', { schema, answerWithinMs: 100 })
      const answering = watch(task.answer('k', 'one'))
      await settle()
      expect(checks).toHaveLength(1)
      const cancelling = how === 'cancel' ? task.cancel() : undefined
      if (how === 'time') await advance(100)
      if (how !== 'cancel') work.call(0).resolve('done')
      await settle()
      expect(answering.state).toBe('rejected')
      codes.push(answering.error)
      checks[0]?.accept()
      if (how === 'cancel') work.call(0).resolve('done')
      await cancelling
      await task.wait()
      expect(await typesOf(ann, task.taskId)).toContain('task.asked')
    }
    expect(codes).toMatchObject([closed('timeout'), closed('ended'), closed('ended')])
  })
})

describe('the time of a question', () => {
  test('when it is over its default is taken, as it is', async () => {
    const { ann, advance, work, task, ctx } = await setupAsker()
    const fallback = new Map([['size', 5]])
    const answers = [
      watch(ctx.ask('plain', '?', { answerWithinMs: 1_000, default: { size: 5 } })),
      watch(ctx.ask('odd', '?', { answerWithinMs: 1_000, default: fallback })),
    ]
    await advance(999)
    expect(answers.map(({ state }) => state)).toEqual(['pending', 'pending'])
    expect((await task.record()).questions).toMatchObject([{ hasDefault: true }, { hasDefault: true }])
    await advance(1)
    expect(answers[0]?.value).toEqual({ size: 5 })
    expect(answers[1]?.value).toBe(fallback)
    expect((await task.record()).status).toBe('running')
    work.call(0).resolve('done')
    await task.wait()
    const { items, ended } = collect(ann.events({ taskId: task.taskId }))
    await ended
    expect(items.filter(({ type }) => type === 'task.answered')).toMatchObject([
      { key: 'plain', by: 'default', answer: { size: 5 } },
      { key: 'odd', by: 'default' },
    ])
  })

  test('when it is over and there is no default, the code gets an error and runs on', async () => {
    const { ann, advance, work, task, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?', { answerWithinMs: 1_000 }))
    await advance(1_000)
    expect(answer.error).toMatchObject({ ...closed('timeout'), taskId: task.taskId })
    expect((await task.record()).status).toBe('running')
    work.call(0).resolve('done without it')
    expect(await task.result()).toBe('done without it')
    const { items, ended } = collect(ann.events({ taskId: task.taskId }))
    await ended
    expect(items.slice(3, 5)).toMatchObject([{ type: 'task.answered', by: 'timeout' }, { type: 'task.resumed' }])
    expect(items[3]).not.toHaveProperty('answer')
  })

  test('it is a day unless the question says otherwise, and a record names the next moment of all', async () => {
    const { advance, clock, settle, task, ctx } = await setupAsker({ timeoutMs: 10_000 })
    const startedAt = clock.now()
    expect((await task.record()).dueAt).toBe(startedAt + 10_000)
    const long = watch(ctx.ask('long', '?'))
    void ctx.ask('short', '?', { answerWithinMs: 60_000, default: 1 })
    await settle()
    expect((await task.record()).dueAt).toBe(startedAt + 60_000)
    await advance(60_000)
    expect((await task.record()).dueAt).toBe(startedAt + DAY_MS)
    await advance(DAY_MS - 60_001)
    expect(long.state).toBe('pending')
    await advance(1)
    expect(long.error).toMatchObject(closed('timeout'))
  })

  test('the running time of the task stands still meanwhile, and goes on where it stood', async () => {
    const { advance, clock, work, task, ctx } = await setupAsker({ timeoutMs: 10_000 })
    await advance(4_000)
    void ctx.ask('a', '?')
    await advance(50_000)
    void ctx.ask('b', '?')
    await advance(50_000)
    await task.answer('a', 1)
    await advance(50_000)
    expect((await task.record()).status).toBe('waiting')
    await task.answer('b', 1)
    expect((await task.record()).dueAt).toBe(clock.now() + 6_000)
    await advance(5_999)
    expect((await task.record()).status).toBe('running')
    void ctx.ask('c', '?', { answerWithinMs: 100_000, default: 1 })
    await advance(100_000)
    expect(await task.record()).toMatchObject({ status: 'running', dueAt: clock.now() + 1 })
    await advance(1)
    expect(await task.record()).toMatchObject({ status: 'stopping', cause: { reason: 'timeout' } })
    work.call(0).resolve('late')
    expect(await task.wait()).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  })

  test('a change of the wall clock moves no question', async () => {
    const { advance, clock, ctx } = await setupAsker()
    const answer = watch(ctx.ask('k', '?', { answerWithinMs: 1_000, default: 'taken' }))
    clock.jump(DAY_MS)
    await advance(999)
    expect(answer.state).toBe('pending')
    clock.jump(-2 * DAY_MS)
    await advance(1)
    expect(answer.value).toBe('taken')
  })

  test('a task that waits for its children has its deadline again, although a question was open', async () => {
    const { ann, advance, settle } = setup({ timeoutMs: 10_000 })
    const child = controllableTool('child', { policy: { timeoutMs: Infinity }, honoursSignal: true })
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    await work.call(0).ctx.spawn(child.tool, undefined)
    await advance(4_000)
    void work.call(0).ctx.ask('k', '?')
    await advance(100_000)
    work.call(0).resolve('done')
    await settle()
    expect((await task.record()).status).toBe('finishing')
    await advance(6_000)
    expect(await task.wait()).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  })
})

describe('the end of a question without an answer', () => {
  test('a cancel releases every asker at once, with the cause', async () => {
    const { ann, settle, work, task, ctx, clock } = await setupAsker()
    const answers = ['a', 'b'].map((key) => watch(ctx.ask(key, '?', { default: 'never taken' })))
    await settle()
    const cancelling = watch(task.cancel({ note: 'enough' }))
    await settle()
    for (const { error } of answers) {
      expect(error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'user', note: 'enough' } })
    }
    const record = await task.record()
    expect(record.status).toBe('stopping')
    expect(record).not.toHaveProperty('questions')
    await expect(task.answer('a', 1)).rejects.toMatchObject(closed('ended'))
    work.call(0).reject(new Error('stopped'))
    await settle()
    expect(cancelling.value).toMatchObject({ count: 1 })
    expect((await task.record()).status).toBe('cancelled')
    expect(await typesOf(ann, task.taskId)).toEqual([
      'task.queued',
      'task.started',
      'task.asked',
      'task.asked',
      'task.stopping',
      'task.cancelled',
    ])
    expect(clock.heldTimerCount()).toBe(0)
  })

  test('a cancel from above releases the askers below', async () => {
    const { ann, settle } = setup()
    const child = controllableTool('child', { honoursSignal: true })
    const parent = controllableTool('parent', { honoursSignal: true })
    const root = await ann.spawn(parent.tool, undefined)
    await parent.call(0).ctx.spawn(child.tool, undefined)
    const answer = watch(child.call(0).ctx.ask('k', '?'))
    await settle()
    await root.cancel()
    expect(answer.error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'parent', actor: root.taskId } })
  })

  test('code that returns or throws with a question open ends, and the question with it', async () => {
    for (const how of ['returns', 'throws'] as const) {
      const { ann, settle, work, task, ctx } = await setupAsker()
      const answer = watch(ctx.ask('k', '?'))
      await settle()
      if (how === 'returns') work.call(0).resolve('done')
      else work.call(0).reject(new Error('broken'))
      const record = await task.wait()
      expect(record.status).toBe(how === 'returns' ? 'completed' : 'failed')
      expect(record).not.toHaveProperty('questions')
      expect(answer.error).toMatchObject(closed('ended'))
      await expect(task.answer('k', 1)).rejects.toMatchObject({ code: 'task_final' })
      expect((await typesOf(ann, task.taskId)).slice(2)).toEqual([
        'task.asked',
        how === 'returns' ? 'task.completed' : 'task.failed',
      ])
    }
  })

  test('the failure of a child that fails its parent releases the asker', async () => {
    const { ann, settle } = setup()
    const child = controllableTool('child')
    const parent = controllableTool('parent', { policy: { onChildFailure: 'fail' }, honoursSignal: true })
    const root = await ann.spawn(parent.tool, undefined)
    await parent.call(0).ctx.spawn(child.tool, undefined)
    const answer = watch(parent.call(0).ctx.ask('k', '?'))
    await settle()
    child.call(0).reject(new Error('broken'))
    expect(await root.wait()).toMatchObject({ status: 'failed', failure: { code: 'child_failed' } })
    expect(answer.error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'child_failed' } })
  })

  test('a shutdown releases the askers', async () => {
    const { tasks, advance, ctx, work } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    const closing = tasks.shutdown({ graceMs: 100 })
    await advance(100)
    expect(answer.error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'shutdown' } })
    work.call(0).reject(new Error('stopped'))
    expect(await closing).toMatchObject({ cancelled: 1, abandoned: 0 })
  })

  test('a shutdown lets a task that waits have its answer', async () => {
    const { tasks, settle, task, ctx, work } = await setupAsker()
    const answer = watch(ctx.ask('k', '?'))
    const closing = tasks.shutdown({ graceMs: 1_000 })
    await settle()
    await task.answer('k', 'in time')
    expect(answer.value).toBe('in time')
    work.call(0).resolve('done')
    expect(await closing).toMatchObject({ completed: 1, cancelled: 0 })
  })

  test('nobody has to await what was asked: no rejection is left over', async () => {
    const { advance, settle, work, task, ctx } = await setupAsker()
    void ctx.ask('late', '?', { answerWithinMs: 10 })
    void ctx.ask('open', '?')
    await advance(10)
    work.call(0).resolve('done')
    // An unhandled rejection would fail this file.
    await settle()
    expect((await task.record()).status).toBe('completed')
  })
})

describe('questions and the rest', () => {
  test('a subscriber that answers on hearing of the question finds it open, and the log keeps its order', async () => {
    const { ann, settle } = setup()
    ann.events$().subscribe((item) => {
      if (item.type === 'task.asked') void ann.answer(item.taskId, item.key, 'at once')
    })
    const outcomes = [
      await ann.run(async (_: undefined, ctx) => ctx.ask('k', '?'), undefined),
      await (await ann.spawn(async (_: undefined, ctx) => ctx.ask('k', '?'), undefined)).wait(),
    ]
    await settle()
    expect(outcomes[1]).toMatchObject({ status: 'completed' })
    for (const taskId of ['task-1', 'task-2']) {
      expect((await typesOf(ann, taskId)).filter((type) => /asked|answered|resumed/.test(type))).toEqual([
        'task.asked',
        'task.answered',
        'task.resumed',
      ])
    }
  })

  test('whoever attaches on hearing of the question waits inline, and only those before get their ticket', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<undefined, string>('work')
    const attached: ReturnType<typeof watch<unknown>>[] = []
    ann.events$().subscribe((item) => {
      if (item.type === 'task.asked') attached.push(watch(ann.attach(item.taskId)))
    })
    const call = watch(ann.run(work.tool, undefined))
    await settle()
    void work.call(0).ctx.ask('k', '?')
    await settle()
    expect(call.value).toMatchObject({ kind: 'background' })
    expect(attached.map(({ state }) => state)).toEqual(['pending'])
    expect(await ann.get('task-1')).toMatchObject({ status: 'waiting', caller: 'attached' })
    await ann.answer('task-1', 'k', 1)
    work.call(0).resolve('done')
    await settle()
    expect(attached[0]?.value).toMatchObject({ kind: 'inline', value: 'done' })
  })

  test('a question that is settled leaves no timer behind', async () => {
    const { settle, task, ctx, clock } = await setupAsker({ timeoutMs: Infinity })
    const before = clock.heldTimerCount()
    void ctx.ask('k', '?')
    await settle()
    expect(clock.heldTimerCount()).toBe(before + 1)
    await task.answer('k', 1)
    expect(clock.heldTimerCount()).toBe(before)
  })

  test('a waiting task can be attached to, and its next question gives the ticket again', async () => {
    const { ann, settle, task, ctx, work } = await setupAsker()
    void ctx.ask('a', '?')
    await settle()
    const attached = watch(ann.attach(task.taskId))
    await settle()
    expect(await task.record()).toMatchObject({ status: 'waiting', caller: 'attached' })
    void ctx.ask('b', '?')
    await settle()
    expect(attached.value).toMatchObject({ kind: 'background', ticket: { status: 'waiting' } })
    expect(await task.record()).toMatchObject({ status: 'waiting', caller: 'detached' })
    const again = watch(ann.attach(task.taskId))
    await task.answer('a', 1)
    await task.answer('b', 1)
    work.call(0).resolve('done')
    await settle()
    expect(again.value).toMatchObject({ kind: 'inline', value: 'done' })
  })

  test('a task that waits lends its slot, and takes one at once when it goes on', async () => {
    const { ann, settle, work, task, ctx } = await setupAsker({ limits: { maxRunning: 1 } })
    const [second, third] = [await ann.spawn(work.tool, undefined), await ann.spawn(work.tool, undefined)]
    await settle()
    expect(work.calls).toHaveLength(1)
    void ctx.ask('a', '?')
    void ctx.ask('b', '?')
    await settle()
    expect(work.calls.map((call) => call.ctx.taskId)).toEqual([task.taskId, second.taskId])
    await task.answer('a', 1)
    await task.answer('b', 1)
    expect((await task.record()).status).toBe('running')
    work.call(1).resolve('done')
    await second.wait()
    await settle()
    // The one that went on has the only slot now.
    expect(work.calls).toHaveLength(2)
    work.call(0).resolve('done')
    await settle()
    expect(work.calls).toHaveLength(3)
    work.call(2).resolve('done')
    await third.wait()
  })

  test('a task that waits can be redirected, and delivers its end', async () => {
    const sent: string[] = []
    const channels = { board: callbackChannel(({ message }) => void sent.push(message.taskId)) }
    const { settle, task, ctx, work } = await setupAsker({ channels })
    void ctx.ask('a', '?')
    await task.redirect('board')
    await task.answer('a', 1)
    work.call(0).resolve('done')
    await settle()
    expect(sent).toEqual([task.taskId])
  })

  test('while the store is silent an answer reaches the code at once, and is acknowledged after commitWaitMs', async () => {
    const { ann, store, advance, settle } = setupBreakable()
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    const answer = watch(work.call(0).ctx.ask('k', '?'))
    await settle()
    store.break('hanging')
    const answering = watch(task.answer('k', 'yes'))
    await settle()
    expect([answer.value, answering.state]).toEqual(['yes', 'pending'])
    await advance(2_000)
    expect(answering.state).toBe('resolved')
    store.recover()
    work.call(0).resolve('done')
    await advance(10_000)
    expect(await typesOf(ann, task.taskId)).toEqual([
      'task.queued',
      'task.started',
      'task.asked',
      'task.answered',
      'task.resumed',
      'task.completed',
    ])
  })

  test('two tasks of one owner that wait are counted as waiting', async () => {
    const { ann, settle, work, ctx } = await setupAsker()
    await ann.spawn(work.tool, undefined)
    void ctx.ask('k', '?')
    void work.call(1).ctx.ask('k', '?')
    await settle()
    expect(await ann.stats()).toEqual({ byStatus: { waiting: 2 }, live: 2 })
    expect(await ann.hasRunning()).toBe(true)
  })

  test('a refusal carries nothing of other owners', async () => {
    const { bob, task, ctx } = await setupAsker()
    void ctx.ask('secret', '?')
    const refusal = await bob.answer(task.taskId, 'secret', 1).catch((error: unknown) => fingerprint(error))
    expect(JSON.stringify(refusal)).not.toContain('secret')
  })
})
