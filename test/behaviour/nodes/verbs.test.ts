import { createTaskSupervisor, defineTool, isTaskError, type TaskEvent } from 'outlive'
import { controllableTool, faultyStore, verifyLog } from 'outlive/testing'
import { describe, expect, inject, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { collect, watch } from '../../support/setup.ts'

const RECONCILE_MS = 2_000

// Each verb, from a process that does not run the task: with hints, and without them within the time of a look.
describe.each([
  { wakes: true, withinMs: 100 },
  { wakes: false, withinMs: 2 * RECONCILE_MS },
])('from another process, with hints: $wakes', ({ wakes, withinMs }) => {
  async function setupPair() {
    const nodes = setupNodes({ wakes })
    const [a, b] = [await nodes.start(), await nodes.start()]
    /** What a promise came to in the time that it may take. */
    const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
      const seen = watch(promise)
      await nodes.advance(withinMs)
      expect(seen.state).not.toBe('pending')
      return promise
    }
    return { ...nodes, a, b, soon }
  }

  test('get and list see it, and hasRunning counts it', async () => {
    const { a, b } = await setupPair()
    const handle = await a.ann.spawn(() => new Promise<never>(() => undefined))
    expect((await b.ann.get(handle.taskId))?.taskId).toBe(handle.taskId)
    expect((await b.ann.list()).tasks).toHaveLength(1)
    expect(await b.ann.hasRunning()).toBe(true)
    expect(await b.bob.get(handle.taskId)).toBeUndefined()
  })

  test('wait, result and attach end with it', async () => {
    const { a, b, settle, soon } = await setupPair()
    const work = controllableTool<undefined, string>('work')
    const { taskId } = await a.ann.spawn(work.tool, undefined)
    const waits = [b.ann.wait(taskId), b.ann.result(taskId), b.ann.attach(taskId), b.ann.waitAll([taskId])] as const
    await settle()
    work.call(0).resolve('found')
    const [record, value, outcome, all] = await soon(Promise.all(waits))
    expect(record.status).toBe('completed')
    expect(value).toBe('found')
    expect(outcome).toEqual({ kind: 'inline', value: 'found', persisted: false, taskId })
    expect(all).toHaveLength(1)
  })

  test('an attach that gives up has a ticket', async () => {
    const { a, b, soon, advance } = await setupPair()
    const { taskId } = await a.ann.spawn(() => new Promise<never>(() => undefined))
    const attached = b.ann.attach(taskId, { waitMs: 50 })
    attached.catch(() => undefined)
    await advance(60)
    expect(await soon(attached)).toMatchObject({ kind: 'background', ticket: { taskId } })
  })

  test('an attach whose signal aborts rejects with its reason, and the task goes on', async () => {
    const { a, b, soon, settle } = await setupPair()
    const { taskId } = await a.ann.spawn(() => new Promise<never>(() => undefined))
    const leaving = new AbortController()
    const attached = b.ann.attach(taskId, { signal: leaving.signal })
    attached.catch(() => undefined)
    await settle()
    leaving.abort(new Error('gone'))
    await expect(soon(attached)).rejects.toThrow('gone')
    expect((await b.ann.get(taskId))?.status).toBe('running')
  })

  test('cancel stops it and everything below, and says how each ended', async () => {
    const { a, b, settle, soon } = await setupPair()
    const child = controllableTool('child', { honoursSignal: true })
    const parent = defineTool({
      name: 'parent',
      run: async (_: undefined, ctx) => (await ctx.spawn(child.tool, undefined)).result(),
    })
    const { taskId } = await a.ann.spawn(parent, undefined)
    await settle()
    const report = await soon(b.ann.cancel(taskId, { note: 'enough' }))
    expect(report.count).toBe(2)
    expect(report.tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled'])
    expect((await a.ann.get(taskId))?.cause).toMatchObject({ reason: 'user', actor: 'ann', note: 'enough' })
    expect(await b.ann.cancel(taskId)).toEqual({ count: 0, tasks: [{ taskId, status: 'cancelled' }] })
  })

  test('cancel of what is queued means that it never starts', async () => {
    const nodes = setupNodes({ wakes })
    const a = await nodes.start({ limits: { maxRunning: 1 } })
    const b = await nodes.start()
    const work = controllableTool('work', { honoursSignal: true })
    await a.ann.spawn(work.tool, undefined)
    const queued = await a.ann.spawn(work.tool, undefined)
    await nodes.settle()
    const cancelled = watch(b.ann.cancel(queued.taskId))
    await nodes.advance(withinMs)
    expect(cancelled.value?.tasks[0]?.status).toBe('cancelled')
    expect(work.calls).toHaveLength(1)
  })

  test('cancelAll reaches what runs here and there', async () => {
    const { a, b, settle, soon } = await setupPair()
    const work = controllableTool('work', { honoursSignal: true })
    for (const node of [a, a, b]) await node.ann.spawn(work.tool, undefined)
    const foreign = await a.bob.spawn(work.tool, undefined)
    await settle()
    const report = await soon(b.ann.cancelAll())
    expect(report.count).toBe(3)
    expect((await a.bob.get(foreign.taskId))?.status).toBe('running')
    expect(await b.ann.hasRunning()).toBe(false)
  })

  test('cancelAll stops all that is elsewhere in one step: nothing queued starts, and nothing more under a cancelled run', async () => {
    const nodes = setupNodes({ wakes })
    const a = await nodes.start({ limits: { maxRunning: 2 } })
    const b = await nodes.start()
    const work = controllableTool('work', { honoursSignal: true })
    const correlation = { runId: 'run' }
    for (let n = 0; n < 6; n += 1) await a.ann.spawn(work.tool, undefined, { correlation })
    await nodes.settle()
    const cancelled = watch(b.ann.cancelAll({ runId: 'run' }))
    await nodes.advance(withinMs)
    expect(cancelled.value).toMatchObject({ count: 6 })
    expect(cancelled.value?.tasks.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'cancelled'))
    expect(work.calls).toHaveLength(2)
    await expect(a.ann.spawn(work.tool, undefined, { correlation })).rejects.toMatchObject({ code: 'parent_stopping' })
  })

  test('send, answer, background and redirect do what they do there', async () => {
    const nodes = setupNodes({ wakes })
    const sent: string[] = []
    const channels = {
      log: { send: async ({ target }: { target: { id?: string } }) => void sent.push(target.id ?? '') },
    }
    const a = await nodes.start({ channels })
    const b = await nodes.start({ channels })
    const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
      promise.catch(() => undefined)
      await nodes.advance(withinMs)
      return promise
    }
    const steered = defineTool({
      name: 'steered',
      run: async (_: undefined, ctx) => {
        const message = await ctx.inbox.receive()
        return [message.payload, await ctx.ask('go', 'May I?')]
      },
    })
    const running = watch(a.ann.run(steered, undefined, { durable: true }))
    await nodes.settle()
    const [record] = (await b.ann.list()).tasks
    const taskId = record?.taskId ?? ''
    expect(await soon(b.ann.background(taskId))).toMatchObject({ taskId, status: 'running' })
    await nodes.settle()
    expect(running.value?.kind).toBe('background')
    expect((await soon(b.ann.send(taskId, { also: 'prices' }))).messageId).toEqual(expect.any(String))
    await soon(b.ann.redirect(taskId, 'log:there'))
    expect((await b.ann.get(taskId))?.targets).toEqual(['log:there'])
    expect((await b.ann.get(taskId))?.status).toBe('waiting')
    await soon(b.ann.answer(taskId, 'go', 'yes'))
    expect(await soon(b.ann.result(taskId))).toEqual([{ also: 'prices' }, 'yes'])
    await nodes.settle()
    expect(sent).toEqual(['there'])
  })

  test('a refusal from there is the refusal here', async () => {
    const { a, b, settle, soon } = await setupPair()
    const work = controllableTool('work', { honoursSignal: true })
    const { taskId } = await a.ann.spawn(work.tool, undefined)
    await settle()
    const answered = b.ann.answer(taskId, 'nothing', 1)
    answered.catch(() => undefined)
    const error: unknown = await soon(answered.catch((thrown: unknown) => thrown))
    expect(isTaskError(error, 'question_closed') && error.taskId).toBe(taskId)
    const unknown: unknown = await b.bob.cancel(taskId).catch((thrown: unknown) => thrown)
    expect(isTaskError(unknown, 'task_not_found')).toBe(true)
  })

  test('the events come in order, from a cursor, to the end', async () => {
    const { a, b, settle, advance } = await setupPair()
    const work = controllableTool<undefined, string>('work')
    const { taskId } = await a.ann.spawn(work.tool, undefined)
    const whole = collect(b.ann.events({ taskId }))
    const all = collect(b.ann.events())
    const everything = collect(b.tasks.operator.events())
    await advance(withinMs)
    work.call(0).ctx.output('one')
    work.call(0).ctx.output('two')
    await settle()
    await advance(withinMs)
    const seen = whole.items.filter((item): item is TaskEvent => 'taskId' in item)
    const resumed = collect(b.ann.events({ taskId, after: seen[1]?.cursor ?? '' }))
    work.call(0).resolve('done')
    await advance(withinMs)
    const types = ['task.queued', 'task.started', 'task.output', 'task.output', 'task.completed']
    for (const { items } of [whole, all, everything]) expect(items.map(({ type }) => type)).toEqual(types)
    expect(resumed.items.map(({ type }) => type)).toEqual(types.slice(2))
    await Promise.all([whole.ended, resumed.ended])
    expect(verifyLog(all.items)).toEqual([])
  })
})

