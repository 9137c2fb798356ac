import {
  callbackChannel,
  createTaskSupervisor,
  currentTask,
  memoryStore,
  TaskNotFoundError,
  type Session,
  type StreamItem,
  type TaskContext,
  type TaskStore,
} from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { controlTools } from 'outlive/tools'
import {
  EVERY_TOOL,
  fingerprint,
  HANDLE_ROWS,
  ID_CELLS,
  ID_ROWS,
  malformedIds,
  NOT_OWN_TOLD,
  outcomeOf,
  OWNER_CELLS,
  OWNER_ROWS,
  runOf,
  TOOL_ID_ROWS,
  TOOL_OWNER_ROWS,
  verbsOf,
  type IdRow,
} from '../support/isolation-matrix.ts'
import { collect, setup, watch } from '../support/setup.ts'

const NOT_FOUND = { rejected: fingerprint(new TaskNotFoundError()) }

/** `ann` has a task in every condition; `bob` has a few of his own and is curious. */
async function createWorld() {
  const sent: string[] = []
  const calls: string[] = []
  const store = listenTo(memoryStore(), calls)
  const harness = setup({
    store,
    channels: { board: callbackChannel(({ message }) => void sent.push(message.taskId)) },
    retention: { finishedMs: 60_000 },
  })
  const { tasks, ann, bob, settle, advance } = harness
  const work = controllableTool<string, string>('work')
  let made = 0
  const open = async (session: Session, options: { readonly name?: string } = {}): Promise<string> => {
    made += 1
    const { taskId } = await session.spawn(work.tool, 'input', {
      ...options,
      correlation: { runId: runOf(`task-${made}`) },
    })
    expect(taskId).toBe(`task-${made}`)
    return taskId
  }
  const close = async (taskId: string): Promise<string> => {
    work.calls.find(({ ctx }) => ctx.taskId === taskId)?.resolve('done')
    await settle()
    return taskId
  }
  const evicted = await close(await open(ann))
  await advance(60_000)
  const finished = await close(await open(ann))
  const bobFinished = await close(await open(bob))
  const running = await open(ann, { name: 'reader' })
  const bobRunning = await open(bob, { name: 'reader' })
  const inline = watch(ann.run(work.tool, 'input'))
  await settle()
  const ephemeral = work.calls.at(-1)?.ctx.taskId ?? ''
  expect([evicted, finished, running, ephemeral]).toEqual(['task-1', 'task-2', 'task-4', 'task-6'])
  expect(await tasks.operator.get(evicted)).toBeUndefined()

  /** All that can be known about these tasks and their owners, and all that ever left the house. */
  const observe = async (): Promise<object> => {
    const ids = ['task-1', 'task-2', 'task-3', 'task-4', 'task-5', 'task-6']
    return {
      records: await Promise.all(ids.map((taskId) => tasks.operator.get(taskId))),
      logs: await Promise.all(ids.map(async (taskId) => store.readEvents({ taskId, afterSeq: 0, limit: 1_000 }))),
      outbox: await Promise.all(ids.map(async (taskId) => store.readOutbox(taskId))),
      lists: [await ann.list(), await bob.list()],
      stats: [await ann.stats(), await bob.stats()],
      callCount: work.calls.length,
      aborted: work.calls.map(({ ctx }) => ctx.signal.aborted),
      inline: inline.state,
      sent: [...sent],
    }
  }
  /** As `observe`, with everything that was ever counted or started. */
  const observeAll = async (): Promise<object> => ({ ...(await observe()), total: await tasks.operator.stats() })

  /** What an id gets, and which calls of the store it took. */
  const ask = async (session: Session, row: IdRow, taskId: unknown): Promise<{ answer: unknown; calls: string[] }> => {
    calls.length = 0
    const answer = await outcomeOf(() => row.ask(session, taskId as string))
    const made = [...calls]
    await settle()
    return { answer, calls: made }
  }

  return {
    ...harness,
    work,
    calls,
    ask,
    observe,
    observeAll,
    ids: { evicted, finished, running, ephemeral, bobFinished, bobRunning },
  }
}

/** The same store, which notes the names of its calls. */
function listenTo(store: TaskStore, calls: string[]): TaskStore {
  const noted = Object.entries(store).map(([name, member]: [string, unknown]) => {
    if (typeof member !== 'function') return [name, member] as const
    const call = (...args: readonly unknown[]): unknown => {
      calls.push(name)
      return (member as (...args: readonly unknown[]) => unknown)(...args)
    }
    return [name, call] as const
  })
  return Object.fromEntries(noted) as unknown as TaskStore
}

const NOTHING_FOR = {
  'not found': NOT_FOUND,
  undefined: { resolved: undefined },
  nothing: { resolved: [] },
  told: { resolved: NOT_OWN_TOLD },
} as const

