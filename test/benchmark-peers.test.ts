import { expect, onTestFinished, test } from 'vitest'
import { inBatches, oneByOne } from '../benchmarks/measuring.ts'
import { PEERS } from '../benchmarks/peers/index.ts'
import type { Peer, Work } from '../benchmarks/peers/peer.ts'
import { PARENT_OF } from '../benchmarks/sides/orders.ts'
import { startSide, whyNotHere } from '../benchmarks/sides/start-side.ts'

// What is compared has to do the same: each peer, on a small scale, before anybody times it.

const COUNT = 30
const SUM = (COUNT * (COUNT + 1)) / 2
const peers = Object.entries(PEERS).map(([name, peer]): [string, Peer] => [name, peer])
const plusOne: Work = async (n) => n + 1

test.each(peers)('%s runs each call and gives what it gave', async (_name, peer) => {
  const { call, close } = await peer.open({ work: plusOne, readsSignal: false })
  expect(await oneByOne(call)(COUNT)).toBe(SUM)
  expect(await inBatches(call)(COUNT)).toBe(SUM)
  await close()
})

test.each(peers.filter(([, { hasSignal }]) => hasSignal))('%s gives its work a signal', async (_name, peer) => {
  const signals = new Set<AbortSignal>()
  const work: Work = async (n, given) => {
    if (given !== undefined && !given.signal.aborted) signals.add(given.signal)
    return n + 1
  }
  const { call, close } = await peer.open({ work, readsSignal: true })
  expect(await inBatches(call)(COUNT)).toBe(SUM)
  expect(signals.size).toBe(COUNT)
  await close()
})

const inBackground = ['outlive', 'floor', 'effectFork', 'mcpTaskStore', 'xstateActors', 'outliveMachine'] as const

test.each(inBackground)('%s goes on in the background and is asked later', async (name) => {
  const peer: Peer = PEERS[name]
  const releases: (() => void)[] = []
  const work: Work = (n) => new Promise((resolve) => releases.push(() => resolve(n + 1)))
  const { background, close } = await peer.open({ work, readsSignal: false })
  if (background === undefined) throw new Error('it has no background')
  const keys: unknown[] = []
  for (let n = 0; n < COUNT; n += 1) keys.push(await background.start(n))
  await expect.poll(() => releases.length).toBe(COUNT)
  for (const release of releases) release()
  for (const key of keys) await background.ended(key)
  let sum = 0
  for (const key of keys) sum += await background.fetch(key)
  expect(sum).toBe(SUM)
  await close()
})

const withTrees = ['outlive', 'abortCascade', 'effectFork', 'effection', 'xstateSupervisor'] as const

test.each(withTrees)('%s stops trees of every shape as a whole', async (name) => {
  const { plant }: Peer = PEERS[name]
  if (plant === undefined) throw new Error('it has no trees')
  for (const parentOf of Object.values(PARENT_OF)) {
    const tree = await plant(Array.from({ length: COUNT }, (_, n) => (n === 0 ? -1 : parentOf(n))))
    expect(tree.stopped()).toBe(0)
    await tree.cancel()
    expect(tree.stopped()).toBe(COUNT)
    await tree.close?.()
  }
})

test('Stargazer, in Python, does as it is told, or its row says why it does not', async () => {
  const why = whyNotHere('stargazer')
  if (why !== undefined) return expect(why).toBe('there is no python3 here')
  const side = startSide('stargazer')
  onTestFinished(() => side.close())
  for (const order of ['one', 'batch'] as const) {
    expect((await side.ask({ kind: 'calls', work: 'later', order, count: COUNT })).us).toBeGreaterThan(0)
  }
  expect((await side.ask({ kind: 'background', count: COUNT })).fetchUs).toBeGreaterThan(0)
  await side.ask({ kind: 'live', count: COUNT, isWeighed: false })
  await expect(side.ask({ kind: 'tree', shape: 'wide', count: COUNT })).rejects.toThrow('there is no order tree')
})
