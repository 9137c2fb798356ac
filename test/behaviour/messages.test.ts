import { approval, isTaskEvent, type Recipient, type Session, type TaskMessage } from 'outlive'
import { controllableTool, passTurns, verifyLog } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setupBreakable } from '../support/breakable-store.ts'
import { setupHeld } from '../support/held-store.ts'
import { outcomeOf } from '../support/isolation-matrix.ts'
import { collect, setup, watch } from '../support/setup.ts'

/** A running task that is sent messages. */
async function setupReader(options: Parameters<typeof setup>[0] = {}) {
  const harness = setup(options)
  const work = controllableTool<undefined, string>('work')
  const task = await harness.ann.spawn(work.tool, undefined)
  await harness.settle()
  return { ...harness, work, task, ctx: work.call(0).ctx }
}

const payloads = (messages: readonly TaskMessage[]): unknown[] => messages.map(({ payload }) => payload)

/** What the log of an ended task says about messages. */
async function messageEvents(session: Session, taskId: string): Promise<unknown[]> {
  const { items, ended } = collect(session.events({ taskId }))
  await ended
  expect(verifyLog(items)).toEqual([])
  return items.flatMap((item) =>
    isTaskEvent(item) && item.type === 'task.message' ? [[item.messageId, item.state]] : [],
  )
}

describe('sending', () => {
  test('a message is in the inbox when send has resolved, and is read once', async () => {
    const { ann, clock, work, task, ctx } = await setupReader()
    const sentAt = clock.now()
    const first = await task.send({ text: 'also look at prices' })
    const second = await ann.send(task.taskId, ['a', 'list'])
    expect(ctx.inbox.size).toBe(2)
    expect(ctx.inbox.drain()).toEqual([
      {
        kind: 'message',
        messageId: first.messageId,
        from: { kind: 'owner' },
        at: sentAt,
        payload: { text: 'also look at prices' },
      },
      { kind: 'message', messageId: second.messageId, from: { kind: 'owner' }, at: sentAt, payload: ['a', 'list'] },
    ])
    expect([ctx.inbox.size, ctx.inbox.drain()]).toEqual([0, []])
    work.call(0).resolve('done')
    await task.wait()
    expect(await messageEvents(ann, task.taskId)).toEqual([
      [first.messageId, 'read'],
      [second.messageId, 'read'],
    ])
  })

  test('what was sent is a copy, and nobody can change it', async () => {
    const { task, ctx } = await setupReader()
    const payload = { rows: [1] }
    await task.send(payload)
    payload.rows.push(2)
    const read = ctx.inbox.drain()[0]?.payload as typeof payload
    expect(read).toEqual({ rows: [1] })
    expect(() => read.rows.push(3)).toThrow(TypeError)
  })

  test.each([
    ['a function', () => 1],
    ['a map', new Map()],
    ['more than 64 KiB', 'x'.repeat(64 * 1024)],
  ])('a message that is %s is refused', async (_case, message) => {
    const { task, ctx } = await setupReader()
    await expect(task.send(message)).rejects.toMatchObject({ code: 'input_invalid' })
    expect(ctx.inbox.size).toBe(0)
  })

  test('no message is no message', async () => {
    const { task } = await setupReader()
    await expect(task.send(undefined)).rejects.toThrow(TypeError)
  })

  test('a task that has not started finds its messages when it does', async () => {
    const { ann, settle } = setup({ limits: { maxRunning: 1 } })
    const work = controllableTool<undefined, string>('work')
    await ann.spawn(work.tool, undefined)
    const queued = await ann.spawn(work.tool, undefined)
    await settle()
    await queued.send('early')
    work.call(0).resolve('done')
    await settle()
    expect(payloads(work.call(1).ctx.inbox.drain())).toEqual(['early'])
  })

  test('a message makes an inline call a task of record', async () => {
    const { ann, settle } = setup()
    const work = controllableTool<undefined, string>('work')
    const call = watch(ann.run(work.tool, undefined))
    await settle()
    expect(await ann.list()).toEqual({ tasks: [] })
    await ann.send('task-1', 'hello')
    work.call(0).ctx.inbox.drain()
    work.call(0).resolve('done')
    await settle()
    expect(call.value).toMatchObject({ kind: 'inline', value: 'done' })
    expect((await messageEvents(ann, 'task-1')).length).toBe(1)
  })

  test('a full inbox refuses, by number and by bytes, and takes more when it was read', async () => {
    const { task, ctx } = await setupReader({ inbox: { maxMessages: 2, maxBytes: 100 } })
    const full = { code: 'inbox_full', retryable: true, retryAfterMs: 1_000 }
    await task.send('a')
    await task.send('b')
    await expect(task.send('c')).rejects.toMatchObject(full)
    ctx.inbox.drain()
    await task.send('x'.repeat(90))
    await expect(task.send('yyyyyyyyy')).rejects.toMatchObject(full)
    await task.send('yyy')
    expect(payloads(ctx.inbox.drain())).toEqual(['x'.repeat(90), 'yyy'])
    // One that could never fit is no matter of room.
    await expect(task.send('x'.repeat(99))).rejects.toMatchObject({ code: 'input_invalid' })
  })

  test('a task that has ended takes no message', async () => {
    const { ann, settle } = setup()
    const child = controllableTool('child')
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    await work.call(0).ctx.spawn(child.tool, undefined)
    work.call(0).resolve('done')
    await settle()
    // Its children run on, but nobody is left to read.
    expect((await task.record()).status).toBe('finishing')
    await expect(task.send('late')).rejects.toMatchObject({ code: 'task_final' })
    child.call(0).resolve(1)
    await task.wait()
    await expect(task.send('later')).rejects.toMatchObject({ code: 'task_final' })
    expect(ann.deadLetters.list()).toEqual([])
  })

  test('a task that a subscriber ends on hearing of it takes no message either', async () => {
    const { ann, settle } = setup({ limits: { maxRunning: 1 } })
    const work = controllableTool<undefined, string>('work')
    watch(ann.run(work.tool, undefined))
    const queued = watch(ann.run(work.tool, undefined))
    await settle()
    ann.events$({ after: 'now' }).subscribe((item) => {
      if (item.type === 'task.queued') void ann.cancel(item.taskId)
    })
    await settle()
    const sending = watch(ann.send('task-2', 'hello'))
    await settle()
    expect(queued.error).toMatchObject({ code: 'task_cancelled' })
    // With a store that answers late the subscriber hears of it when the message is in the inbox.
    const bounced = ann.deadLetters.list().map(({ payload }) => payload)
    if (sending.state === 'rejected') expect([sending.error, bounced]).toMatchObject([{ code: 'task_final' }, []])
    else expect(bounced).toEqual(['hello'])
  })

  test('nobody else can send: a foreign task looks like one that is not there', async () => {
    const { bob, task, ctx } = await setupReader()
    const foreign = await outcomeOf(() => bob.send(task.taskId, 'mine'))
    expect(foreign).toEqual(await outcomeOf(() => bob.send('task-99', 'mine')))
    expect(foreign).toMatchObject({ rejected: { kind: 'TaskNotFoundError' } })
    expect(ctx.inbox.size).toBe(0)
  })
})

