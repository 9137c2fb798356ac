import { defineTool } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { collect } from '../../support/setup.ts'

const forever = (): Promise<never> => new Promise(() => undefined)

test('a task whose process is gone fails as interrupted, with its terminal event', async () => {
  const { start, advance, settle } = setupNodes()
  const a = await start()
  const b = await start()
  const handle = await a.ann.spawn(forever)
  await settle()
  a.kill()
  expect((await b.ann.get(handle.taskId))?.status).toBe('running')
  await advance(2 * LEASE_MS)
  expect(await b.ann.get(handle.taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' }, epoch: 2 })
  const { items, ended } = collect(b.ann.events({ taskId: handle.taskId }))
  await settle()
  await ended
  expect(items.map(({ type }) => type)).toEqual(['task.queued', 'task.started', 'task.failed'])
  expect(verifyLog(items)).toEqual([])
})

test('a task that asks for it runs again in another process, with its input, as one more attempt', async () => {
  const { start, advance, settle } = setupNodes()
  const seen: unknown[] = []
  const again = (result: (() => Promise<string>) | undefined) =>
    defineTool({
      name: 'again',
      policy: { recovery: 'rerun' },
      run: (input: { topic: string }, ctx) => {
        seen.push([input, ctx.attempt, ctx.taskId])
        return result === undefined ? forever() : result()
      },
    })
  const lost = again(undefined)
  const a = await start({ tools: [lost] })
  const b = await start({ tools: [again(async () => 'done')] })
  const handle = await a.ann.spawn(lost, { topic: 'tides' }, { name: 'reader' })
  await settle()
  a.kill()
  await advance(2 * LEASE_MS)
  expect(seen).toEqual([
    [{ topic: 'tides' }, 1, handle.taskId],
    [{ topic: 'tides' }, 2, handle.taskId],
  ])
  expect(await b.ann.result(handle.taskId)).toBe('done')
  const record = await b.ann.get(handle.taskId)
  expect(record).toMatchObject({ status: 'completed', attempt: 2, name: 'reader' })
  const { items, ended } = collect(b.ann.events({ taskId: handle.taskId }))
  await settle()
  await ended
  expect(items.map(({ type }) => type)).toEqual([
    'task.queued',
    'task.started',
    'task.retrying',
    'task.started',
    'task.completed',
  ])
  expect(verifyLog(items)).toEqual([])
  expect((await b.tasks.operator.stats()).counters).toMatchObject({ rerunOrphans: 1, closedOrphans: 0 })
})

test('what a dead process owned below a task is closed before that runs again', async () => {
  const { start, advance, settle } = setupNodes()
  const child = controllableTool<string, string>('child')
  const parent = defineTool({
    name: 'parent',
    policy: { recovery: 'rerun' },
    run: async (_input: undefined, ctx) => {
      const below = await ctx.spawn(child.tool, `of attempt ${ctx.attempt}`)
      return below.result()
    },
  })
  const a = await start({ tools: [parent] })
  const b = await start({ tools: [parent] })
  const handle = await a.ann.spawn(parent)
  await settle()
  a.kill()
  await advance(2 * LEASE_MS)
  expect(child.calls.map(({ input }) => input)).toEqual(['of attempt 1', 'of attempt 2'])
  child.calls[1]?.resolve('yes')
  await settle()
  expect(await b.ann.result(handle.taskId)).toBe('yes')
  const { tasks } = await b.ann.list({ tree: handle.taskId })
  expect(tasks.map(({ status, failure }) => [status, failure?.code])).toEqual([
    ['completed', undefined],
    ['failed', 'interrupted'],
    ['completed', undefined],
  ])
  const { items } = collect(b.ann.events())
  await settle()
  expect(verifyLog(items)).toEqual([])
})

test('a task that takes its process down runs again so often, ever later, and then fails', async () => {
  const { start, advance, settle, clock } = setupNodes()
  const startedAt: number[] = []
  const poison = defineTool({
    name: 'poison',
    policy: { recovery: 'rerun', maxInterruptions: 2 },
    run: (_input: undefined) => {
      startedAt.push(clock.now())
      return forever()
    },
  })
  const options = { tools: [poison] }
  let node = await start(options)
  const handle = await node.ann.spawn(poison, undefined)
  await settle()
  for (let death = 1; death <= 3; death += 1) {
    node.kill()
    node = await start(options)
    await advance(5 * LEASE_MS)
  }
  expect(startedAt).toHaveLength(3)
  expect(await node.ann.get(handle.taskId)).toMatchObject({ status: 'failed', attempt: 3 })
  expect((await node.ann.get(handle.taskId))?.failure).toMatchObject({ code: 'interrupted', retryable: false })
  await expect(node.ann.result(handle.taskId)).rejects.toMatchObject({ code: 'task_failed' })
})

test.each([
  { leaseMs: 12_000, withinMs: 20_000, what: 'by default' },
  { leaseMs: 1_000, withinMs: 2_000, what: 'with the lease of one second' },
])(
  'a dead process is noticed, and its tasks are taken over, within $withinMs ms $what',
  async ({ leaseMs, withinMs }) => {
    const { start, advance, settle } = setupNodes()
    const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' } })
    const options = { leaseMs, tools: [again.tool] }
    const [a, b] = [await start(options), await start(options)]
    const once = await a.ann.spawn(forever)
    await a.ann.spawn(again.tool, undefined)
    await settle()
    // At any moment between two renewals.
    for (const moment of [0, 1, 2, 3]) {
      if (moment < 3) await advance(leaseMs / 7)
      else a.kill()
    }
    await advance(withinMs)
    expect((await b.ann.get(once.taskId))?.status).toBe('failed')
    expect(again.calls).toHaveLength(2)
  },
)
