import type { OwnerMessage, OwnerNews } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { setupBreakable } from '../support/breakable-store.ts'
import { setup, watch } from '../support/setup.ts'

/** What a message is about, in a word or two. */
const brief = (message: OwnerMessage): string => {
  if (message.kind === 'end') return `end of ${message.from.taskId ?? ''}: ${message.payload.record.status}`
  if (message.kind === 'question') return `question ${message.payload.key}`
  return `message ${JSON.stringify(message.payload)}`
}

function setupWork(options: Parameters<typeof setup>[0] = {}) {
  const work = controllableTool('work')
  const harness = setup(options)
  const start = async (): Promise<string> => {
    const { taskId } = await harness.ann.spawn(work.tool, undefined)
    await harness.settle()
    return taskId
  }
  const end = async (taskId: string, value: unknown = 'done'): Promise<void> => {
    work.calls.find(({ ctx }) => ctx.taskId === taskId)?.resolve(value)
    await harness.settle()
  }
  const briefs = async (session = harness.ann): Promise<string[]> => (await session.inbox.drain()).map(brief)
  return { ...harness, work, start, end, briefs }
}

describe('what comes', () => {
  test('the end of a background task comes with its record and its result, once', async () => {
    const { ann, start, end, clock } = setupWork()
    const taskId = await start()
    await end(taskId, { rows: 3 })
    const messages = await ann.inbox.drain()
    expect(messages).toMatchObject([
      {
        kind: 'end',
        from: { kind: 'task', taskId },
        at: clock.now(),
        payload: { record: { taskId, status: 'completed', tool: 'work' }, value: { rows: 3 } },
      },
    ])
    expect(messages[0]?.payload).toMatchObject({ record: await ann.get(taskId) })
    expect(await ann.inbox.drain()).toEqual([])
  })

  test('every outcome comes, in the order of the ends', async () => {
    const { ann, work, start, end, settle, briefs } = setupWork()
    const [one, two, three] = [await start(), await start(), await start()]
    work.call(1).reject(new Error('broken'))
    await settle()
    const cancelling = ann.cancel(three)
    await end(three)
    await cancelling
    await end(one)
    expect(await briefs()).toEqual([`end of ${two}: failed`, `end of ${three}: cancelled`, `end of ${one}: completed`])
  })

  test('what was answered inline is no news, what went to the background is', async () => {
    const { ann, work, advance, settle, briefs } = setupWork({ inlineMs: 100 })
    await ann.run(() => 'quick', undefined)
    await ann.run(() => 'quick', undefined, { durable: true })
    const call = watch(ann.run(work.tool, undefined))
    await advance(100)
    expect(call.value).toMatchObject({ kind: 'background' })
    work.call(0).resolve('slow')
    await settle()
    expect(await briefs()).toEqual(['end of task-3: completed'])
  })

  test('children are the business of their parent, unless they go on alone', async () => {
    const { ann, work, start, end, settle, briefs } = setupWork()
    const root = await start()
    const { ctx } = work.call(0)
    const owned = await ctx.spawn(work.tool, undefined)
    const alone = await ctx.spawn(work.tool, undefined, { onParentEnd: 'detach' })
    await settle()
    await end(owned.taskId)
    await end(root)
    await end(alone.taskId)
    expect(await briefs()).toEqual([`end of ${root}: completed`, `end of ${alone.taskId}: completed`])
    expect((await ann.list()).tasks).toHaveLength(3)
  })

  test('an open question comes, from any depth, and not any more when it has its answer', async () => {
    const { ann, work, start, settle, briefs } = setupWork()
    await start()
    const { ctx } = work.call(0)
    const child = await ctx.spawn(work.tool, undefined)
    await settle()
    void ctx.ask('answered', '?')
    void work.call(1).ctx.ask('open', { text: 'Which?' })
    await settle()
    await ann.answer('task-1', 'answered', 1)
    const [question] = await ann.inbox.drain()
    expect(question).toMatchObject({
      kind: 'question',
      from: { kind: 'task', taskId: child.taskId },
      payload: { key: 'open', question: { text: 'Which?' } },
    })
    await ann.answer(question?.from.taskId ?? '', 'open', 'this one')
    expect(await briefs()).toEqual([])
  })

  test('what tasks send and what happens to them comes in one order', async () => {
    const { work, start, end, advance, briefs } = setupWork()
    const [one, two] = [await start(), await start()]
    await work.call(0).ctx.send('owner', 'first')
    await advance(10)
    await end(two)
    await advance(10)
    await work.call(0).ctx.send('owner', 'third')
    await advance(10)
    void work.call(0).ctx.ask('fourth', '?')
    await advance(10)
    await work.call(0).ctx.send('owner', 'fifth')
    await advance(10)
    await end(one)
    expect(await briefs()).toEqual([
      'message "first"',
      `end of ${two}: completed`,
      'message "third"',
      'message "fifth"',
      `end of ${one}: completed`,
    ])
  })

  test('nothing of other owners comes', async () => {
    const { bob, start, end, briefs, work } = setupWork()
    const taskId = await start()
    await work.call(0).ctx.send('owner', 'for ann')
    void work.call(0).ctx.ask('for ann', '?')
    await end(taskId)
    expect(await briefs(bob)).toEqual([])
    expect(await briefs()).toEqual(['message "for ann"', `end of ${taskId}: completed`])
  })
})

