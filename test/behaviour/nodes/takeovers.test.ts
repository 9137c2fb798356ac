import { defineTool, type Channel, type TaskStore } from 'outlive'
import { controllableTool, faultyStore, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { collect } from '../../support/setup.ts'
import { createStoreDoor } from '../../support/store-door.ts'

test('a takeover whose answer is lost is a takeover: what runs again runs, and what is closed is delivered', async () => {
  const { start, advance, settle } = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' } })
  const once = controllableTool<undefined, string>('once')
  const sent: string[] = []
  const mail: Channel = { send: ({ message }) => void sent.push(message.taskId) }
  let lost = 0
  const wrap = (inner: TaskStore): TaskStore =>
    faultyStore(inner, ({ method }) => {
      if (method !== 'commit' || lost === 2) return undefined
      lost += 1
      return 'failAfter'
    })
  const a = await start({ tools: [again.tool], channels: { mail } })
  const b = await start({ tools: [again.tool], channels: { mail }, wrap })
  const rerun = await a.ann.spawn(again.tool, undefined)
  const closed = await a.ann.spawn(once.tool, undefined, { deliverTo: 'mail:ann' })
  await settle()
  a.kill()
  await advance(3 * LEASE_MS)
  expect(lost).toBe(2)
  expect(again.calls).toHaveLength(2)
  again.call(1).resolve('ran again')
  await settle()
  expect(await b.ann.result(rerun.taskId)).toBe('ran again')
  expect(await b.ann.get(closed.taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' } })
  expect(sent).toEqual([closed.taskId])
  // Each was taken up once.
  expect((await b.tasks.operator.stats()).counters).toMatchObject({ rerunOrphans: 1, closedOrphans: 1 })
})

test('a parent is not taken up again before it is known whether a child of it is there', async () => {
  const { start, advance, settle } = setupNodes()
  const door = createStoreDoor()
  let runs = 0
  const parent = defineTool({
    name: 'parent',
    policy: { recovery: 'rerun' },
    run: async (_input: undefined, ctx) => {
      runs += 1
      if (ctx.attempt === 1) await ctx.spawn(() => 'a child')
      return 'the parent'
    },
  })
  const a = await start({ tools: [parent], wrap: door.wrap })
  door.hold({ commit: ({ record }) => record.parentId !== undefined })
  const { taskId } = await a.ann.spawn(parent, undefined)
  await settle()
  expect(door.heldCount()).toBe(1)
  // It lets go of the tree, and has its lease again soon.
  door.mute(true)
  await advance(LEASE_MS)
  door.mute(false)
  // Longer than it takes until other commits are tried beside the one that has no answer.
  await advance(90_000)
  expect(runs).toBe(1)
  door.release()
  await advance(4 * LEASE_MS)
  expect(runs).toBe(2)
  expect(await a.ann.get(taskId)).toMatchObject({ status: 'completed' })
  const { items } = collect(a.ann.events())
  await settle()
  expect(verifyLog(items)).toEqual([])
})

test('what runs again is not called once the store says that it is another one’s', async () => {
  const { start, advance, settle, store } = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const door = createStoreDoor()
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool], wrap: door.wrap })
  const { taskId } = await a.ann.spawn(again.tool, undefined)
  await settle()
  a.kill()
  // It takes the task over, and its start is on its way for so long that a third one takes it over.
  door.hold({ commit: ({ events }) => events.some(({ type }) => type === 'task.started') })
  for (let waited = 0; door.heldCount() === 0 && waited < 3 * LEASE_MS; waited += 100) await advance(100)
  expect(door.heldCount()).toBe(1)
  const taken = await store.read(taskId)
  if (taken === undefined) throw new Error('it is gone')
  const record = { ...taken, version: taken.version + 1, epoch: taken.epoch + 2 }
  const elsewhere = {
    record,
    expect: taken,
    id: 'elsewhere',
    events: [],
    trimTo: 0,
    outbox: [],
    claims: [],
    attachments: [],
  }
  expect(await store.commit(elsewhere)).toMatchObject({ kind: 'committed' })
  door.release()
  await settle()
  expect(again.calls).toHaveLength(1)
  expect((await b.tasks.operator.stats()).counters).toMatchObject({ refusedCommits: 1 })
})

test('what a process takes over while it shuts down is called by another one', async () => {
  const { start, advance, settle } = setupNodes()
  const again = controllableTool<undefined, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const door = createStoreDoor()
  const a = await start({ tools: [again.tool] })
  const b = await start({ tools: [again.tool], wrap: door.wrap })
  const { taskId } = await a.ann.spawn(again.tool, undefined)
  // As long as this runs, the shutdown has its grace.
  const busy = controllableTool<undefined, string>('busy')
  await b.ann.spawn(busy.tool, undefined)
  await settle()
  a.kill()
  door.hold({ commit: () => true })
  for (let waited = 0; door.heldCount() === 0 && waited < 3 * LEASE_MS; waited += 100) await advance(100)
  const closing = b.tasks.shutdown({ graceMs: 1_000 })
  door.release()
  await advance(30_000)
  await closing
  expect(again.calls).toHaveLength(1)
  const c = await start({ tools: [again.tool] })
  await advance(3 * LEASE_MS)
  expect(again.calls).toHaveLength(2)
  again.call(1).resolve('there')
  await settle()
  expect(await c.ann.result(taskId)).toBe('there')
})