describe('the matrix', () => {
  test('every verb of a session and of a task handle and every tool of a model has a row, and every row one of them', async () => {
    const { ann } = await createWorld()
    const rows = new Set([...Object.keys(ID_ROWS), ...Object.keys(OWNER_ROWS)])
    expect([...rows].sort()).toEqual(verbsOf(ann))
    expect(Object.keys(HANDLE_ROWS).sort()).toEqual(verbsOf(ann.handle('task-1')))
    expect(verbsOf(ann).length).toBeGreaterThan(15)
    const tools = controlTools(ann, EVERY_TOOL).map(({ name }) => name)
    expect([...Object.keys(TOOL_ID_ROWS), ...Object.keys(TOOL_OWNER_ROWS)].sort()).toEqual([...tools].sort())
    expect(tools.length).toBeGreaterThan(6)
  })

  test.each(ID_CELLS)('$verb: an id of the owner is answered', async ({ row }) => {
    const { ann, bob, ids } = await createWorld()
    expect({ answer: await row.ask(ann, ids.finished) }).toMatchObject({ answer: row.answerOfOwn(ids.finished) })
    expect({ answer: await row.ask(bob, ids.bobFinished) }).toMatchObject({ answer: row.answerOfOwn(ids.bobFinished) })
  })

  test.each(ID_CELLS)(
    '$verb: foreign, unknown and evicted ids get one answer, the same to the byte, and change nothing',
    async ({ row }) => {
      const { ann, bob, ask, observeAll, ids } = await createWorld()
      const before = await observeAll()
      const unknown = await ask(bob, row, 'task-99')
      expect(unknown.answer).toEqual(NOTHING_FOR[row.notOwn])
      for (const foreign of [ids.finished, ids.running, ids.ephemeral])
        expect(await ask(bob, row, foreign)).toEqual(unknown)
      for (const asking of [bob, ann]) expect(await ask(asking, row, ids.evicted)).toEqual(unknown)
      // A name is no id, not even to its owner.
      for (const asking of [bob, ann]) expect(await ask(asking, row, 'reader')).toEqual(unknown)
      expect(await observeAll()).toEqual(before)
    },
  )

  test.each(ID_CELLS)(
    '$verb: a malformed id gets the answer of an unknown one and changes nothing',
    async ({ verb, row }) => {
      const { ann, bob, ask, observeAll, ids } = await createWorld()
      const before = await observeAll()
      for (const malformed of malformedIds(ids.running)) {
        for (const asking of [bob, ann]) {
          const { answer } = await ask(asking, row, malformed)
          // A filter and a run are options: what is no text at all is refused at the call.
          const isOption = verb === 'session.list' || verb === 'session.cancelAll'
          const isText = typeof malformed === 'string' && malformed.length > 0 && malformed.length <= 240
          if (isOption && !isText) expect([NOTHING_FOR.nothing, expectedTypeError(answer)]).toContainEqual(answer)
          else expect(answer).toEqual(NOTHING_FOR[row.notOwn])
        }
      }
      expect(await observeAll()).toEqual(before)
    },
  )

  test('what is no text is not asked of the store', async () => {
    const { ann, ask } = await createWorld()
    const { handle: _handle, ...rows } = ID_ROWS
    for (const [verb, row] of Object.entries(rows))
      for (const taskId of [5, null, {}, ['task-2'], Symbol('task-2')]) {
        const { calls } = await ask(ann, row, taskId)
        expect(
          calls.filter((name) => /^(read|readOutbox|readEvents|commit)$/.test(name)),
          verb,
        ).toEqual([])
      }
  })

  test('a handle on nothing is a handle on no task, not on all', async () => {
    const { ann, ask } = await createWorld()
    for (const { verb, row } of ID_CELLS.filter(({ verb }) => verb.startsWith('handle.'))) {
      expect((await ask(ann, row, undefined)).answer, verb).toEqual(NOT_FOUND)
    }
  })

  test.each(OWNER_CELLS)('$verb: without an id it knows the tasks of its owner only', async ({ row }) => {
    const { tasks, advance, observe } = await createWorld()
    const before = await observe()
    const answer = await row.ask(tasks.session({ owner: 'carl' }))
    expect(answer).toEqual(row.answerOfNewcomer('carl'))
    // What somebody starts counts for them; nobody else is touched.
    await advance(0)
    expect(await observe()).toEqual(before)
  })
})

/** A `TypeError` of the kind that bad options get, if the answer is one. */
function expectedTypeError(answer: unknown): unknown {
  const { rejected } = answer as { rejected?: { kind?: string } }
  return rejected?.kind === 'TypeError' ? answer : undefined
}

