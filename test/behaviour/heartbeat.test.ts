import { expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'

test('a silent stream says that it lives, every heartbeatMs, and only while it is silent', async () => {
  const { ann, advance } = setup()
  const stream = collect(ann.events({ heartbeatMs: 1_000 }))
  await advance(2_500)
  expect(stream.items).toEqual([{ type: 'stream.heartbeat' }, { type: 'stream.heartbeat' }])
  await ann.spawn(() => new Promise<never>(() => undefined), undefined)
  await advance(999)
  expect(stream.items.map(({ type }) => type)).toEqual([
    'stream.heartbeat',
    'stream.heartbeat',
    'task.queued',
    'task.started',
  ])
  await advance(1)
  expect(stream.items.at(-1)).toEqual({ type: 'stream.heartbeat' })
})

test('heartbeats wait for nobody: a consumer that does not read is not cut by them', async () => {
  const { ann, tasks, advance } = setup({ maxBufferedEvents: 2 })
  const stream = ann.events({ heartbeatMs: 1_000 })
  await advance(60_000)
  expect((await tasks.operator.stats()).counters.cutConsumers).toBe(0)
  expect(await stream.next()).toEqual({ done: false, value: { type: 'stream.heartbeat' } })
  await stream.return?.()
})

test('a stream that is over has no heartbeat and leaves no timer', async () => {
  const { ann, advance, clock, settle } = setup()
  const items: unknown[] = []
  const subscription = ann.events$({ heartbeatMs: 1_000 }).subscribe((item) => items.push(item))
  await settle()
  expect(clock.timerCount()).toBe(1)
  subscription.unsubscribe()
  await advance(5_000)
  expect(items).toEqual([])
  expect(clock.timerCount()).toBe(0)
})