describe('reading', () => {
  test('receive gives what is there, or the first that comes', async () => {
    const { settle, task, ctx } = await setupReader()
    await task.send(1)
    expect(await ctx.inbox.receive()).toMatchObject({ payload: 1 })
    const next = watch(ctx.inbox.receive())
    await settle()
    expect(next.state).toBe('pending')
    await task.send(2)
    await settle()
    expect(next.value).toMatchObject({ payload: 2 })
    expect(ctx.inbox.size).toBe(0)
  })

  test('of several that wait the first gets the first message', async () => {
    const { settle, task, ctx } = await setupReader()
    const readers = [watch(ctx.inbox.receive()), watch(ctx.inbox.receive())]
    await task.send(1)
    await settle()
    expect(readers.map(({ state }) => state)).toEqual(['resolved', 'pending'])
    await task.send(2)
    await settle()
    expect(readers.map(({ value }) => value?.payload)).toEqual([1, 2])
  })

  test('a wait that is over, or whose signal aborts, takes no message along', async () => {
    const { advance, clock, task, ctx } = await setupReader({ timeoutMs: Infinity })
    const before = clock.heldTimerCount()
    const late = watch(ctx.inbox.receive({ waitMs: 100 }))
    const leave = new AbortController()
    const left = watch(ctx.inbox.receive({ waitMs: Infinity, signal: leave.signal }))
    await advance(100)
    leave.abort(new Error('no more'))
    await advance(0)
    expect(late.error).toMatchObject({ code: 'wait_timeout' })
    expect(left.error).toMatchObject({ message: 'no more' })
    expect(clock.heldTimerCount()).toBe(before)
    await expect(ctx.inbox.receive({ signal: leave.signal })).rejects.toThrow('no more')
    await task.send('kept')
    expect(payloads(ctx.inbox.drain())).toEqual(['kept'])
    for (const wrong of [{ waitMs: 0 }, { wait: 5 }, { signal: 5 }]) {
      await expect(ctx.inbox.receive(wrong as never)).rejects.toThrow(TypeError)
    }
  })

  test('a stop releases whoever waits at once, and what is unread can still be drained', async () => {
    const { settle, work, task, ctx } = await setupReader()
    const waiting = watch(ctx.inbox.receive({ waitMs: Infinity }))
    await settle()
    const cancelling = task.cancel({ note: 'enough' })
    await settle()
    expect(waiting.error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'user', note: 'enough' } })
    await task.send('a last word')
    await expect(ctx.inbox.receive()).rejects.toMatchObject({ code: 'task_stopped' })
    expect(payloads(ctx.inbox.drain())).toEqual(['a last word'])
    work.call(0).resolve('stopped')
    await cancelling
    await expect(ctx.inbox.receive()).rejects.toMatchObject({ code: 'task_final' })
    expect([ctx.inbox.size, ctx.inbox.drain()]).toEqual([0, []])
  })

  test('the end of the code releases whoever still waits', async () => {
    const { settle, work, task, ctx } = await setupReader()
    const waiting = watch(ctx.inbox.receive())
    work.call(0).resolve('done')
    await settle()
    expect(waiting.error).toMatchObject({ code: 'task_final' })
    expect((await task.record()).status).toBe('completed')
  })

  test('a reader that is told to leave on hearing that it has read has its message', async () => {
    const { ann, settle, task, ctx } = await setupReader()
    const leave = new AbortController()
    ann.events$().subscribe((item) => {
      if (item.type === 'task.message') leave.abort()
    })
    await settle()
    const reading = watch(ctx.inbox.receive({ signal: leave.signal }))
    await task.send('hello')
    await settle()
    expect(reading.value).toMatchObject({ payload: 'hello' })
  })

  test('a loop over the inbox steers the work beside it, and ends with the code', async () => {
    const { ann, settle } = setup()
    const seen: unknown[] = []
    const loops: Promise<void>[] = []
    const work = controllableTool<undefined, string>('work')
    for (const how of ['returns', 'is cancelled'] as const) {
      const task = await ann.spawn(async (input: undefined, ctx) => {
        const steer = async (): Promise<void> => {
          for await (const message of ctx.inbox) seen.push(message.payload)
          seen.push(`${how}: over`)
        }
        loops.push(steer())
        return work.tool.run(input, ctx)
      }, undefined)
      await task.send(`${how}: first`)
      await settle()
      await task.send(`${how}: second`)
      await settle()
      const cancelling = how === 'is cancelled' ? task.cancel() : undefined
      work.calls.at(-1)?.resolve('done')
      await cancelling
      await task.wait()
    }
    await Promise.all(loops)
    expect(seen).toEqual([
      'returns: first',
      'returns: second',
      'returns: over',
      'is cancelled: first',
      'is cancelled: second',
      'is cancelled: over',
    ])
  })

  test('leaving a loop takes no message along', async () => {
    const { settle, task, ctx } = await setupReader()
    const iterator = ctx.inbox[Symbol.asyncIterator]()
    await task.send(1)
    expect(await iterator.next()).toMatchObject({ value: { payload: 1 } })
    const next = watch(iterator.next())
    await settle()
    await iterator.return?.()
    expect(next.value).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
    await task.send(2)
    expect(payloads(ctx.inbox.drain())).toEqual([2])
  })

  test('code that waits for a message lends its slot', async () => {
    const { ann, settle } = setup({ limits: { maxRunning: 1 } })
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    const other = await ann.spawn(work.tool, undefined)
    await settle()
    expect(work.calls).toHaveLength(1)
    const message = watch(work.call(0).ctx.inbox.receive())
    await settle()
    expect(work.calls).toHaveLength(2)
    const third = await ann.spawn(work.tool, undefined)
    await task.send('go on')
    await settle()
    expect(message.state).toBe('resolved')
    work.call(1).resolve('done')
    await other.wait()
    await settle()
    // The slot is with the first again.
    expect(work.calls).toHaveLength(2)
    work.call(0).resolve('done')
    await settle()
    work.call(2).resolve('done')
    await third.wait()
  })
})