describe('the code of a task', () => {
  test('what is not below it gets one answer, in the same steps, whoever has it', async () => {
    const { bob, work, calls, advance, observeAll, ids } = await createWorld()
    const parent = await bob.spawn(work.tool, 'parent')
    // Until the store has its start.
    await advance(0)
    const { ctx } = work.calls.at(-1) ?? work.call(0)
    expect(ctx.taskId).toBe(parent.taskId)
    const verbs = {
      answer: (id: unknown) => ctx.answer(id as string, 'key', 'yes'),
      send: (id: unknown) => ctx.send(id as string, 'hello'),
    }
    for (const [verb, ask] of Object.entries(verbs)) {
      const stepsOf = async (id: unknown): Promise<object> => {
        calls.length = 0
        return { answer: await outcomeOf(() => ask(id)), calls: [...calls] }
      }
      const unknown = await stepsOf('task-99')
      expect(unknown, verb).toEqual({ answer: NOT_FOUND, calls: ['read'] })
      const before = await observeAll()
      for (const id of [...Object.values(ids), 'reader']) expect(await stepsOf(id), verb).toEqual(unknown)
      expect(await observeAll()).toEqual(before)
    }
  })
})

describe('many ids, lists and streams', () => {
  test('one foreign id among own ones refuses the whole wait', async () => {
    const { bob, ids } = await createWorld()
    for (const ask of [bob.waitAny, bob.waitAll]) {
      for (const foreign of [ids.finished, ids.running, ids.ephemeral, ids.evicted, 'task-99', '', null as never]) {
        for (const list of [
          [foreign, ids.bobFinished],
          [ids.bobFinished, foreign],
          [ids.bobRunning, foreign, ids.bobFinished],
        ]) {
          expect(await outcomeOf(() => ask(list))).toEqual(NOT_FOUND)
        }
      }
    }
    expect(await bob.waitAny([ids.bobRunning, ids.bobFinished])).toMatchObject({ taskId: ids.bobFinished })
  })

  test('a list holds own tasks only, whatever the filter names', async () => {
    const { ann, bob, ids } = await createWorld()
    const filters = [
      {},
      { name: 'reader' },
      { tool: 'work' },
      { status: 'running' },
      { status: ['running', 'completed'] },
      { tree: ids.running },
      { parent: ids.running },
      { correlation: { runId: runOf(ids.running) } },
    ] as const
    for (const filter of filters) {
      const page = await bob.list(filter)
      expect(page.tasks.filter(({ owner }) => owner !== 'bob')).toEqual([])
    }
    expect((await bob.list({ name: 'reader' })).tasks).toMatchObject([{ taskId: ids.bobRunning }])
    expect((await ann.list({ name: 'reader' })).tasks).toMatchObject([{ taskId: ids.running }])
  })

  test('a list cannot be asked for another owner', async () => {
    const { bob } = await createWorld()
    await expect(bob.list({ owner: 'ann' } as object)).rejects.toThrow(TypeError)
    await expect(bob.list(JSON.parse('{"__proto__":{"owner":"ann"}}') as object)).rejects.toThrow(TypeError)
  })

  test('a page cursor that is altered or of another owner is invalid', async () => {
    const { tasks, ann, bob } = await createWorld()
    const { next = '' } = await ann.list({ limit: 1 })
    expect(next).not.toBe('')
    expect((await ann.list({ limit: 1, after: next })).tasks).toHaveLength(1)
    const invalid = { code: 'invalid_cursor', name: 'TaskError' }
    await expect(bob.list({ after: next })).rejects.toMatchObject(invalid)
    await expect(tasks.operator.list({ after: next })).rejects.toMatchObject(invalid)
    await expect(tasks.operator.list({ owner: 'bob', after: next })).rejects.toMatchObject(invalid)
    const { next: overAll = '' } = await tasks.operator.list({ limit: 1 })
    await expect(ann.list({ after: overAll })).rejects.toMatchObject(invalid)
    for (const altered of [...alterationsOf(next), '', '0', '1.', '.1', '__proto__', 7, null, {}, [next]]) {
      await expect(ann.list({ after: altered as string }), typeof altered).rejects.toMatchObject(invalid)
    }
  })

  test("the operator's page cursors fit the list they came from only", async () => {
    const { tasks, ids } = await createWorld()
    const { next: ofAnn = '' } = await tasks.operator.list({ owner: 'ann', limit: 1 })
    const { next: ofAll = '' } = await tasks.operator.list({ limit: 1 })
    expect((await tasks.operator.list({ owner: 'ann', after: ofAnn })).tasks).toMatchObject([{ taskId: ids.running }])
    expect((await tasks.operator.list({ after: ofAll, limit: 1 })).tasks).toMatchObject([{ taskId: ids.bobFinished }])
    const invalid = { code: 'invalid_cursor' }
    await expect(tasks.operator.list({ after: ofAnn })).rejects.toMatchObject(invalid)
    await expect(tasks.operator.list({ owner: 'ann', after: ofAll })).rejects.toMatchObject(invalid)
    await expect(tasks.operator.list({ owner: 'bob', after: ofAnn })).rejects.toMatchObject(invalid)
  })

  test('a stream cursor that is altered, of another owner or of another task is invalid', async () => {
    const { tasks, ann, bob, settle, ids } = await createWorld()
    const read = async (stream: AsyncIterableIterator<StreamItem>): Promise<string[]> => {
      const { items } = collect(stream)
      await settle()
      await stream.return?.()
      return items.flatMap((item) => ('cursor' in item && item.cursor !== undefined ? [item.cursor] : []))
    }
    const ofAnn = await read(ann.events())
    const ofTask = await read(ann.events({ taskId: ids.finished }))
    const [cursor = ''] = ofTask
    expect(ofAnn.length).toBeGreaterThan(ofTask.length)
    expect(await read(ann.events({ after: cursor }))).not.toContain(cursor)
    expect(await read(ann.events({ taskId: ids.finished, after: cursor }))).toEqual(ofTask.slice(1))

    const refused = async (open: () => unknown): Promise<void> => {
      await expect((async () => open())()).rejects.toMatchObject({ code: 'invalid_cursor' })
    }
    for (const of of ofAnn) {
      await refused(() => bob.events({ after: of }))
      await refused(() => bob.events$({ after: of }))
      await refused(() => bob.events({ taskId: ids.bobFinished, after: of }))
      await refused(() => bob.handle(ids.bobFinished).events({ after: of }))
    }
    for (const of of ofTask) await refused(() => ann.events({ taskId: ids.running, after: of }))
    // With the cursor and the id of the same foreign task the answer is that of any foreign id.
    expect(await collect(bob.events({ taskId: ids.finished, after: cursor })).ended).toMatchObject({
      code: 'task_not_found',
    })
    for (const altered of [...alterationsOf(cursor), '', '0', 'nonsense', '__proto__']) {
      await refused(() => ann.events({ after: altered }))
      await refused(() => ann.events({ taskId: ids.finished, after: altered }))
    }
    const { next = '' } = await ann.list({ limit: 1 })
    await refused(() => ann.events({ after: next }))
    // A place among the events of all is told to the operator only.
    await refused(() => tasks.operator.events({ after: cursor }))
  })

  test('streams, levels and numbers of an owner say nothing about the tasks of others, as they happen', async () => {
    const { ann, bob, settle, work } = setupWork()
    const levels: (readonly { readonly owner: string }[])[] = []
    const watching = bob.live$.subscribe((tasks) => levels.push(tasks))
    const feed = collect(bob.events())
    const feed$: StreamItem[] = []
    const watching$ = bob.events$().subscribe((item) => feed$.push(item))
    await settle()
    levels.length = 0

    const task = await ann.spawn(work.tool, undefined, { name: 'secret', metadata: { note: 'secret' } })
    const inline = watch(ann.run(work.tool, undefined))
    work.call(0).ctx.progress(0.5)
    work.call(0).ctx.emit('secret', { text: 'secret' })
    work.call(0).ctx.output('secret')
    work.call(1).ctx.output('secret')
    await task.cancel({ note: 'secret' })
    work.call(1).resolve('secret')
    await settle()

    expect(inline.state).toBe('resolved')
    expect([...feed.items, ...feed$, ...levels]).toEqual([])
    expect(await bob.stats()).toEqual({ byStatus: {}, live: 0 })
    expect(await bob.hasRunning()).toBe(false)
    const own = await bob.spawn(work.tool, undefined)
    await settle()
    expect(feed.items).toMatchObject(
      [{ taskId: own.taskId }, { taskId: own.taskId }, { taskId: own.taskId }].slice(0, feed.items.length),
    )
    expect(feed.items.length).toBeGreaterThan(0)
    expect(levels.flat().map(({ owner }) => owner)).toContain('bob')
    expect(JSON.stringify([feed.items, feed$, levels])).not.toMatch(/secret|ann/)
    watching.unsubscribe()
    watching$.unsubscribe()
  })
})