test('an order to a task whose process dies is answered by whoever takes the task over', async () => {
  const { start, settle, advance } = setupNodes()
  const work = controllableTool('work', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const a = await start({ tools: [work.tool] })
  const b = await start()
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.kill()
  const cancelled = watch(b.ann.cancel(taskId))
  await advance(LEASE_MS / 2)
  expect(cancelled.state).toBe('pending')
  const c = await start({ tools: [work.tool] })
  await advance(4 * LEASE_MS)
  expect(cancelled.value?.tasks).toEqual([{ taskId, status: 'cancelled' }])
  expect((await c.ann.get(taskId))?.status).toBe('cancelled')
})

test('a task that ends before an order to it is read answers as one that has ended', async () => {
  const { start, advance } = setupNodes({ wakes: false })
  const [a, b] = [await start(), await start()]
  const work = controllableTool<undefined, string>('work')
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  const cancelling = watch(b.ann.cancel(taskId))
  const sending = watch(b.ann.send(taskId, 'too late'))
  await advance(1)
  work.call(0).resolve('done')
  await advance(4 * RECONCILE_MS)
  expect(cancelling.value).toEqual({ count: 0, tasks: [{ taskId, status: 'completed' }] })
  expect(sending.error).toMatchObject({ code: 'task_final', taskId })
})

test('an order to a task that nobody runs any more says so in the end', async () => {
  const { start, settle, advance } = setupNodes()
  const work = controllableTool('work', { policy: { recovery: 'rerun' } })
  const a = await start({ tools: [work.tool] })
  const b = await start()
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.kill()
  const sent = watch(b.ann.send(taskId, 'hello'))
  await advance(70_000)
  expect(sent.state).toBe('rejected')
  expect(isTaskError(sent.error, 'task_unreachable') || isTaskError(sent.error, 'task_final')).toBe(true)
})

test('a call that replaces the holder of its key stops it in the process that runs it', async () => {
  const { start, settle, advance } = setupNodes()
  const policy = { concurrencyKey: 'room', onBusy: 'replace' } as const
  const work = controllableTool<undefined, string>('work', { policy, honoursSignal: true })
  const [a, b] = [await start(), await start()]
  const before = await a.ann.spawn(work.tool, undefined)
  await settle()
  const after = await b.ann.spawn(work.tool, undefined)
  await advance(200)
  expect((await a.ann.get(before.taskId))?.cause).toEqual({ reason: 'superseded', actor: after.taskId })
  expect((await b.ann.get(after.taskId))?.status).toBe('running')
  // The key of another owner is another key.
  const foreign = await b.bob.spawn(work.tool, undefined)
  await settle()
  expect((await a.bob.get(foreign.taskId))?.status).toBe('running')
})

test('a wait and a stream outlive reads that fail, and go on from where they stood', async () => {
  const nodes = setupNodes()
  const a = await nodes.start()
  let isDown = false
  const reader = createTaskSupervisor({
    // It hears that there is something new, and cannot read it.
    store: faultyStore(nodes.store, ({ method }) =>
      isDown && /^read(Feed|Events)?$/.test(method) ? 'failBefore' : undefined,
    ),
    clock: nodes.clock,
    leaseMs: LEASE_MS,
    memoise: inject('memoise'),
  })
  const opening = reader.start()
  await nodes.settle()
  await opening
  const ann = reader.session({ owner: 'ann' })
  const work = controllableTool<undefined, string>('work')
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  const streams = [ann.events(), ann.events({ taskId }), reader.operator.events()].map(collect)
  const waiting = watch(ann.result(taskId))
  await nodes.advance(1_000)
  isDown = true
  work.call(0).ctx.emit('said')
  await nodes.advance(10_000)
  isDown = false
  work.call(0).resolve('found')
  await nodes.advance(2 * RECONCILE_MS)
  expect([waiting.state, waiting.value]).toEqual(['resolved', 'found'])
  for (const { items } of streams) {
    expect(items.map(({ type }) => type)).toEqual([
      'task.queued',
      'task.started',
      'stream.paused',
      'task.custom',
      'task.completed',
    ])
  }
  const closing = reader.shutdown({ graceMs: 1 })
  await nodes.advance(60_000)
  await closing
})

test('those who ask for a task whose end is not kept yet do not keep each other asking', async () => {
  const nodes = setupNodes()
  let isStuck = false
  let orders = 0
  const a = await nodes.start({
    wrap: (inner) => faultyStore(inner, ({ method }) => (isStuck && method === 'commit' ? 'hang' : undefined)),
  })
  const b = await nodes.start({
    wrap: (inner) =>
      faultyStore(inner, ({ method }) => {
        if (method === 'sendOrder') orders += 1
        // What never comes to rest is made to.
        return orders > 1_000 ? 'hang' : undefined
      }),
  })
  const work = controllableTool<undefined, string>('work')
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await nodes.settle()
  isStuck = true
  work.call(0).resolve('found')
  await nodes.settle()

  const first = watch(b.ann.send(taskId, 1))
  await nodes.settle()
  const second = watch(b.ann.send(taskId, 2))
  await nodes.settle()
  const sends = [first, second]
  expect(orders, 'one each').toBe(2)
  await nodes.advance(1_000)
  expect(orders).toBeLessThan(20)
  expect(sends.map(({ state }) => state)).toEqual(['pending', 'pending'])

  isStuck = false
  await nodes.advance(20_000)
  for (const { state, error } of sends) {
    expect(state).toBe('rejected')
    expect(isTaskError(error, 'task_final')).toBe(true)
  }
})

test('an order that the process of the task does not know is refused, not taken for done', async () => {
  const nodes = setupNodes()
  const a = await nodes.start()
  const b = await nodes.start({
    wrap(inner) {
      const { cluster } = inner
      if (cluster === undefined) throw new Error('the processes share no store')
      const newer: typeof cluster.sendOrder = (order) => {
        const { verb } = JSON.parse(order.json) as { readonly verb: string }
        return cluster.sendOrder({ ...order, json: JSON.stringify({ verb: `${verb} and more` }) })
      }
      return { ...inner, cluster: { ...cluster, sendOrder: newer } }
    },
  })
  const { taskId } = await a.ann.spawn(() => new Promise<never>(() => undefined))
  const sent = watch(b.ann.send(taskId, 'hello'))
  await nodes.advance(1_000)
  expect(isTaskError(sent.error, 'task_unreachable')).toBe(true)
  expect(String(sent.error)).toContain('without the order send and more')
  expect((await a.ann.get(taskId))?.status).toBe('running')
})
