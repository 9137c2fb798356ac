import { defineTool, type TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test, vi } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { collect, watch } from '../../support/setup.ts'

/** A tool that may run again, and what its attempts get to see. */
function rerunnable(name = 'again') {
  return controllableTool<undefined, string>(name, { policy: { recovery: 'rerun' }, honoursSignal: true })
}

test('a short outage changes nothing: the lease is kept, and so is every task', async () => {
  const { start, advance, settle } = setupNodes()
  const work = rerunnable()
  const a = await start({ tools: [work.tool] })
  const b = await start({ tools: [work.tool] })
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.cut()
  await advance(LEASE_MS / 2)
  a.mend()
  await advance(5 * LEASE_MS)
  work.call(0).resolve('kept')
  await settle()
  expect(await b.ann.result(taskId)).toBe('kept')
  expect(work.calls).toHaveLength(1)
  const { counters } = await a.tasks.operator.stats()
  expect(counters).toMatchObject({ fencedTimes: 0, lostLeases: 0 })
})

test('without a renewal at two thirds of its lease a node stops what may run again elsewhere, and nothing else', async () => {
  const { start, advance, settle } = setupNodes()
  const again = rerunnable()
  const once = controllableTool<undefined, string>('once', { honoursSignal: true })
  const a = await start({ tools: [again.tool] })
  const mayRunAgain = await a.ann.spawn(again.tool, undefined)
  const stays = await a.ann.spawn(once.tool, undefined)
  await settle()
  a.cut()
  await advance((LEASE_MS * 2) / 3 + 10)
  expect(again.call(0).ctx.signal.aborted).toBe(true)
  expect(again.call(0).ctx.signal.reason).toMatchObject({ code: 'task_stopped', stopCause: { reason: 'interrupted' } })
  expect(once.call(0).ctx.signal.aborted).toBe(false)
  a.mend()
  await advance(3 * LEASE_MS)
  // The lease was still its own: it takes up again what it has let go.
  once.call(0).resolve('went on')
  again.call(1).resolve('ran again')
  await settle()
  expect(await a.ann.result(stays.taskId)).toBe('went on')
  expect(await a.ann.result(mayRunAgain.taskId)).toBe('ran again')
  expect(again.calls.map(({ ctx }: { ctx: TaskContext }) => ctx.attempt)).toEqual([1, 2])
  expect((await a.tasks.operator.stats()).counters).toMatchObject({ fencedTimes: 1, lostLeases: 0 })
})

test('what a node has let go of runs again however long its code takes to end', async () => {
  const { start, advance, settle } = setupNodes()
  const deaf = controllableTool<undefined, string>('deaf', { policy: { recovery: 'rerun' } })
  const a = await start({ tools: [deaf.tool], graceMs: 4 * LEASE_MS })
  const { taskId } = await a.ann.spawn(deaf.tool, undefined)
  await settle()
  a.cut()
  await advance((LEASE_MS * 2) / 3 + 10)
  a.mend()
  await advance(2 * LEASE_MS)
  // Its grace goes on: the store still gives the task to the node that runs its code.
  expect(deaf.calls).toHaveLength(1)
  await advance(4 * LEASE_MS)
  expect(deaf.calls).toHaveLength(2)
  deaf.call(1).resolve('ran again')
  await settle()
  expect(await a.ann.result(taskId)).toBe('ran again')
})

test('a store that fails while a node takes up what it has let go is asked again', async () => {
  const { start, advance, settle, store } = setupNodes()
  const again = rerunnable()
  const a = await start({ tools: [again.tool] })
  await a.ann.spawn(again.tool, undefined)
  await settle()
  const list = vi.spyOn(store, 'list').mockRejectedValueOnce(new Error('the store fails once'))
  a.cut()
  await advance((LEASE_MS * 2) / 3 + 10)
  a.mend()
  await advance(3 * LEASE_MS)
  expect(list).toHaveBeenCalled()
  expect(again.calls).toHaveLength(2)
})