describe('inside a tree', () => {
  /** A root with two children, `one` and `two`, and another tree. */
  async function setupTree() {
    const harness = setup()
    const work = controllableTool<string, string>('work')
    const root = await harness.ann.spawn(work.tool, 'root')
    const start = async (name: string, parent: string): Promise<string> => {
      const above = work.calls.find(({ input }) => input === parent)
      const { taskId } = (await above?.ctx.spawn(work.tool, name, { name })) ?? { taskId: '' }
      await harness.settle()
      return taskId
    }
    const one = await start('one', 'root')
    const two = await start('two', 'root')
    const stranger = await harness.ann.spawn(work.tool, 'stranger', { name: 'stranger' })
    await harness.settle()
    const ctxOf = (input: string) => {
      const call = work.calls.find((call) => call.input === input)
      if (call === undefined) throw new Error(`${input} does not run`)
      return call.ctx
    }
    const end = (input: string): void => work.calls.find((call) => call.input === input)?.resolve('done')
    return { ...harness, root, one, two, stranger, ctxOf, end }
  }

  test('a task writes to its parent, to a child by name or id, and to a sibling', async () => {
    const { root, one, two, ctxOf } = await setupTree()
    await ctxOf('one').send('parent', 'up')
    await ctxOf('root').send('ONE', 'down by name')
    await ctxOf('root').send(two, 'down by id')
    await ctxOf('two').send({ sibling: 'one' }, 'across')
    expect(ctxOf('root').inbox.drain()).toMatchObject([
      { payload: 'up', from: { kind: 'task', taskId: one, name: 'one' } },
    ])
    expect(ctxOf('one').inbox.drain()).toMatchObject([
      { payload: 'down by name', from: { kind: 'task', taskId: root.taskId } },
      { payload: 'across', from: { kind: 'task', taskId: two, name: 'two' } },
    ])
    expect(payloads(ctxOf('two').inbox.drain())).toEqual(['down by id'])
  })

  test('nothing outside its tree can be reached, whatever its name', async () => {
    const { stranger, ctxOf } = await setupTree()
    const wrong: readonly Recipient[] = [
      'stranger',
      stranger.taskId,
      'nobody',
      'self',
      'all',
      '',
      { sibling: 'stranger' },
      { sibling: 'one' },
      { sibling: 'root' },
    ]
    for (const to of wrong) {
      await expect(ctxOf('one').send(to, 'x'), JSON.stringify(to)).rejects.toMatchObject({ code: 'task_not_found' })
    }
    await expect(ctxOf('root').send({ sibling: 'stranger' }, 'x')).rejects.toMatchObject({ code: 'task_not_found' })
    const recipients = 'to must be parent, owner, the name of a child or { sibling }'
    for (const [to, told] of [
      [undefined, `${recipients}, got undefined`],
      [null, `${recipients}, got null`],
      [5, `${recipients}, got 5`],
      [{}, 'to.sibling must be a name, got undefined'],
      [{ sibling: 5 }, 'to.sibling must be a name, got 5'],
      [{ sister: 'two' }, 'to has no option "sister"'],
    ] as const) {
      await expect(ctxOf('one').send(to as never, 'x')).rejects.toMatchObject({
        name: 'TypeError',
        message: expect.stringContaining(told) as string,
      })
    }
  })

  test('those that have ended are told apart from those that never were', async () => {
    const { settle, one, ctxOf, end } = await setupTree()
    const { ctx } = { ctx: ctxOf('one') }
    end('one')
    await settle()
    await expect(ctx.send('parent', 'from the dead')).rejects.toMatchObject({
      code: 'task_final',
      message: 'The task has ended.',
      taskId: one,
    })
    await expect(ctxOf('two').send({ sibling: 'one' }, 'x')).rejects.toMatchObject({ code: 'task_not_found' })
    end('root')
    await settle()
    await expect(ctxOf('two').send('parent', 'x')).rejects.toMatchObject({ code: 'task_final' })
  })

  test('a parent that is kept no more has ended', async () => {
    const { ann, tasks, settle } = setup({ retention: { maxFinished: 1 } })
    const work = controllableTool<string, string>('work')
    const root = await ann.spawn(work.tool, 'root')
    await work.call(0).ctx.spawn(work.tool, 'alone', { onParentEnd: 'detach' })
    work.call(0).resolve('done')
    await root.wait()
    await (await ann.spawn(() => 'another')).wait()
    await settle()
    expect(await tasks.operator.get(root.taskId)).toBeUndefined()
    await expect(work.call(1).ctx.send('parent', 'x')).rejects.toMatchObject({
      code: 'task_final',
      message: 'The parent has ended.',
      taskId: root.taskId,
    })
    work.call(1).resolve('done')
  })

  test('a task whose end the store does not have yet writes to nobody any more', async () => {
    const { ann, open, hold, release } = setupHeld()
    await open()
    const work = controllableTool('work')
    await ann.spawn(work.tool)
    const { ctx, resolve } = work.call(0)
    hold()
    resolve('done')
    await passTurns(2)
    await expect(ctx.send('owner', 'late')).rejects.toMatchObject({ code: 'task_final' })
    await release()
    expect((await ann.inbox.drain()).map(({ kind }) => kind)).toEqual(['end'])
  })

  test('the parent of a root is the owner, and any task reaches him', async () => {
    const { ann, root, one, ctxOf } = await setupTree()
    await ctxOf('root').send('parent', 'from the root')
    await ctxOf('one').send('owner', 'from below')
    expect(await ann.inbox.drain()).toMatchObject([
      { kind: 'message', payload: 'from the root', from: { kind: 'task', taskId: root.taskId } },
      { kind: 'message', payload: 'from below', from: { kind: 'task', taskId: one, name: 'one' } },
    ])
  })

  test('what a task sends through a session is its own', async () => {
    const { ann, task, ctx } = await setupReader()
    const other = await ann.spawn(() => ann.send(task.taskId, 'hello'), undefined, { name: 'other' })
    await other.wait()
    expect(ctx.inbox.drain()).toMatchObject([{ from: { kind: 'task', taskId: other.taskId, name: 'other' } }])
  })

  test('a task cannot be named like the owner', async () => {
    const { ann } = setup()
    await expect(ann.spawn(() => 1, undefined, { name: 'Owner' })).rejects.toMatchObject({ code: 'name_invalid' })
  })
})

