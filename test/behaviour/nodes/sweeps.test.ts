import type { Channel, TaskStore } from 'outlive'
import { controllableTool, faultyStore } from 'outlive/testing'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'

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
