/**
 * One side of a comparison, in a process of its own: `node side.js NAME`. It opens its peer once for each kind of work,
 * does as it is told, and ends with its standard input.
 */
import { createInterface } from 'node:readline'
import { collectGarbage, inBatches, oneByOne, timeTasks } from '../measuring.ts'
import { isPeerName, PEERS } from '../peers/index.ts'
import type { Given, OpenPeer, Peer, Work } from '../peers/peer.ts'
import { PARENT_OF, type Answers, type Order, type Reply, type WorkName } from './orders.ts'

const [, , name = ''] = process.argv
if (!isPeerName(name)) throw new Error(`there is no peer ${name}`)
const peer: Peer = PEERS[name]

/** Of a number below 0 it never comes back. */
const NEVER = -1
const counts = { started: 0 }
const pending: ((value: number) => void)[] = []

const WORKS: Readonly<Record<WorkName, Work>> = {
  async now(n) {
    if (n !== NEVER) return n + 1
    counts.started += 1
    // Somebody has to be able to end it: what nobody can is collected, with all that waits for it.
    return new Promise((resolve) => pending.push(resolve))
  },
  later: (n) => new Promise((resolve) => setImmediate(() => resolve(n + 1))),
  async reading(n, given) {
    if (signalOf(given).aborted) throw new Error('the signal is aborted')
    return n + 1
  },
}

function signalOf(given: Given | undefined): AbortSignal {
  if (given === undefined) throw new Error('the work was given no signal')
  return given.signal
}

const opened = new Map<WorkName, OpenPeer>()

async function open(work: WorkName): Promise<OpenPeer> {
  const known = opened.get(work) ?? (await peer.open({ work: WORKS[work], readsSignal: work === 'reading' }))
  opened.set(work, known)
  return known
}

const DO: { readonly [Kind in Order['kind']]: (order: Extract<Order, { kind: Kind }>) => Promise<Answers[Kind]> } = {
  async calls({ work, order, count }) {
    const { call } = await open(work)
    return timeTasks(count, order === 'one' ? oneByOne(call) : inBatches(call), Math.ceil(count / 10))
  },

  async background({ count }) {
    const releases: (() => void)[] = []
    const work: Work = (n) => new Promise((resolve) => releases.push(() => resolve(n + 1)))
    const { background, close } = await peer.open({ work, readsSignal: false })
    if (background === undefined) throw new Error('it has no background')
    const keys: unknown[] = []
    collectGarbage()
    const startedMs = performance.now()
    for (let n = 0; n < count; n += 1) keys.push(await background.start(n))
    while (releases.length < count) await nextTurn()
    const beganMs = performance.now()
    for (const release of releases) release()
    for (const key of keys) await background.ended(key)
    const endedMs = performance.now()
    let sum = 0
    for (const key of keys) sum += await background.fetch(key)
    const fetchedMs = performance.now()
    if (sum !== (count * (count + 1)) / 2) throw new Error(`the tasks gave ${sum}`)
    await close()
    const toUs = (ms: number): number => (ms * 1_000) / count
    return { startUs: toUs(beganMs - startedMs), finishUs: toUs(endedMs - beganMs), fetchUs: toUs(fetchedMs - endedMs) }
  },

  async live({ count, isWeighed }) {
    const { call } = await open('now')
    while (held.length < count) {
      held.push(call(NEVER))
      if (held.length % 500 === 0) await nextTurn()
    }
    while (counts.started < count) await nextTurn()
    if (isWeighed) collectGarbage()
    return { heap: process.memoryUsage().heapUsed }
  },

  async tree({ shape, count }) {
    if (peer.plant === undefined) throw new Error('it has no trees')
    const parents = Array.from({ length: count + 1 }, (_, n) => (n === 0 ? -1 : PARENT_OF[shape](n)))
    const startedMs = performance.now()
    const tree = await peer.plant(parents)
    const buildMs = performance.now() - startedMs
    collectGarbage()
    const cancelledMs = performance.now()
    const cancelledCpu = process.cpuUsage()
    await tree.cancel()
    const wallMs = performance.now() - cancelledMs
    const { user, system } = process.cpuUsage(cancelledCpu)
    await nextTurn()
    const stopped = tree.stopped()
    await tree.close?.()
    return { buildMs, cancelMs: Math.min(wallMs, (user + system) / 1_000), stopped }
  },
}

const held: Promise<number>[] = []

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function answer(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'calls':
      return DO.calls(order)
    case 'background':
      return DO.background(order)
    case 'live':
      return DO.live(order)
    case 'tree':
      return DO.tree(order)
  }
}

// What a peer throws beside its calls is an answer too: some lose their stack in a timer.
const failures: unknown[] = []
process.on('uncaughtException', (error) => failures.push(error))
process.on('unhandledRejection', (error) => failures.push(error))

for await (const line of createInterface({ input: process.stdin })) {
  let reply: Reply
  try {
    const value = await answer(JSON.parse(line) as Order)
    reply = failures.length === 0 ? { value } : { error: String(failures[0]) }
  } catch (error) {
    reply = { error: String(error) }
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`)
}
process.exit()