describe('cancelling', () => {
  test('cancelAll stops the tasks of its owner and nobody else, by run too', async () => {
    const { ann, bob, settle, work } = setupWork()
    const correlation = { runId: 'run-1' }
    const ofAnn = await ann.spawn(work.tool, undefined, { correlation })
    const other = await ann.spawn(work.tool, undefined, { correlation: { runId: 'run-2' } })
    const ofBob = await bob.spawn(work.tool, undefined, { correlation })
    expect(await bob.cancelAll({ runId: 'run-2' })).toEqual({ count: 0, tasks: [] })
    expect(await bob.cancelAll({ runId: 'run-1' })).toEqual({
      count: 1,
      tasks: [{ taskId: ofBob.taskId, status: 'cancelled' }],
    })
    await settle()
    expect(await ofAnn.record()).toMatchObject({ status: 'running' })
    expect(work.call(0).ctx.signal.aborted).toBe(false)
    // The run is closed for bob only.
    await expect(bob.spawn(work.tool, undefined, { correlation })).rejects.toMatchObject({ code: 'parent_stopping' })
    await expect(ann.spawn(work.tool, undefined, { correlation })).resolves.toBeDefined()

    expect(await bob.cancelAll()).toEqual({ count: 0, tasks: [] })
    expect(await other.record()).toMatchObject({ status: 'running' })
    expect(await ann.cancelAll({ runId: 'run-1' })).toMatchObject({ count: 2 })
    expect(await ann.cancelAll()).toEqual({ count: 1, tasks: [{ taskId: other.taskId, status: 'cancelled' }] })
  })

  test('a cancelled task names its own owner or a task of that owner as the actor, never another one', async () => {
    const { ann, bob, work } = setupWork()
    const ofBob = await bob.spawn(work.tool, undefined)
    const outcome = await ann.run(async () => {
      await bob.cancel(ofBob.taskId)
      return 'done'
    }, undefined)
    expect(outcome).toMatchObject({ kind: 'inline', value: 'done' })
    expect(await ofBob.record()).toMatchObject({ status: 'cancelled', cause: { reason: 'user', actor: 'bob' } })
  })

  test('the same name may be in use by several owners at once', async () => {
    const { ann, bob, work } = setupWork()
    const first = await ann.spawn(work.tool, undefined, { name: 'reader' })
    const second = await bob.spawn(work.tool, undefined, { name: 'READER' })
    await expect(bob.spawn(work.tool, undefined, { name: 'reader' })).rejects.toMatchObject({ code: 'name_taken' })
    await second.cancel()
    await expect(ann.spawn(work.tool, undefined, { name: 'reader' })).rejects.toMatchObject({ code: 'name_taken' })
    expect(await first.record()).toMatchObject({ status: 'running', name: 'reader' })
    await expect(bob.spawn(work.tool, undefined, { name: 'reader' })).resolves.toBeDefined()
  })
})

