import { memoryStore, type TaskStore } from 'outlive'
import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createOpenedStore } from '../../src/runtime/cluster/opened-store.ts'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import { watch } from '../support/setup.ts'

const never = (): Promise<never> => new Promise(() => undefined)

function open(inner: TaskStore) {
  const clock = createManualClock()
  const deadlines = createDeadlines(clock, () => undefined)
  const { store } = createOpenedStore({
    store: inner,
    clock,
    deadlines,
    prepare: async () => undefined,
    onOpen: () => undefined,
  })
  return { clock, store }
}

test('a call that the store never answers fails after 30 seconds, whatever it is', async () => {
  const inner = memoryStore({ shared: true })
  const { cluster } = inner
  if (cluster === undefined) throw new Error('a shared store has a cluster')
  const { clock, store } = open({ ...inner, list: never, commit: never, cluster: { ...cluster, sweep: never } })
  await store.read('nobody')
  const calls = [store.list({ limit: 1 }), store.commit({} as never), store.cluster?.sweep({ now: 0 })].map((call) =>
    watch(Promise.resolve<unknown>(call)),
  )
  await clock.advance(29_999)
  expect(calls.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending'])
  await clock.advance(1)
  for (const call of calls) expect(call.error).toMatchObject({ code: 'store_unavailable', retryable: true })
})

test('an answer in time is the answer, and leaves no timer behind', async () => {
  const inner = memoryStore({ shared: true })
  let answer: (count: number) => void = () => undefined
  const { clock, store } = open({ ...inner, lastPosition: () => new Promise((resolve) => void (answer = resolve)) })
  await store.read('nobody')
  const position = watch(Promise.resolve(store.lastPosition('ann')))
  await clock.advance(20_000)
  answer(7)
  await clock.advance(0)
  expect(position.value).toBe(7)
  await clock.advance(40_000)
  expect(position).toEqual({ state: 'resolved', value: 7 })
})