describe('reading', () => {
  test('an inbox that is opened late begins with the oldest end that is kept', async () => {
    const { ann, start, end, briefs } = setupWork({ retention: { maxFinished: 2 } })
    const ids = [await start(), await start(), await start()]
    for (const taskId of ids) await end(taskId)
    expect(await ann.get(ids[0] ?? '')).toBeUndefined()
    expect(await briefs()).toEqual([`end of ${ids[1] ?? ''}: completed`, `end of ${ids[2] ?? ''}: completed`])
  })

  test('it outlives its reader: another session of the owner reads on', async () => {
    const { tasks, ann, start, end, briefs } = setupWork()
    const [one, two] = [await start(), await start()]
    await end(one)
    expect(brief(await ann.inbox.receive())).toBe(`end of ${one}: completed`)
    await end(two)
    expect(await briefs(tasks.session({ owner: 'ann', conversation: 'another' }))).toEqual([`end of ${two}: completed`])
    expect(await briefs()).toEqual([])
  })

  test('receive waits for the first that comes, for a message too', async () => {
    const { ann, work, start, end, settle } = setupWork()
    const taskId = await start()
    const first = watch(ann.inbox.receive())
    await settle()
    expect(first.state).toBe('pending')
    await work.call(0).ctx.send('owner', 'hello')
    await settle()
    expect(first.value).toMatchObject({ kind: 'message', payload: 'hello' })
    const second = watch(ann.inbox.receive({ waitMs: Infinity }))
    await end(taskId)
    expect(second.value).toMatchObject({ kind: 'end' })
  })

  test('of several readers each gets a message of its own', async () => {
    const { tasks, ann, start, end } = setupWork()
    const ids = [await start(), await start(), await start()]
    const other = tasks.session({ owner: 'ann' })
    const readers = [watch(ann.inbox.receive()), watch(other.inbox.receive()), watch(ann.inbox.receive())]
    for (const taskId of ids) await end(taskId)
    expect(readers.map(({ value }) => value?.from.taskId)).toEqual(ids)
  })

  test('a wait that is over, or whose signal aborts, takes no message along', async () => {
    const { ann, start, end, advance, clock, briefs } = setupWork({ timeoutMs: Infinity })
    const taskId = await start()
    const before = clock.heldTimerCount()
    const late = watch(ann.inbox.receive({ waitMs: 100 }))
    const leave = new AbortController()
    const left = watch(ann.inbox.receive({ waitMs: Infinity, signal: leave.signal }))
    await advance(100)
    leave.abort(new Error('no more'))
    await advance(0)
    expect(late.error).toMatchObject({ code: 'wait_timeout' })
    expect(left.error).toMatchObject({ message: 'no more' })
    expect(clock.heldTimerCount()).toBe(before)
    await expect(ann.inbox.receive({ signal: leave.signal })).rejects.toThrow('no more')
    await expect(ann.inbox.receive({ waitMs: -1 })).rejects.toThrow(TypeError)
    await end(taskId)
    expect(await briefs()).toEqual([`end of ${taskId}: completed`])
  })

  test('a loop gives messages as they come, and leaving it takes none along', async () => {
    const { ann, start, end, settle, briefs } = setupWork()
    const ids = [await start(), await start(), await start()]
    const seen: string[] = []
    const loop = (async (): Promise<void> => {
      for await (const message of ann.inbox) {
        seen.push(brief(message))
        if (seen.length === 2) break
      }
    })()
    for (const taskId of ids) await end(taskId)
    await loop
    await settle()
    expect(seen).toEqual([`end of ${ids[0] ?? ''}: completed`, `end of ${ids[1] ?? ''}: completed`])
    const iterator = ann.inbox[Symbol.asyncIterator]()
    const next = iterator.next()
    await iterator.return?.()
    expect([await next, await iterator.next()].map(({ done }) => done)).toEqual([true, true])
    expect(await briefs()).toEqual([`end of ${ids[2] ?? ''}: completed`])
  })

  test('a drain gives a thousand at most, and the rest at the next', async () => {
    const { ann, settle } = setup({ retention: { maxFinished: 2_000 } })
    await Promise.all(Array.from({ length: 1_100 }, (_, n) => ann.spawn(() => n, undefined)))
    await settle()
    expect(await ann.inbox.drain()).toHaveLength(1_000)
    expect(await ann.inbox.drain()).toHaveLength(100)
  })

  test('a full inbox refuses what tasks send, never their ends', async () => {
    const { work, start, end, briefs } = setupWork({ inbox: { maxMessages: 2 } })
    const ids = [await start(), await start(), await start()]
    const { ctx } = work.call(0)
    await ctx.send('owner', 1)
    await ctx.send('owner', 2)
    await expect(ctx.send('owner', 3)).rejects.toMatchObject({ code: 'inbox_full', retryAfterMs: 1_000 })
    for (const taskId of ids) await end(taskId)
    expect(await briefs()).toHaveLength(5)
  })

  test('code that waits for its owner lends its slot', async () => {
    const { ann, settle } = setup({ limits: { maxRunning: 1 } })
    const seen: string[] = []
    const agent = await ann.spawn(async () => void seen.push(brief(await ann.inbox.receive())), undefined)
    const other = await ann.spawn(() => 1, undefined)
    await settle()
    expect((await agent.record()).status).toBe('completed')
    expect(seen).toEqual([`end of ${other.taskId}: completed`])
  })

  test('a stopped supervisor lets those go who wait', async () => {
    const { tasks, ann, advance } = setupWork()
    const waiting = watch(ann.inbox.receive({ waitMs: Infinity }))
    const loop = watch(ann.inbox[Symbol.asyncIterator]().next())
    const closing = tasks.shutdown({ graceMs: 1 })
    await advance(10_000)
    await closing
    expect(waiting.error).toMatchObject({ code: 'supervisor_closed' })
    expect(loop.value).toEqual({ done: true, value: undefined })
    await expect(ann.inbox.receive()).rejects.toMatchObject({ code: 'supervisor_closed' })
  })

  test('while the store is silent nothing comes, and then all of it', async () => {
    const { ann, store, advance, settle } = setupBreakable()
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    const waiting = watch(ann.inbox.receive({ waitMs: Infinity }))
    await settle()
    store.break('failing', { reads: true })
    work.call(0).resolve('done')
    await advance(5_000)
    expect(waiting.state).toBe('pending')
    store.recover()
    await advance(20_000)
    expect(waiting.value).toMatchObject({ kind: 'end', from: { taskId: task.taskId } })
  })

  test('a wait that finds the store broken looks again by itself', async () => {
    const { ann, store, advance, settle } = setupBreakable()
    await (await ann.spawn(() => 1, undefined)).wait()
    await settle()
    store.break('failing', { reads: true })
    const waiting = watch(ann.inbox.receive({ waitMs: Infinity }))
    const draining = watch(ann.inbox.drain())
    await advance(500)
    expect([waiting.state, draining.state]).toEqual(['pending', 'rejected'])
    store.recover()
    await advance(2_000)
    expect(waiting.value).toMatchObject({ kind: 'end' })
  })
})