test('a node that wakes up after its lease is lost writes nothing, stops all it ran, and joins anew', async () => {
  const { start, advance, settle } = setupNodes()
  const again = rerunnable()
  const once = controllableTool<undefined, string>('once', { honoursSignal: true })
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool] })
  const moved = await a.ann.spawn(again.tool, undefined)
  const closed = await a.ann.spawn(once.tool, undefined)
  await settle()
  const waiting = watch(a.ann.result(moved.taskId))
  a.cut()
  await advance(2 * LEASE_MS)
  expect((await b.ann.get(closed.taskId))?.status).toBe('failed')
  expect(again.calls).toHaveLength(2)
  // Its outcome comes too late.
  once.call(0).resolve('too late')
  await settle()
  a.mend()
  await advance(LEASE_MS)
  expect((await a.ann.get(closed.taskId))?.failure?.code).toBe('interrupted')
  again.call(1).resolve('elsewhere')
  await advance(LEASE_MS)
  expect(waiting.value).toBe('elsewhere')
  expect((await a.tasks.operator.stats()).counters).toMatchObject({ lostLeases: 1 })
  // It is a node like any other again.
  const next = await a.ann.spawn(once.tool, undefined)
  await settle()
  once.call(1).resolve('fresh')
  await settle()
  expect(await b.ann.result(next.taskId)).toBe('fresh')
  const { items } = collect(b.ann.events())
  await settle()
  expect(verifyLog(items)).toEqual([])
})

test('after an outage of the store the nodes get a whole lease to say that they live', async () => {
  const { start, advance, settle } = setupNodes()
  const work = controllableTool<undefined, string>('work')
  const a = await start()
  const b = await start()
  const { taskId } = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.cut()
  b.cut()
  await advance(10 * LEASE_MS)
  b.mend()
  await advance(LEASE_MS / 2)
  a.mend()
  await advance(3 * LEASE_MS)
  work.call(0).resolve('survived')
  await advance(1_000)
  expect(await b.ann.result(taskId)).toBe('survived')
})

test('callers whose task moves get a ticket, and its holders of keys stop', async () => {
  const { start, advance, settle } = setupNodes()
  const again = rerunnable()
  const keyed = controllableTool<undefined, string>('keyed', {
    honoursSignal: true,
    policy: { concurrencyKey: 'room' },
  })
  const a = await start({ tools: [again.tool] })
  const inline = watch(a.ann.run(again.tool, undefined, { durable: true, inlineMs: 100_000 }))
  const holder = await a.ann.spawn(keyed.tool, undefined)
  await settle()
  a.cut()
  await advance(LEASE_MS)
  expect(inline.value?.kind).toBe('background')
  expect(keyed.call(0).ctx.signal.aborted).toBe(true)
  a.mend()
  await advance(2 * LEASE_MS)
  expect((await a.ann.get(holder.taskId))?.failure?.code).toBe('interrupted')
})

test('names, keys and dedupe keys of a dead process are free again, or go on with their task', async () => {
  const { start, advance, settle } = setupNodes()
  const again = controllableTool<undefined, string>('again', {
    policy: { recovery: 'rerun', concurrencyKey: 'room', dedupeKey: 'order-1' },
  })
  const once = controllableTool<undefined, string>('once', { policy: { concurrencyKey: 'desk' } })
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool] })
  const goesOn = await a.ann.spawn(again.tool, undefined, { name: 'one' })
  await a.ann.spawn(once.tool, undefined, { name: 'two' })
  await settle()
  a.kill()
  await expect(b.ann.spawn(once.tool, undefined, { name: 'two' })).rejects.toMatchObject({ code: 'name_taken' })
  await advance(2 * LEASE_MS)
  const next = await b.ann.spawn(once.tool, undefined, { name: 'two' })
  await settle()
  expect((await b.ann.get(next.taskId))?.status).toBe('running')
  const other = controllableTool('other')
  await expect(b.ann.spawn(other.tool, undefined, { name: 'one' })).rejects.toMatchObject({ code: 'name_taken' })
  const twin = await b.ann.spawn(again.tool, undefined)
  expect(twin.taskId).toBe(goesOn.taskId)
  again.call(1).resolve('done')
  await settle()
  expect(await b.ann.result(goesOn.taskId)).toBe('done')
})

test('deadlines are moments: what is left of the running time is what it was', async () => {
  const { start, advance } = setupNodes()
  const slow = controllableTool<undefined, string>('slow', {
    policy: { recovery: 'rerun', timeoutMs: 10 * LEASE_MS },
    honoursSignal: true,
  })
  const a = await start({ tools: [slow.tool] })
  const { taskId } = await a.ann.spawn(slow.tool, undefined)
  await advance(4 * LEASE_MS)
  const b = await start({ tools: [slow.tool] })
  a.kill()
  await advance(3 * LEASE_MS)
  expect((await b.ann.get(taskId))?.attempt).toBe(2)
  await advance(3 * LEASE_MS + 1_000)
  expect(await b.ann.get(taskId)).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
})

