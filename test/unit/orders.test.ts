import type { ClusterStore, Order, StoreHint, TaskStore } from 'outlive'
import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createOrders } from '../../src/runtime/cluster/orders.ts'
import { createCounters } from '../../src/runtime/counters.ts'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import type { LiveTask } from '../../src/runtime/live-task.ts'

const ORDER: Order = {
  id: 'order',
  node: 'here',
  from: 'there',
  owner: 'ann',
  taskId: 'task',
  json: '{"verb":"background"}',
  sentAt: 0,
}

test('an order that a look shows again after it was answered is not done again', async () => {
  const clock = createManualClock()
  const replies: string[] = []
  let done = 0
  let hint = (_hint: StoreHint): void => undefined
  const cluster: Partial<ClusterStore> = {
    // As on a second connection, or in a replica: what was answered long ago is still shown.
    readOrders: async () => [ORDER],
    replyTo: async ({ json }) => void replies.push(json),
    watch: (onHint) => {
      hint = onHint
      return () => undefined
    },
  }
  const orders = createOrders({
    store: {} as TaskStore,
    cluster: cluster as ClusterStore,
    clock,
    deadlines: createDeadlines(clock, (error) => {
      throw error
    }),
    createId: () => 'id',
    logger: { warn: () => undefined, error: () => undefined },
    counters: createCounters(),
    nodeId: () => 'here',
    findLive: () => ({ spec: { owner: 'ann' }, finalStatus: undefined }) as unknown as LiveTask,
    carryOut: async () => void (done += 1),
  })
  orders.start()
  for (let look = 0; look < 5; look += 1) {
    hint({ node: 'here' })
    await clock.advance(2_000)
  }
  orders.stop()
  expect([done, replies]).toEqual([1, ['{"kind":"done"}']])
})