describe('questions to the parent', () => {
  async function setupFamily(policy: Parameters<typeof controllableTool>[1] = {}) {
    const harness = setup()
    const parent = controllableTool<undefined, string>('parent')
    const child = controllableTool<undefined, string>('child', policy)
    const root = await harness.ann.spawn(parent.tool, undefined)
    const below = await parent.call(0).ctx.spawn(child.tool, undefined, { name: 'below' })
    await harness.settle()
    const { ctx } = parent.call(0)
    return { ...harness, parent, child, root, below, ctx, childCtx: child.call(0).ctx }
  }

  test('the parent finds the question in its inbox and answers it', async () => {
    const { ann, settle, child, root, below, ctx, childCtx } = await setupFamily()
    const answer = watch(childCtx.ask('may', 'May I?', { schema: approval, to: 'parent' }))
    const { kind, payload, from } = await ctx.inbox.receive()
    expect([kind, from]).toEqual(['question', { kind: 'task', taskId: below.taskId, name: 'below' }])
    expect(payload).toMatchObject({ key: 'may', question: 'May I?', schema: { required: ['approved'] } })
    await expect(ctx.answer(below.taskId, 'may', 'yes')).rejects.toMatchObject({ code: 'input_invalid' })
    await ctx.answer(below.taskId, 'may', { approved: true })
    expect(answer.value).toEqual({ approved: true })
    await expect(ctx.answer(below.taskId, 'may', { approved: false })).rejects.toMatchObject({
      code: 'question_closed',
    })
    child.call(0).resolve('done')
    await below.wait()
    await expect(ctx.answer(below.taskId, 'may', { approved: false })).rejects.toMatchObject({ code: 'task_final' })
    await settle()
    const { items, ended } = collect(below.events())
    await ended
    expect(items).toMatchObject([
      {},
      {},
      { type: 'task.asked', to: 'parent' },
      { type: 'task.answered', actor: root.taskId },
      {},
      {},
    ])
    // The owner was not told: it was none of his business yet.
    expect((await ann.inbox.drain()).map((message) => message.kind)).toEqual([])
  })

  test('the owner may answer all the same', async () => {
    const { ann, settle, below, childCtx } = await setupFamily()
    const answer = watch(childCtx.ask('may', 'May I?', { to: 'parent' }))
    await settle()
    expect((await below.record()).questions).toMatchObject([{ key: 'may' }])
    await ann.answer(below.taskId, 'may', 'the owner says yes')
    expect(answer.value).toBe('the owner says yes')
  })

  test.each(['unread', 'read'])('a question that the parent leaves behind %s is told to the owner', async (how) => {
    const { ann, settle, parent, child, root, below, ctx, childCtx } = await setupFamily()
    const answer = watch(childCtx.ask('may', 'May I?', { to: 'parent' }))
    await settle()
    expect(await ann.inbox.drain()).toEqual([])
    if (how === 'read') expect(ctx.inbox.drain()).toHaveLength(1)
    parent.call(0).resolve('done')
    await settle()
    expect(await ann.inbox.drain()).toMatchObject([
      { kind: 'question', from: { taskId: below.taskId }, payload: { key: 'may', question: 'May I?' } },
    ])
    await below.answer('may', 'yes')
    expect(answer.value).toBe('yes')
    child.call(0).resolve('done')
    await root.wait()
    // It was no message: it is with its task.
    expect(ann.deadLetters.list()).toEqual([])
  })

  test('a question of a child that goes on alone is told to the owner', async () => {
    const { ann, settle, parent, child, ctx } = await setupFamily()
    const alone = await ctx.spawn(child.tool, undefined, { onParentEnd: 'detach' })
    await settle()
    const answer = watch(child.call(1).ctx.ask('may', 'May I?', { to: 'parent' }))
    await settle()
    child.call(0).resolve('done')
    parent.call(0).resolve('done')
    await settle()
    const told = (await ann.inbox.drain()).filter(({ kind }) => kind === 'question')
    expect(told).toMatchObject([{ from: { taskId: alone.taskId }, payload: { key: 'may' } }])
    await alone.answer('may', 'yes')
    expect(answer.value).toBe('yes')
  })

  test('a question of a child that is stopped with its parent is told to nobody', async () => {
    const { ann, settle, parent, root, childCtx } = await setupFamily({ honoursSignal: true })
    const answer = watch(childCtx.ask('may', 'May I?', { to: 'parent' }))
    await settle()
    parent.call(0).reject(new Error('broken'))
    await root.wait()
    expect(answer.error).toMatchObject({ code: 'task_stopped' })
    expect((await ann.inbox.drain()).map((message) => message.kind)).toEqual(['end'])
  })

  test('without a parent, with a full one or one that has ended the owner is told', async () => {
    const { ann, settle, work, task, ctx } = await setupReader({ inbox: { maxMessages: 1 } })
    void ctx.ask('of the root', '?', { to: 'parent' })
    const child = controllableTool<undefined, string>('child')
    await ctx.spawn(child.tool, undefined)
    await settle()
    await task.send('fills it')
    void child.call(0).ctx.ask('with a full one', '?', { to: 'parent' })
    await settle()
    const told = (await ann.inbox.drain()).map((message) =>
      message.kind === 'question' ? message.payload.key : message.kind,
    )
    expect(told.sort()).toEqual(['of the root', 'with a full one'])
    work.call(0).resolve('done')
    await settle()
    void child.call(0).ctx.ask('after its end', '?', { to: 'parent' })
    await settle()
    expect(await ann.inbox.drain()).toMatchObject([{ payload: { key: 'after its end' } }])
  })

  test('only the questions of its own children can be answered by a task', async () => {
    const { ann, bob, settle, ctx, child } = await setupFamily()
    const other = await ann.spawn(child.tool, undefined)
    const foreign = await bob.spawn(child.tool, undefined)
    const grandchild = await child.call(0).ctx.spawn(child.tool, undefined)
    await settle()
    for (const call of child.calls) void call.ctx.ask('may', '?')
    for (const taskId of [other.taskId, foreign.taskId, grandchild.taskId, ctx.taskId, 'task-99', '']) {
      await expect(ctx.answer(taskId, 'may', 'yes'), taskId).rejects.toMatchObject({ code: 'task_not_found' })
    }
    await expect(ctx.ask('k', '?', { to: 'somebody' as 'parent' })).rejects.toThrow(TypeError)
  })
})