test('a task whose deadline has passed meanwhile is not run again', async () => {
  const { start, advance, settle } = setupNodes()
  const slow = controllableTool<undefined, string>('slow', { policy: { recovery: 'rerun', timeoutMs: LEASE_MS } })
  const a = await start({ tools: [slow.tool] })
  const { taskId } = await a.ann.spawn(slow.tool, undefined)
  await settle()
  a.kill()
  const b = await start({ tools: [slow.tool] })
  await advance(3 * LEASE_MS)
  expect(await b.ann.get(taskId)).toMatchObject({ status: 'failed', failure: { code: 'timeout' } })
  expect(slow.calls).toHaveLength(1)
})

test('a retry that was due is made at its moment, by whoever is there', async () => {
  const { start, advance, settle, clock } = setupNodes()
  const startedAt: number[] = []
  const flaky = defineTool({
    name: 'flaky',
    policy: {
      recovery: 'rerun',
      retry: { maxAttempts: 3, baseMs: 20 * LEASE_MS, maxMs: 20 * LEASE_MS, jitter: 'none' },
    },
    run: async (_input: undefined, ctx) => {
      startedAt.push(clock.now())
      if (ctx.attempt === 1) throw new Error('flaky')
      return 'second time'
    },
  })
  const a = await start({ tools: [flaky] })
  const { taskId } = await a.ann.spawn(flaky, undefined)
  await settle()
  a.kill()
  const b = await start({ tools: [flaky] })
  await advance(10 * LEASE_MS)
  expect(startedAt).toHaveLength(1)
  await advance(10 * LEASE_MS)
  expect(await b.ann.result(taskId)).toBe('second time')
  expect((startedAt[1] ?? 0) - (startedAt[0] ?? 0)).toBe(20 * LEASE_MS)
  expect((await b.tasks.operator.stats()).counters.rerunOrphans).toBe(0)
})

test('a question is the same one when it is asked again, with its moment', async () => {
  const { start, advance, settle } = setupNodes()
  const asks = defineTool({
    name: 'asks',
    policy: { recovery: 'rerun' },
    run: async (_input: undefined, ctx) => ctx.ask('go', 'May I?', { answerWithinMs: 20 * LEASE_MS, default: 'no' }),
  })
  const a = await start({ tools: [asks] })
  const { taskId } = await a.ann.spawn(asks, undefined)
  await settle()
  const [asked] = (await a.ann.get(taskId))?.questions ?? []
  a.kill()
  const b = await start({ tools: [asks] })
  await advance(3 * LEASE_MS)
  expect((await b.ann.get(taskId))?.questions).toEqual([asked])
  await advance(17 * LEASE_MS + 100)
  expect(await b.ann.result(taskId)).toBe('no')
  const { items } = collect(b.ann.events({ taskId }))
  await settle()
  expect(verifyLog(items)).toEqual([])
})

test('a queued task of a dead process has its turn elsewhere; its code has run once', async () => {
  const { start, advance, settle } = setupNodes()
  const work = rerunnable()
  const a = await start({ tools: [work.tool], limits: { maxRunning: 1 } })
  await a.ann.spawn(controllableTool('holder').tool, undefined)
  const queued = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.kill()
  const b = await start({ tools: [work.tool], limits: { maxRunning: 1 } })
  await advance(2 * LEASE_MS)
  expect(work.calls).toHaveLength(1)
  work.call(0).resolve('had its turn')
  await settle()
  expect(await b.ann.get(queued.taskId)).toMatchObject({ status: 'completed', attempt: 1, epoch: 2 })
})

test('what was being cancelled when its process died is cancelled, and does not run again', async () => {
  const { start, advance, settle } = setupNodes()
  const deaf = controllableTool<undefined, string>('deaf', { policy: { recovery: 'rerun' } })
  const a = await start({ tools: [deaf.tool], graceMs: 60_000 })
  const { taskId } = await a.ann.spawn(deaf.tool, undefined)
  await settle()
  void a.ann.cancel(taskId)
  await settle()
  a.kill()
  const b = await start({ tools: [deaf.tool] })
  await advance(3 * LEASE_MS)
  expect(await b.ann.get(taskId)).toMatchObject({ status: 'cancelled', cause: { reason: 'user' } })
  expect(deaf.calls).toHaveLength(1)
})

test('a task whose tool nobody knows waits for somebody who does, and not for ever', async () => {
  const { start, advance, settle } = setupNodes()
  const work = rerunnable()
  const a = await start({ tools: [work.tool] })
  const first = await a.ann.spawn(work.tool, undefined)
  await settle()
  a.kill()
  const stranger = await start()
  await advance(30_000)
  expect((await stranger.ann.get(first.taskId))?.status).toBe('running')
  const b = await start({ tools: [work.tool] })
  await advance(2 * LEASE_MS)
  expect(work.calls).toHaveLength(2)
  b.kill()
  await advance(90_000)
  expect(await stranger.ann.get(first.taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' } })
})