describe('owners', () => {
  const NO_OWNERS: readonly unknown[] = [
    undefined,
    null,
    '',
    0,
    42,
    true,
    {},
    [],
    ['ann'],
    Symbol('ann'),
    { toString: () => 'ann' },
    new String('ann'),
    'a'.repeat(257),
    'ann\u0000',
    'ann\n',
    'ann\u007f',
    '\u0085ann',
  ]

  test('an owner that is missing, empty, no string, too long or holds control characters is refused', () => {
    const { tasks } = setup()
    for (const owner of NO_OWNERS) {
      expect(() => tasks.session({ owner } as { owner: string }), typeof owner).toThrow(TypeError)
    }
    for (const options of [
      undefined,
      null,
      'ann',
      ['ann'],
      {},
      { user: 'ann' },
      JSON.parse('{"__proto__":{"owner":"ann"}}'),
    ]) {
      expect(() => tasks.session(options as { owner: string })).toThrow(TypeError)
    }
  })

  test('owners are compared exactly', async () => {
    const { tasks, work } = setupWork()
    const owners = [
      'ann',
      'Ann',
      'ann ',
      ' ann',
      'ann:',
      'a\u0301nn',
      '\u00e1nn',
      'a'.repeat(256),
      'local',
      '__proto__',
      'constructor',
      '*',
    ]
    const started = await Promise.all(
      owners.map(async (owner) => {
        const session = tasks.session({ owner })
        return { owner, session, task: await session.spawn(work.tool, undefined, { name: 'reader' }) }
      }),
    )
    for (const { owner, session, task } of started) {
      expect((await session.list()).tasks.map(({ taskId }) => taskId)).toEqual([task.taskId])
      expect(await session.stats()).toEqual({ byStatus: { running: 1 }, live: 1 })
      expect(await task.record()).toMatchObject({ owner })
      for (const other of started) {
        if (other.owner !== owner) expect(await other.session.get(task.taskId)).toBeUndefined()
      }
    }
    const [first] = started
    await first?.session.cancelAll()
    expect(await tasks.operator.stats()).toMatchObject({ live: owners.length - 1 })
  })

  test('what a model writes about an owner into an input is data, and into options is refused', async () => {
    const { ann, bob, settle, work } = setupWork()
    const input = { owner: 'bob', user_id: 'bob', userId: 'bob', session: { owner: 'bob' }, ctx: { owner: 'bob' } }
    const seen = await ann.run((given: typeof input, ctx) => ({ given, owner: ctx.owner }), input)
    expect(seen).toMatchObject({ value: { given: input, owner: 'ann' } })
    for (const options of [
      { owner: 'bob' },
      { user_id: 'bob' },
      { session: bob },
      { parentId: 'task-1' },
      { origin: 'x' },
      { conversation: 'x' },
    ]) {
      await expect(ann.run(work.tool, undefined, options as object)).rejects.toThrow(TypeError)
      await expect(ann.spawn(work.tool, undefined, options as object)).rejects.toThrow(TypeError)
    }
    await ann.spawn(work.tool, undefined, { metadata: { owner: 'bob' }, correlation: { runId: 'bob', agentId: 'bob' } })
    await settle()
    expect(work.calls).toHaveLength(1)
    expect((await ann.list()).tasks).toMatchObject([{ owner: 'ann', metadata: { owner: 'bob' } }])
    expect((await bob.list()).tasks).toEqual([])
  })
})

