import { createTaskSupervisor, defineTool } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes, type Node, type Nodes } from '../../support/nodes.ts'
import { collect, watch } from '../../support/setup.ts'

async function shutDown({ advance }: Nodes, { tasks }: Node, graceMs = 100) {
  const closing = watch(tasks.shutdown({ graceMs }))
  await advance(20_000)
  expect(closing.state).toBe('resolved')
  if (closing.value === undefined) throw new Error('a shutdown resolves')
  return closing.value
}

test('a shutdown leaves what may run again to others, and cancels the rest', async () => {
  const nodes = setupNodes()
  const { start, advance, settle } = nodes
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const once = controllableTool<undefined, string>('once', { honoursSignal: true })
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool] })
  const goesOn = await a.ann.spawn(again.tool, undefined)
  const stops = await a.ann.spawn(once.tool, undefined)
  await settle()
  const report = await shutDown(nodes, a)
  expect(report).toEqual({ completed: 0, cancelled: 1, handedBack: 1, abandoned: 0, unsaved: 0, undelivered: 0 })
  expect(again.call(0).ctx.signal.reason).toMatchObject({ stopCause: { reason: 'shutdown' } })
  expect((await b.ann.get(stops.taskId))?.cause?.reason).toBe('shutdown')
  await advance(LEASE_MS)
  again.call(1).resolve('went on')
  await settle()
  expect(await b.ann.result(goesOn.taskId)).toBe('went on')
  // Nobody crashed: it does not count.
  expect((await b.tasks.operator.stats()).counters.rerunOrphans).toBe(0)
  const { items } = collect(b.ann.events({ taskId: goesOn.taskId }))
  await settle()
  expect(items.map(({ type }) => type)).toEqual([
    'task.queued',
    'task.started',
    'task.stopping',
    'task.retrying',
    'task.started',
    'task.completed',
  ])
  expect(verifyLog(items)).toEqual([])
})

test('what has its end within the grace ends here', async () => {
  const nodes = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' } })
  const a = await nodes.start({ tools: [again.tool] })
  await a.ann.spawn(again.tool, undefined)
  await nodes.settle()
  const closing = watch(a.tasks.shutdown({ graceMs: 1_000 }))
  await nodes.advance(500)
  again.call(0).resolve('in time')
  await nodes.advance(1)
  expect(closing.value).toMatchObject({ completed: 1, handedBack: 0, cancelled: 0 })
})

test('the queued, the waiting and those between two attempts are left, and what they owned is stopped', async () => {
  const nodes = setupNodes()
  const { start, advance, settle } = nodes
  const child = controllableTool('child', { honoursSignal: true })
  const started: string[] = []
  const tool = defineTool({
    name: 'tool',
    policy: { recovery: 'rerun', retry: { maxAttempts: 3, baseMs: 1_000_000, maxMs: 1_000_000, jitter: 'none' } },
    run: async (kind: string, ctx) => {
      started.push(`${kind} ${ctx.attempt}`)
      if (ctx.attempt > 1) return kind
      if (kind === 'fails') throw new Error('not yet')
      if (kind === 'asks') return ctx.ask('go', 'May I?')
      return (await ctx.spawn(child.tool, undefined)).result()
    },
  })
  const a = await start({ tools: [tool], limits: { maxRunning: 2 } })
  const handles = []
  for (const kind of ['fails', 'asks', 'spawns']) {
    handles.push(await a.ann.spawn(tool, kind))
    await settle()
  }
  const holders = [controllableTool('holder'), controllableTool('holder')]
  for (const { tool: holder } of holders) await a.ann.spawn(holder, undefined)
  handles.push(await a.ann.spawn(tool, 'queued'))
  await settle()
  expect(await Promise.all(handles.map(async ({ taskId }) => (await a.ann.get(taskId))?.status))).toEqual([
    'retrying',
    'waiting',
    'running',
    'queued',
  ])
  const report = await shutDown(nodes, a)
  expect(report).toMatchObject({ handedBack: 4, unsaved: 0 })
  expect(child.call(0).ctx.signal.aborted).toBe(true)
  const b = await start({ tools: [tool] })
  await advance(2 * LEASE_MS)
  expect(started.toSorted()).toEqual(['asks 1', 'asks 2', 'fails 1', 'queued 1', 'spawns 1', 'spawns 2'])
  await advance(1_000_000)
  expect(started.at(-1)).toBe('fails 2')
  const { items } = collect(b.ann.events())
  await settle()
  expect(verifyLog(items, { isComplete: false })).toEqual([])
})

test('a shutdown is bounded in time when the store is down, and says what was not saved', async () => {
  const nodes = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' } })
  const once = controllableTool<undefined, string>('once')
  const a = await nodes.start({ tools: [again.tool] })
  const handle = await a.ann.spawn(again.tool, undefined)
  await a.ann.spawn(once.tool, undefined)
  await nodes.settle()
  a.cut()
  once.call(0).resolve('nobody keeps this')
  const report = await shutDown(nodes, a)
  expect(report.unsaved).toBeGreaterThan(0)
  const b = await nodes.start({ tools: [again.tool] })
  await nodes.advance(3 * LEASE_MS)
  again.call(1).resolve('all the same')
  await nodes.settle()
  expect(await b.ann.result(handle.taskId)).toBe('all the same')
})

test('without a store that outlives the process nothing is handed back', async () => {
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const tasks = createTaskSupervisor({ tools: [again.tool] })
  await tasks.spawn(again.tool, undefined)
  expect(await tasks.shutdown({ graceMs: 1 })).toMatchObject({ handedBack: 0, cancelled: 1 })
})