describe('dead letters', () => {
  test('what nobody has read when the task ends bounces, and the log says so before its end', async () => {
    const { ann, clock, work, task, ctx } = await setupReader()
    const read = await task.send('read')
    ctx.inbox.drain()
    const lost = await task.send({ text: 'too late' })
    const sentAt = clock.now()
    work.call(0).resolve('done')
    await task.wait()
    expect(await messageEvents(ann, task.taskId)).toEqual([
      [read.messageId, 'read'],
      [lost.messageId, 'bounced'],
    ])
    expect(ann.deadLetters.list()).toEqual([
      {
        messageId: lost.messageId,
        taskId: task.taskId,
        from: { kind: 'owner' },
        at: sentAt,
        payload: { text: 'too late' },
        bouncedAt: clock.now(),
      },
    ])
  })

  test.each(['is cancelled before its start', 'ignores its signal', 'fails'])(
    'a task that %s leaves nothing in between',
    async (how) => {
      const { tasks, ann, advance, settle } = setup({ limits: { maxRunning: 1 }, graceMs: 100 })
      const work = controllableTool<undefined, string>('work')
      const first = await ann.spawn(work.tool, undefined)
      const second = await ann.spawn(work.tool, undefined)
      await settle()
      const task = how === 'is cancelled before its start' ? second : first
      await task.send('unread')
      if (how === 'fails') work.call(0).reject(new Error('broken'))
      else void task.cancel()
      await advance(100)
      expect((await task.record()).endedAt).toBeDefined()
      expect(ann.deadLetters.list()).toMatchObject([{ taskId: task.taskId, payload: 'unread' }])
      expect((await tasks.operator.stats()).counters.bouncedMessages).toBe(1)
    },
  )

  test('a task that the store never admits leaves nothing in between', async () => {
    const { ann, store, advance, settle } = setupBreakable()
    const parent = controllableTool('parent')
    await ann.spawn(parent.tool)
    await settle()
    const { ctx } = parent.call(0)
    store.break('hanging')
    const spawning = watch(ctx.spawn(() => 1, undefined, { name: 'below' }))
    await settle()
    const { messageId } = await ctx.send('below', 'unread')
    await advance(2_000)
    expect(spawning.error).toMatchObject({ code: 'store_unavailable' })
    expect(ann.deadLetters.list()).toMatchObject([{ messageId, payload: 'unread' }])
    store.recover()
    await advance(10_000)
    expect(ann.deadLetters.list()).toHaveLength(1)
  })

  test('they belong to the owner, whichever of his tasks wrote, and to nobody else', async () => {
    const { tasks, ann, bob, settle } = setup()
    const parent = controllableTool<undefined, string>('parent')
    const child = controllableTool<undefined, string>('child')
    await ann.spawn(parent.tool, undefined)
    const below = await parent.call(0).ctx.spawn(child.tool, undefined, { name: 'below' })
    await settle()
    await parent.call(0).ctx.send('below', 'unread')
    child.call(0).resolve('done')
    await below.wait()
    const another = tasks.session({ owner: 'ann', conversation: 'another' })
    const [letter] = another.deadLetters.list()
    expect(letter).toMatchObject({ from: { kind: 'task', taskId: 'task-1' }, taskId: below.taskId })
    expect(bob.deadLetters.list()).toEqual([])
    await expect(bob.deadLetters.replay(letter?.messageId ?? '')).rejects.toMatchObject({ code: 'not_allowed' })
    expect(bob.deadLetters.clear()).toBe(0)
    expect(ann.deadLetters.list()).toHaveLength(1)
  })

  test('a replay goes to a task that lives, with the same id, and to no other', async () => {
    const { ann, bob, settle, work, task } = await setupReader()
    const { messageId } = await task.send('once more')
    work.call(0).resolve('done')
    await task.wait()
    await expect(ann.deadLetters.replay(messageId)).rejects.toMatchObject({ code: 'task_final' })
    const foreign = await bob.spawn(work.tool, undefined)
    await expect(ann.deadLetters.replay(messageId, { to: foreign.taskId })).rejects.toMatchObject({
      code: 'task_not_found',
    })
    await expect(ann.deadLetters.replay('nothing')).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(ann.deadLetters.replay(messageId, { into: 'x' } as never)).rejects.toThrow(TypeError)
    expect(ann.deadLetters.list()).toHaveLength(1)
    const again = await ann.spawn(work.tool, undefined)
    await settle()
    expect(await ann.deadLetters.replay(messageId, { to: again.taskId })).toEqual({ messageId })
    expect(ann.deadLetters.list()).toEqual([])
    expect(work.calls.at(-1)?.ctx.inbox.drain()).toMatchObject([{ messageId, payload: 'once more' }])
  })

  test('they are bounded, the oldest go first and are counted, and they can be cleared', async () => {
    const { tasks, ann, settle } = setup({ inbox: { maxMessages: 3, maxBytes: 1_000 } })
    const work = controllableTool<undefined, string>('work')
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) {
      const task = await ann.spawn(work.tool, undefined)
      await settle()
      ids.push((await task.send(n)).messageId)
      work.call(n).resolve('done')
      await task.wait()
    }
    expect(ann.deadLetters.list().map(({ payload }) => payload)).toEqual([2, 3, 4])
    expect((await tasks.operator.stats()).counters).toMatchObject({ bouncedMessages: 5, droppedMessages: 2 })
    expect(ann.deadLetters.clear(ids[3])).toBe(1)
    expect(ann.deadLetters.clear('nothing')).toBe(0)
    expect(ann.deadLetters.list().map(({ payload }) => payload)).toEqual([2, 4])
    expect(ann.deadLetters.clear()).toBe(2)
    expect(ann.deadLetters.list()).toEqual([])
  })
})