describe('lineage', () => {
  test("a call on another owner's session from inside a task starts a root of that owner", async () => {
    const { ann, bob, work, settle } = setupWork()
    const parent = await ann.spawn(async () => {
      expect(currentTask()?.owner).toBe('ann')
      const ofAnn = await ann.spawn(work.tool, undefined)
      const ofBob = await bob.spawn(work.tool, undefined)
      return [ofAnn.taskId, ofBob.taskId]
    }, undefined)
    await settle()
    const [childId = '', rootId = ''] = (await bob.list()).tasks.length === 1 ? ['task-2', 'task-3'] : []
    expect(await ann.get(childId)).toMatchObject({ owner: 'ann', parentId: parent.taskId, depth: 1 })
    expect(await bob.get(rootId)).toMatchObject({ owner: 'bob', rootId, depth: 0 })
    expect(await bob.get(rootId)).not.toHaveProperty('parentId')
    expect(await parent.cancel()).toMatchObject({ count: 2 })
    expect(await bob.get(rootId)).toMatchObject({ status: 'running' })
  })

  test('a child cannot take another owner or another parent', async () => {
    const { ann, bob, work, settle } = setupWork()
    const victim = await bob.spawn(work.tool, undefined)
    const attempts: unknown[] = []
    const tool = async (_input: undefined, ctx: TaskContext): Promise<void> => {
      const options = [
        { owner: 'bob' },
        { parentId: victim.taskId },
        { parent: victim.taskId },
        { session: bob },
        { conversation: 'c' },
        { origin: 'o' },
        JSON.parse('{"__proto__":{"owner":"bob"}}') as object,
      ]
      for (const given of options) {
        attempts.push(
          await outcomeOf(() => ctx.spawn(work.tool, undefined, given as object)),
          await outcomeOf(() => ctx.run(work.tool, undefined, given as object)),
          await outcomeOf(() => ann.spawn(work.tool, undefined, given as object)),
          await outcomeOf(() => ann.run(work.tool, undefined, given as object)),
        )
      }
    }
    await ann.run(tool, undefined)
    expect(attempts).toHaveLength(28)
    for (const attempt of attempts) expect(attempt).toMatchObject({ rejected: { kind: 'TypeError' } })
    await settle()
    expect(work.calls).toHaveLength(1)
  })

  test('a context that was tampered with still stands for its own task', async () => {
    const { ann, bob, work } = setupWork()
    const victim = await bob.spawn(work.tool, undefined)
    let forged: unknown
    const outcome = await ann.run(async (_input: undefined, ctx) => {
      Object.defineProperty(ctx, 'owner', { value: 'bob' })
      Object.defineProperty(ctx, 'taskId', { value: victim.taskId })
      Object.defineProperty(ctx, 'parentId', { value: victim.taskId })
      const Context = ctx.constructor as unknown as new (task: object) => TaskContext
      forged = await outcomeOf(async () => {
        const made = new Context({ taskId: victim.taskId, spec: { owner: 'bob' }, depth: 0 })
        return (await made.spawn(work.tool, undefined)).taskId
      })
      const child = await ctx.spawn((_given: undefined, own: TaskContext) => [own.owner, own.depth], undefined)
      return child.result()
    }, undefined)
    expect(outcome).toMatchObject({ value: ['ann', 1] })
    expect(forged).toMatchObject({ rejected: { kind: 'TypeError' } })
    expect((await bob.list()).tasks).toHaveLength(1)
  })

  test('a child inherits conversation, origin and run of its parent, and can choose none of the first two', async () => {
    const { tasks } = setup({ channels: { board: callbackChannel(() => undefined) } })
    const session = tasks.session({ owner: 'ann', conversation: 'c-1', origin: 'board:1' })
    const child = await session.run(
      async (_input: undefined, ctx) => {
        const task = await ctx.spawn(async () => 'done', undefined)
        await task.wait()
        return task.record()
      },
      undefined,
      { correlation: { runId: 'run-1' } },
    )
    expect(child).toMatchObject({
      value: { owner: 'ann', conversation: 'c-1', origin: 'board:1', correlation: { runId: 'run-1' }, targets: [] },
    })
  })
})