describe('waking', () => {
  function setupWake(options: Parameters<typeof setup>[0] = {}) {
    const harness = setupWork(options)
    const calls: string[][] = []
    const note = ({ messages }: OwnerNews): void => void calls.push(messages.map(brief))
    return { ...harness, calls, note }
  }

  test('one call for all that came, when nothing more has come for a while', async () => {
    const { ann, start, end, advance, calls, note } = setupWake()
    const ids = [await start(), await start(), await start()]
    ann.inbox.wake(note, { quietMs: 500 })
    await advance(1_000)
    expect(calls).toEqual([])
    for (const taskId of ids) {
      await end(taskId)
      await advance(400)
    }
    expect(calls).toEqual([])
    await advance(100)
    expect(calls).toEqual([ids.map((taskId) => `end of ${taskId}: completed`)])
    await advance(10_000)
    expect(calls).toHaveLength(1)
  })

  test('what never falls quiet is told after ten quiet times', async () => {
    const { ann, work, start, advance, calls, note } = setupWake()
    await start()
    ann.inbox.wake(note, { quietMs: 100 })
    await advance(100)
    for (let n = 0; n < 20; n += 1) {
      await work.call(0).ctx.send('owner', n)
      await advance(90)
    }
    expect(calls).toHaveLength(1)
    expect(calls[0]?.length).toBe(12)
    await advance(100)
    expect(calls.flat()).toHaveLength(20)
  })

  test('what was there before is told too', async () => {
    const { ann, start, end, advance, calls, note } = setupWake()
    const taskId = await start()
    await end(taskId)
    ann.inbox.wake(note)
    await advance(1_000)
    expect(calls).toEqual([[`end of ${taskId}: completed`]])
  })

  test('nothing wakes nobody: what another has read is no news', async () => {
    const { ann, start, end, advance, calls, note } = setupWake()
    const taskId = await start()
    ann.inbox.wake(note)
    await advance(1_000)
    await end(taskId)
    await ann.inbox.drain()
    await advance(1_000)
    expect(calls).toEqual([])
  })

  test('while it is at work nothing else calls it, and what came meanwhile is one more call', async () => {
    const { ann, start, end, advance, settle } = setupWake()
    const calls: { readonly ids: unknown[]; finish(): void }[] = []
    ann.inbox.wake(
      ({ messages }) =>
        new Promise<void>((resolve) => {
          calls.push({ ids: messages.map(({ from }) => from.taskId), finish: resolve })
        }),
      { quietMs: 100 },
    )
    const ids = [await start(), await start(), await start()]
    await end(ids[0] ?? '')
    await advance(100)
    await end(ids[1] ?? '')
    await advance(1_000)
    await end(ids[2] ?? '')
    await advance(1_000)
    expect(calls.map((call) => call.ids)).toEqual([[ids[0]]])
    calls[0]?.finish()
    await settle()
    await advance(100)
    expect(calls.map((call) => call.ids)).toEqual([[ids[0]], [ids[1], ids[2]]])
    calls[1]?.finish()
    await advance(10_000)
    expect(calls).toHaveLength(2)
  })

  test('what it throws on stays in the inbox, is reported, and is told again with the next', async () => {
    const { ann, start, end, advance, logged } = setupWake()
    const calls: string[][] = []
    ann.inbox.wake(
      ({ messages }) => {
        calls.push(messages.map(({ from }) => from.taskId ?? ''))
        if (calls.length === 1) throw new Error('no model today')
        return calls.length === 2 ? Promise.reject(new Error('nor tomorrow')) : undefined
      },
      { quietMs: 100 },
    )
    const [one, two, three] = [await start(), await start(), await start()]
    await end(one)
    await advance(10_000)
    expect(logged).toMatchObject([{ message: 'a subscriber threw' }])
    await end(two)
    await advance(10_000)
    expect(logged).toHaveLength(2)
    await end(three)
    await advance(10_000)
    expect(calls).toEqual([[one], [one, two], [one, two, three]])
    expect(await ann.inbox.drain()).toEqual([])
  })

  test('there is one callback: a later one takes its place, and the undo of the earlier does nothing', async () => {
    const { tasks, ann, start, end, advance, calls, note } = setupWake()
    const undoFirst = ann.inbox.wake(() => void calls.push(['the first']))
    const undo = tasks.session({ owner: 'ann' }).inbox.wake(note)
    undoFirst()
    const [one, two] = [await start(), await start()]
    await end(one)
    await advance(1_000)
    expect(calls).toEqual([[`end of ${one}: completed`]])
    undo()
    undo()
    await end(two)
    await advance(10_000)
    expect(calls).toHaveLength(1)
    expect((await ann.inbox.drain()).map(brief)).toEqual([`end of ${two}: completed`])
  })

  test('the callback belongs to no task, wherever time passes: what it spawns is a root', async () => {
    const { ann, clock } = setup()
    const spawned: unknown[] = []
    await (await ann.spawn(() => 'news', undefined)).wait()
    const agent = await ann.spawn(async () => {
      const undo = ann.inbox.wake(async () => {
        const task = await ann.spawn((_: undefined, ctx) => ctx.depth, undefined)
        spawned.push(await task.result())
      })
      await clock.advance(1_000)
      undo()
    }, undefined)
    await agent.wait()
    expect(spawned).toEqual([0])
  })

  test('an undo while the inbox is being read is in time', async () => {
    const { ann, store, advance, settle } = setupBreakable()
    await (await ann.spawn(() => 1, undefined)).wait()
    await settle()
    const calls: unknown[] = []
    const undo = ann.inbox.wake((news) => void calls.push(news))
    store.break('hanging', { reads: true })
    await advance(1_000)
    undo()
    store.recover()
    await advance(10_000)
    expect(calls).toEqual([])
    expect(await ann.inbox.drain()).toHaveLength(1)
  })

  test('a wake gives a text for a model, as long as asked for', async () => {
    const { ann, start, end, advance } = setupWake()
    const texts: string[] = []
    ann.inbox.wake((news) => void texts.push(news.digest(), news.digest({ maxTokens: 60 })), { quietMs: 10 })
    const taskId = await start()
    await end(taskId, 'x'.repeat(4_000))
    await advance(1_000)
    expect(texts[0]).toContain('x'.repeat(4_000))
    expect(texts[1]).not.toContain('x'.repeat(200))
    expect(texts[1]).toContain(taskId)
  })

  test.each([
    ['no function', [undefined]],
    ['no quiet time', [() => undefined, { quietMs: 0 }]],
    ['an unknown option', [() => undefined, { debounceMs: 5 }]],
  ])('%s is refused at once', (_case, args) => {
    const { ann } = setup()
    expect(() => ann.inbox.wake(...(args as unknown as Parameters<typeof ann.inbox.wake>))).toThrow(TypeError)
  })

  test('an inbox that nobody reads listens to nothing and holds nothing', async () => {
    const { ann, start, end, advance, clock } = setupWake({ timeoutMs: Infinity })
    await ann.inbox.drain()
    const undo = ann.inbox.wake(() => undefined)
    await advance(1_000)
    const leave = new AbortController()
    watch(ann.inbox.receive({ waitMs: Infinity, signal: leave.signal }))
    leave.abort()
    undo()
    const taskId = await start()
    await end(taskId)
    expect(clock.heldTimerCount()).toBe(0)
  })
})