test('the log keeps the last messages of many, as it keeps the last of all that is only fresh', async () => {
  const { ann, work, task, ctx } = await setupReader({ retention: { maxProgressEvents: 10 } })
  for (let n = 0; n < 100; n += 1) {
    await task.send(n)
    ctx.inbox.drain()
  }
  work.call(0).resolve('done')
  await task.wait()
  expect(await messageEvents(ann, task.taskId)).toHaveLength(10)
})

describe('attempts', () => {
  const retry = { maxAttempts: 2, baseMs: 100, jitter: 'none' } as const

  test('what one attempt has not read the next one finds, with what was sent in between', async () => {
    const { ann, advance, settle } = setup()
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined, { retry })
    await settle()
    await task.send('read by the first')
    await task.send('left by the first')
    const { inbox } = work.call(0).ctx
    expect((await inbox.receive()).payload).toBe('read by the first')
    work.call(0).reject(new Error('broken'))
    await settle()
    expect((await task.record()).status).toBe('retrying')
    await task.send('sent in between')
    // The attempt is over: its code gets nothing that is for the next.
    expect([inbox.size, inbox.drain()]).toEqual([0, []])
    await expect(inbox.receive()).rejects.toMatchObject({ code: 'not_allowed' })
    expect(await inbox[Symbol.asyncIterator]().next()).toMatchObject({ done: true })
    for (const late of [work.call(0).ctx.send('owner', 'x'), work.call(0).ctx.answer('task-9', 'k', 1)]) {
      await expect(late).rejects.toMatchObject({ code: 'parent_stopping' })
    }
    await advance(100)
    expect(inbox.drain()).toEqual([])
    expect(payloads(work.call(1).ctx.inbox.drain())).toEqual(['left by the first', 'sent in between'])
    work.call(1).resolve('done')
    await task.wait()
    expect(ann.deadLetters.list()).toEqual([])
  })

  test('code that waits for a message when its attempt is stopped is released at once', async () => {
    const { ann, advance, settle } = setup({ limits: { maxRunning: 1 } })
    const work = controllableTool<undefined, string>('work', { honoursSignal: true })
    const task = await ann.spawn(work.tool, undefined, { retry, attemptTimeoutMs: 500 })
    await settle()
    const { ctx } = work.call(0)
    const waiting = watch(ctx.inbox.receive({ waitMs: Infinity }))
    const loop = watch(ctx.inbox[Symbol.asyncIterator]().next())
    expect(ctx.signal.aborted).toBe(false)
    await advance(500)
    expect(waiting.error).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'timeout' } })
    expect(loop.value).toMatchObject({ done: true })
    await advance(100)
    await task.send('for the second')
    expect(payloads(work.call(1).ctx.inbox.drain())).toEqual(['for the second'])
    work.call(1).resolve('done')
    expect((await task.wait()).status).toBe('completed')
  })
})