describe('ids', () => {
  test('100,000 ids are unique, 22 url-safe characters each, and in no order', async () => {
    const tasks = createTaskSupervisor()
    onTestFinished(async () => void (await tasks.shutdown()))
    const ids: string[] = []
    const tellId = (_input: undefined, ctx: TaskContext): void => void ids.push(ctx.taskId)
    for (let batch = 0; batch < 100; batch += 1) {
      await Promise.all(Array.from({ length: 1_000 }, () => tasks.run(tellId, undefined)))
    }
    expect(ids).toHaveLength(100_000)
    expect(new Set(ids).size).toBe(100_000)
    expect(ids.filter((id) => !/^[A-Za-z0-9_-]{22}$/.test(id))).toEqual([])
    // Neighbours rise as often as they fall, and at every place every character turns up as often as any other.
    const rises = ids.filter((id, index) => index > 0 && id > (ids[index - 1] ?? '')).length
    expect(Math.abs(rises / 100_000 - 0.5)).toBeLessThan(0.01)
    for (let place = 0; place < 22; place += 1) {
      const counts = new Map<string, number>()
      for (const id of ids) counts.set(id.charAt(place), (counts.get(id.charAt(place)) ?? 0) + 1)
      expect(counts.size).toBe(64)
      expect(Math.max(...counts.values()) / 100_000).toBeLessThan(1 / 50)
    }
  })
})

describe('prototypes', () => {
  const poison =
    '{"__proto__":{"durable":true,"polluted":"yes","owner":"bob"},"constructor":{"prototype":{"polluted":"yes"}}}'
  const poisoned = (): Record<string, unknown> => JSON.parse(poison) as Record<string, unknown>

  const expectClean = (): void => {
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(() => undefined as unknown).not.toHaveProperty('polluted')
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(Object.keys(Function.prototype)).toEqual([])
  }

  test('poisoned keys in input, metadata and reports are data: no prototype changes and no flag is set', async () => {
    const { ann, settle } = setupWork()
    const task = await ann.spawn(
      (input: Record<string, unknown>, ctx) => {
        expect(Object.getPrototypeOf(input)).toBe(Object.prototype)
        expect(input['polluted']).toBeUndefined()
        ctx.emit('custom', poisoned())
        const report = JSON.parse('{"done":1,"__proto__":{"total":2}}') as { done: number }
        expect(() => ctx.progress(report)).toThrow(TypeError)
        const used = JSON.parse('{"tokens":1,"__proto__":{"cost":100}}') as { tokens: number }
        expect(() => ctx.usage(used)).toThrow(TypeError)
        expectClean()
        return poisoned()
      },
      poisoned(),
      { metadata: poisoned() },
    )
    const result = (await task.result()) as Record<string, unknown>
    const record = await task.record()
    const { items } = collect(task.events())
    await settle()
    for (const kept of [result, record.metadata, record, ...items]) {
      expect(Object.getPrototypeOf(kept)).toBe(Object.prototype)
      expect((kept as Record<string, unknown>)['polluted']).toBeUndefined()
    }
    expect(record).toMatchObject({ owner: 'ann', status: 'completed' })
    expect(record).not.toHaveProperty('usage')
    expect(items.map((item) => item.type)).toContain('task.custom')
    // What was written is still there, as data.
    expect(JSON.stringify(result)).toBe(poison)
    expect(JSON.stringify(record.metadata)).toBe(poison)
    expectClean()
  })

  test('poisoned keys in options are refused at the call', async () => {
    const { tasks, ann, work } = setupWork()
    const bad = poisoned()
    await expect(ann.run(work.tool, undefined, bad)).rejects.toThrow(TypeError)
    await expect(ann.spawn(work.tool, undefined, bad)).rejects.toThrow(TypeError)
    await expect(ann.spawn(work.tool, undefined, { correlation: bad })).rejects.toThrow(TypeError)
    await expect(ann.list(bad)).rejects.toThrow(TypeError)
    await expect(ann.cancelAll(bad)).rejects.toThrow(TypeError)
    await expect(ann.wait('task-1', bad)).rejects.toThrow(TypeError)
    expect(() => ann.events(bad)).toThrow(TypeError)
    expect(() => tasks.session(bad as unknown as { owner: string })).toThrow(TypeError)
    expect(() => createTaskSupervisor(bad)).toThrow(TypeError)
    expect(() => createTaskSupervisor({ limits: bad })).toThrow(TypeError)
    expect(() => createTaskSupervisor({ retention: bad })).toThrow(TypeError)
    expect(work.calls).toHaveLength(0)
    expectClean()
  })

  test('a tool or an owner that is called like a member of every object is one like any other', async () => {
    const { tasks } = setup()
    for (const name of ['__proto__', 'constructor', 'toString', 'valueOf']) {
      const session = tasks.session({ owner: name, conversation: name })
      const task = await session.spawn({ name, run: () => name }, undefined, {
        metadata: { [name]: name },
        correlation: { runId: name },
      })
      expect(await task.result()).toBe(name)
      expect((await session.list({ tool: name, conversation: name, correlation: { runId: name } })).tasks).toHaveLength(
        1,
      )
      expect(await session.stats()).toEqual({ byStatus: { completed: 1 }, live: 0 })
      expect(await session.cancelAll({ runId: name })).toEqual({ count: 0, tasks: [] })
    }
    expectClean()
  })
})

