/** Each counter moves by exactly what happened, and no other one with it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { callbackChannel, ChannelError, memoryStore, type SupervisorStats, type TaskSupervisor } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { REPOSITORY } from '../support/repository.ts'
import { LEASE_MS, setupNodes } from '../support/nodes.ts'
import { collect, setup } from '../support/setup.ts'
import { placesOf } from '../support/stream-views.ts'

type Counter = keyof SupervisorStats['counters']

interface Observed {
  /** How often it happened. */
  readonly times: number
  /** Every counter that moved meanwhile, and by how much. */
  readonly moved: Partial<Record<Counter, number>>
}

async function observe(tasks: TaskSupervisor, times: number, happen: () => Promise<void>): Promise<Observed> {
  const { counters: before } = await tasks.operator.stats()
  await happen()
  const { counters: after } = await tasks.operator.stats()
  const names = Object.keys(after) as Counter[]
  const moved = names.filter((name) => after[name] !== before[name]).map((name) => [name, after[name] - before[name]])
  return { times, moved: Object.fromEntries(moved) as Observed['moved'] }
}

const down = (): Promise<never> => Promise.reject(new Error('down'))

/** Makes happen what the counter counts. A counter without an entry here does not compile. */
const HAPPENINGS: Record<Counter, () => Promise<Observed>> = {
  async lateOutcomes() {
    const { ann, tasks, advance, settle } = setup({ graceMs: 100 })
    const deaf = controllableTool('deaf')
    await ann.spawn(deaf.tool)
    await ann.spawn(deaf.tool)
    const cancelling = ann.cancelAll()
    await advance(100)
    await cancelling
    return observe(tasks, 2, async () => {
      deaf.call(0).resolve('late')
      deaf.call(1).reject(new Error('late'))
      await settle()
    })
  },

  async unsavedReports() {
    const inner = memoryStore()
    let isDown = false
    const { ann, tasks, advance } = setup({
      store: { ...inner, commit: (commit) => (isDown ? down() : inner.commit(commit)) },
      maxUnsavedBytes: 1_000,
    })
    const work = controllableTool('work')
    await ann.spawn(work.tool)
    const other = controllableTool('other')
    await ann.spawn(other.tool)
    isDown = true
    other.call(0).resolve('x'.repeat(2_000))
    await advance(2_000)
    return observe(tasks, 2, async () => {
      work.call(0).ctx.output('nobody')
      work.call(0).ctx.emit('keeps this')
      await expect(ann.run(() => 1)).rejects.toMatchObject({ code: 'store_full', retryable: true })
      isDown = false
    })
  },

  async coalescedProgress() {
    const { ann, tasks, advance } = setup()
    const work = controllableTool('work')
    await ann.spawn(work.tool)
    return observe(tasks, 2, async () => {
      for (const done of [0, 1, 2, 3]) work.call(0).ctx.progress({ done })
      await advance(1_000)
    })
  },

  async trimmedEvents() {
    const { ann, tasks, settle } = setup({ retention: { maxProgressEvents: 2 } })
    const work = controllableTool('work')
    await ann.spawn(work.tool)
    return observe(tasks, 3, async () => {
      for (let n = 0; n < 5; n += 1) work.call(0).ctx.emit('tick', n)
      await settle()
    })
  },

  async lateReports() {
    const { ann, tasks } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    work.call(0).resolve(1)
    await task.wait()
    return observe(tasks, 4, async () => {
      const { ctx } = work.call(0)
      ctx.progress(0.5)
      ctx.emit('tick')
      ctx.output('text')
      ctx.usage({ tokens: 1 })
    })
  },

  async bouncedMessages() {
    const { ann, tasks } = setup()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    return observe(tasks, 2, async () => {
      for (const text of ['read', 'unread', 'unread too']) await task.send(text)
      await work.call(0).ctx.inbox.receive()
      work.call(0).resolve(1)
      await task.wait()
    })
  },

  async droppedMessages() {
    const { ann, tasks, settle } = setup({ inbox: { maxMessages: 1 } })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    const { ctx } = work.call(0)
    await ctx.spawn(work.tool)
    await settle()
    await task.send('fills the inbox of the parent')
    await ctx.send('owner', 'fills that of the owner')
    return observe(tasks, 2, async () => {
      for (const key of ['one', 'two']) void work.call(1).ctx.ask(key, '?', { to: 'parent' })
      await settle()
    })
  },

  async cutConsumers() {
    const { ann, tasks, settle } = setup({ maxBufferedEvents: 2 })
    const slow = [ann.events(), tasks.operator.events()]
    await settle()
    return observe(tasks, slow.length, async () => {
      await (await ann.spawn(() => 1)).wait()
      await settle()
    })
  },

  async gaps() {
    const { ann, tasks, settle } = setup({ retention: { maxProgressEvents: 1 } })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool)
    const call = ann.run(work.tool)
    await settle()
    for (let n = 0; n < 3; n += 1) {
      work.call(0).ctx.emit('tick', n)
      await settle()
    }
    return observe(tasks, 3, async () => {
      const ofOne = collect(task.events())
      const ofOwner = collect(ann.events())
      const ofInline = collect(ann.events({ taskId: work.call(1).ctx.taskId }))
      await settle()
      for (const { resolve } of work.calls) resolve(1)
      await call
      await settle()
      const gapsOf = ({ items }: typeof ofOne): string[] => placesOf(items).filter((place) => place.startsWith('gap'))
      expect([ofOne, ofOwner, ofInline].map(gapsOf)).toEqual([['gap 3-4'], ['gap 3-4'], ['gap 1-2']])
    })
  },

  async evictedTasks() {
    const { ann, tasks, prune } = setup({ retention: { maxFinished: 1 } })
    return observe(tasks, 2, async () => {
      for (let n = 0; n < 3; n += 1) await (await ann.spawn(() => n)).wait()
      await prune()
    })
  },

  async abandonedTasks() {
    const { ann, tasks, advance } = setup({ graceMs: 100 })
    const deaf = controllableTool('deaf')
    await ann.spawn(deaf.tool)
    await ann.spawn(deaf.tool)
    return observe(tasks, 2, async () => {
      const cancelling = ann.cancelAll()
      await advance(100)
      await cancelling
    })
  },

  async abandonedAttempts() {
    const { ann, tasks, advance, settle } = setup({ graceMs: 100 })
    const deaf = controllableTool('deaf')
    const retry = { maxAttempts: 3, baseMs: 1, jitter: 'none' } as const
    const task = await ann.spawn(deaf.tool, undefined, { retry, attemptTimeoutMs: 50 })
    return observe(tasks, 2, async () => {
      await advance(160)
      await advance(160)
      deaf.call(2).resolve('at last')
      await settle()
      expect(await task.result()).toBe('at last')
    })
  },

  async droppedRetries() {
    const { ann, tasks, settle } = setup()
    const failing = (): never => {
      throw new Error('not yet')
    }
    const retry = { baseMs: 60_000, jitter: 'none' } as const
    await ann.spawn(failing, undefined, { retry })
    await ann.spawn(failing, undefined, { retry })
    await settle()
    return observe(tasks, 2, async () => {
      await tasks.shutdown()
    })
  },

  async refusedCommits() {
    const inner = memoryStore()
    let isLost = false
    const { ann, tasks, settle } = setup({
      store: { ...inner, commit: (commit) => (isLost ? { kind: 'stale' } : inner.commit(commit)) },
    })
    const work = controllableTool('work')
    await ann.spawn(work.tool, undefined, { name: 'taken' })
    return observe(tasks, 2, async () => {
      await expect(ann.spawn(work.tool, undefined, { name: 'taken' })).rejects.toMatchObject({ code: 'name_taken' })
      isLost = true
      work.call(0).resolve(1)
      await settle()
    })
  },

  async fencedTimes() {
    const { start, advance } = setupNodes()
    const { tasks, cut, mend } = await start()
    return observe(tasks, 2, async () => {
      for (let outage = 1; outage <= 2; outage += 1) {
        cut()
        await advance(LEASE_MS - 100)
        mend()
        await advance(LEASE_MS)
      }
    })
  },

  async lostLeases() {
    const { start, advance, store } = setupNodes()
    const { tasks } = await start()
    return observe(tasks, 2, async () => {
      for (let death = 1; death <= 2; death += 1) {
        await store.cluster?.sweep({ now: Number.MAX_SAFE_INTEGER })
        await advance(LEASE_MS)
      }
    })
  },

  async closedOrphans() {
    const { start, advance, settle } = setupNodes()
    const [lost, found] = [await start(), await start()]
    for (let count = 1; count <= 2; count += 1) await lost.ann.spawn(() => new Promise(() => undefined))
    await settle()
    lost.kill()
    return observe(found.tasks, 2, () => advance(3 * LEASE_MS))
  },

  async rerunOrphans() {
    const { start, advance, settle } = setupNodes()
    const { tool } = controllableTool('again', { policy: { recovery: 'rerun' } })
    const [lost, found] = [await start({ tools: [tool] }), await start({ tools: [tool] })]
    for (let count = 1; count <= 2; count += 1) await lost.ann.spawn(tool)
    await settle()
    lost.kill()
    return observe(found.tasks, 2, () => advance(3 * LEASE_MS))
  },

  async handedBackTasks() {
    const { start, advance, settle } = setupNodes()
    const { tool } = controllableTool('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
    const { ann, tasks } = await start({ tools: [tool] })
    for (let count = 1; count <= 2; count += 1) await ann.spawn(tool)
    await settle()
    return observe(tasks, 2, async () => {
      const closing = tasks.shutdown({ graceMs: 1 })
      await advance(20_000)
      await closing
    })
  },

  async ordersTaken() {
    const { start, advance, settle } = setupNodes()
    const [here, there] = [await start(), await start()]
    const work = controllableTool('work')
    const { taskId } = await here.ann.spawn(work.tool)
    await settle()
    return observe(here.tasks, 2, async () => {
      const sent = Promise.all([there.ann.send(taskId, 'one'), there.ann.send(taskId, 'two')])
      await advance(1_000)
      await sent
    })
  },

  async storeErrors() {
    const inner = memoryStore()
    const failures = { commit: 0, prune: 0, putDelivery: 0 }
    const mayFail = <Method extends keyof typeof failures>(name: Method) =>
      ((argument: never) => {
        if (failures[name] === 0) return inner[name](argument)
        failures[name] -= 1
        return down()
      }) as (typeof inner)[Method]
    const { ann, tasks, logged, advance } = setup({
      store: {
        ...inner,
        commit: mayFail('commit'),
        prune: mayFail('prune'),
        putDelivery: mayFail('putDelivery'),
      },
      channels: { home: callbackChannel(() => undefined) },
    })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'home' })
    return observe(tasks, 6, async () => {
      Object.assign(failures, { commit: 3, prune: 2, putDelivery: 1 })
      work.call(0).resolve(1)
      await advance(60_000)
      expect(await task.result()).toBe(1)
      expect(failures).toEqual({ commit: 0, prune: 0, putDelivery: 0 })
      expect(logged.map(({ message }) => message).toSorted()).toEqual([
        'the store could not drop finished tasks; trying again',
        'the store could not drop finished tasks; trying again',
        'the store failed; trying again',
        'what became of a delivery could not be kept; trying again',
      ])
    })
  },

  async retriedDeliveries() {
    const { ann, tasks, advance } = setup({
      channels: { broken: callbackChannel(down) },
      delivery: { baseMs: 1_000, jitter: 'none' },
    })
    return observe(tasks, 2, async () => {
      await ann.spawn(() => 1, undefined, { deliverTo: 'broken' })
      await advance(2_500)
    })
  },

  async failedDeliveries() {
    const refuse = callbackChannel(() => {
      throw new ChannelError('refused', 'not here')
    })
    const { ann, tasks, settle } = setup({
      channels: { home: callbackChannel(() => undefined), no: refuse, never: refuse },
    })
    return observe(tasks, 2, async () => {
      await ann.spawn(() => 1, undefined, { deliverTo: ['home', 'no', 'never'] })
      await settle()
    })
  },

  async projectionErrors() {
    let refusals = 2
    const { ann, tasks, advance } = setup({
      projection: {
        sync(record) {
          if (record.status !== 'completed' || refusals === 0) return
          refusals -= 1
          throw new Error('no')
        },
      },
    })
    return observe(tasks, 2, async () => {
      await ann.spawn(() => 1)
      await advance(60_000)
    })
  },

  async subscriberErrors() {
    const { ann, tasks, settle } = setup()
    ann.events$({ type: 'task.started' }).subscribe(() => {
      throw new Error('at once')
    })
    // oxlint-disable-next-line typescript/no-misused-promises -- one of the mistakes that are counted
    ann.events$({ type: 'task.completed' }).subscribe(down)
    return observe(tasks, 2, async () => {
      await (await ann.spawn(() => 1)).wait()
      await settle()
    })
  },
}

test.each(Object.entries(HAPPENINGS))(
  '%s counts each happening once, and nothing else is counted',
  async (counter, happen) => {
    const { times, moved } = await happen()
    expect(times).toBeGreaterThan(1)
    // A lease that cannot be renewed is an error of the store as well, each time it is tried.
    const { storeErrors: _tries, ...others } = moved
    expect(counter === 'fencedTimes' ? others : moved).toEqual({ [counter]: times })
  },
)

test('the table above and the one in the guide have every counter there is', async () => {
  const { tasks } = setup()
  const counters = Object.keys((await tasks.operator.stats()).counters).toSorted()
  expect(Object.keys(HAPPENINGS).toSorted()).toEqual(counters)
  const guide = readFileSync(join(REPOSITORY, 'docs/guide.md'), 'utf8')
  const [, table = ''] = guide.split('| counter | one for each |')
  const rows = (table.split('\n\n')[0] ?? '').matchAll(/^\| `(\w+)` \|/gm)
  expect([...rows].map(([, name = '']) => name).toSorted()).toEqual(counters)
})