describe('the other doors', () => {
  test('the operator sees the tasks of all owners and starts none', async () => {
    const { tasks, advance, ids } = await createWorld()
    const { operator } = tasks
    expect(verbsOf(operator)).toEqual([
      'audit',
      'cancel',
      'deadDeliveries',
      'events',
      'events$',
      'get',
      'health',
      'list',
      'live$',
      'reconcile',
      'stats',
    ])
    for (const taskId of [ids.finished, ids.running, ids.ephemeral, ids.bobFinished, ids.bobRunning]) {
      expect(await operator.get(taskId)).toMatchObject({ taskId })
    }
    const { tasks: all } = await operator.list()
    expect(new Set(all.map(({ owner }) => owner))).toEqual(new Set(['ann', 'bob']))
    expect((await operator.list({ owner: 'ann' })).tasks.map(({ taskId }) => taskId)).toEqual([
      ids.finished,
      ids.running,
    ])
    for (const unknown of [ids.evicted, 'task-99', '', null, 5, {}]) {
      expect(await operator.get(unknown as string)).toBeUndefined()
      expect(await outcomeOf(() => operator.cancel(unknown as string))).toEqual(NOT_FOUND)
      expect(fingerprint(await collect(operator.events({ taskId: unknown as string })).ended)).toEqual(
        fingerprint(new TaskNotFoundError()),
      )
    }
    const cancelling = operator.cancel(ids.running)
    await advance(5_000)
    expect(await cancelling).toMatchObject({ count: 1 })
    expect(await operator.get(ids.running)).toMatchObject({ status: 'cancelled', cause: { actor: 'operator' } })
  })

  test("the supervisor's own verbs belong to one owner, like those of any session", async () => {
    const { tasks, ann, work } = setupWork()
    const task = await tasks.spawn(work.tool, undefined)
    expect(await task.record()).toMatchObject({ owner: 'local' })
    expect(await outcomeOf(() => ann.cancel(task.taskId))).toEqual(NOT_FOUND)
    const ofAnn = await ann.spawn(work.tool, undefined)
    expect(await outcomeOf(() => tasks.cancel(ofAnn.taskId))).toEqual(NOT_FOUND)
    expect((await tasks.list()).tasks).toHaveLength(1)
  })

  test.each([
    { given: 'a channel', options: { channels: { board: callbackChannel(() => undefined) } } },
    { given: 'a store that keeps', options: { store: { ...memoryStore(), durability: 'process' as const } } },
  ])("with $given every verb of the supervisor's own refuses: an owner is needed", async ({ options }) => {
    const { tasks, ann } = setup(options)
    const refusal = { code: 'not_allowed', name: 'TaskError' }
    const verbs = verbsOf(ann)
    expect(verbs).toContain('spawn')
    for (const verb of verbs) {
      const ask = async (): Promise<unknown> => {
        const member: unknown = Reflect.get(tasks, verb)
        if (typeof member !== 'function') return member
        return Reflect.apply(member, tasks, [() => 1, undefined]) as unknown
      }
      await expect(ask(), verb).rejects.toMatchObject(refusal)
    }
    expect(await tasks.operator.stats()).toMatchObject({ live: 0, byStatus: {} })
    // What belongs to the host stays open.
    await tasks.start()
    expect(await tasks.session({ owner: 'ann' }).run(() => 1, undefined)).toMatchObject({ value: 1 })
  })
})

function setupWork() {
  return { ...setup(), work: controllableTool('work', { honoursSignal: true }) }
}

/** A cursor with each of its characters changed in turn, with one left out, and with more than there was. */
function alterationsOf(cursor: string): string[] {
  const places = Array.from(cursor, (_character, index) => index)
  const other = (character: string): string => (character === '1' ? '2' : '1')
  return [
    ...places.map((at) => cursor.slice(0, at) + other(cursor.charAt(at)) + cursor.slice(at + 1)),
    ...places.map((at) => cursor.slice(0, at) + cursor.slice(at + 1)),
    ...['.', '.1', ' ', '\u0000', 'x', `.${cursor}`].map((more) => cursor + more),
    `.${cursor}`,
    ` ${cursor}`,
    cursor.toUpperCase(),
  ].filter((altered) => altered !== cursor)
}
