/**
 * The processes of a soak: a Redis that keeps what it has, workers with a breakable way to it each, and the load. Faults are
 * carried out here, one after the other.
 */
import { launchRedis } from '../support/redis-process.ts'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import type { HistoryFact } from 'outlive/testing'
import { startChild, type Child } from './children.ts'
import { createLine, type Line } from './door.ts'
import type { Cut, SoakFault } from './faults.ts'
import type { LoadGiven, LoadNote } from './load.ts'
import type { Measured, WorkerGiven, WorkerNote } from './worker.ts'

export const OWNERS = ['ann', 'bob', 'cat']
export const WORKERS = OWNERS.length

export interface SoakWorld {
  readonly redisUrl: string
  /** What everybody was told so far, but for what the store says. */
  readonly facts: readonly HistoryFact[]
  counts(): { readonly calls: number; readonly refusals: Readonly<Record<string, number>> }
  /** Processes that have ended without being told to, by name. */
  readonly lost: readonly string[]
  /** Resolves when it is over. */
  suffer(fault: SoakFault): Promise<void>
  measure(worker: number): Promise<Measured>
  /** Asks a worker through its door. */
  ask(worker: number, verb: string, given: object, limitMs: number): Promise<unknown>
  /** No new calls; resolves when the last one is answered. */
  stopLoad(): Promise<void>
  close(): Promise<void>
}

interface Slot {
  readonly proxy: FaultProxy
  readonly line: Line
  child: Child
  port: number
  cursor: string | undefined
}

const CLIENT_TYPES = ['normal', 'pubsub'] as const
const KILL_EVERY_MS = 300
const ASK_MS = 20_000
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export async function startWorld(given: {
  readonly seed: number
  readonly rate: number
  readonly leaseMs: number
}): Promise<SoakWorld> {
  const { seed, rate, leaseMs } = given
  const undo: (() => unknown)[] = []
  const facts: HistoryFact[] = []
  const lost: string[] = []
  const told = new Set<Child>()
  let counts = { calls: 0, refusals: {} as Readonly<Record<string, number>> }

  const watch = (name: string, child: Child): void => {
    child.ended.then(
      () => void (told.has(child) || lost.push(name)),
      () => undefined,
    )
  }
  const end = async (child: Child): Promise<void> => {
    told.add(child)
    child.signal('SIGKILL')
    await child.ended
  }

  // It is killed: with `everysec` it may answer, while the disk is busy, what it has not written yet.
  const redis = await launchRedis({ appendonly: 'yes', appendfsync: 'always' }, (end) => undo.push(end))
  const stopped = createPromise<void>()
  const loadReady = createPromise<number>()
  const loadGiven: LoadGiven = { seed, rate, leaseMs, owners: OWNERS, workers: WORKERS }
  const load = startChild('load', loadGiven, (said) => {
    const note = said as LoadNote
    switch (note.kind) {
      case 'ready':
        return loadReady.resolve(note.port)
      case 'facts':
        return void facts.push(...note.facts)
      case 'counts':
        counts = note
        return undefined
      case 'stopped':
        return stopped.resolve()
    }
  })
  watch('the load', load)
  undo.push(() => end(load))
  const receiverPort = await loadReady.promise

  const startWorker = async (
    index: number,
    slot: Omit<Slot, 'child' | 'port'>,
  ): Promise<Pick<Slot, 'child' | 'port'>> => {
    const owner = OWNERS[index] ?? ''
    const ready = createPromise<number>()
    const workerGiven: WorkerGiven = {
      redisUrl: `redis://127.0.0.1:${slot.proxy.port}`,
      receiverPort,
      leaseMs,
      follows: owner,
      ...(slot.cursor === undefined ? {} : { after: slot.cursor }),
    }
    const child = startChild('worker', workerGiven, (said) => {
      const note = said as WorkerNote
      if (note.kind === 'ready') return ready.resolve(note.port)
      for (const item of note.items) facts.push({ type: 'seen', consumer: `the consumer of ${owner}`, owner, item })
      slot.cursor = note.cursor ?? slot.cursor
    })
    watch(`worker ${index + 1}`, child)
    const port = await Promise.race([ready.promise, child.ended])
    if (port === undefined) throw new Error(`worker ${index + 1} did not start`)
    load.send({ kind: 'worker', index, port })
    return { child, port }
  }

  const slots: Slot[] = []
  for (let index = 0; index < WORKERS; index += 1) {
    const proxy = await startFaultProxy(redis.port)
    undo.push(() => proxy.close())
    const slot = { proxy, line: createLine(() => slots[index]?.port ?? 0), cursor: undefined }
    slots.push(Object.assign(slot, await startWorker(index, slot)))
    undo.push(() => end(slotOf(index).child))
  }
  const slotOf = (index: number): Slot => {
    const slot = slots[index]
    if (slot === undefined) throw new Error(`there is no worker ${index + 1}`)
    return slot
  }

  const cut = async (proxy: FaultProxy, how: Cut, cutMs: number): Promise<void> => {
    switch (how) {
      case 'refuse':
        proxy.refuse()
        break
      case 'blackhole':
        proxy.blackhole()
        break
      case 'reset':
        proxy.reset()
        break
      case 'dropNextReply':
        proxy.dropNextReply()
        break
      case 'cutReply':
        proxy.cutAfter(100, 'toClient')
    }
    await pause(cutMs)
    proxy.heal()
    // What has lost bytes is of no use any more.
    if (how === 'blackhole') proxy.reset()
  }

  return {
    redisUrl: redis.url,
    facts,
    lost,
    counts: () => counts,
    async suffer(fault) {
      switch (fault.kind) {
        case 'kill': {
          const slot = slotOf(fault.worker)
          await end(slot.child)
          slot.line.close()
          await pause(fault.goneMs)
          Object.assign(slot, await startWorker(fault.worker, slot))
          return
        }
        case 'stop': {
          const { child } = slotOf(fault.worker)
          child.signal('SIGSTOP')
          await pause(fault.stoppedMs)
          child.signal('SIGCONT')
          return
        }
        case 'redis':
          await redis.kill()
          await pause(fault.goneMs)
          await redis.start()
          return
        case 'clients':
          for (let time = 0; time < fault.times; time += 1) {
            for (const type of CLIENT_TYPES) await redis.client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
            await pause(KILL_EVERY_MS)
          }
          return
        case 'cut':
          await cut(slotOf(fault.worker).proxy, fault.how, fault.cutMs)
      }
    },
    measure: async (worker) => (await slotOf(worker).line.call('measure', {}, ASK_MS)) as Measured,
    ask: (worker, verb, what, limitMs) => slotOf(worker).line.call(verb, what, limitMs),
    async stopLoad() {
      load.send({ kind: 'stop' })
      await Promise.race([stopped.promise, load.ended])
    },
    async close() {
      for (const { line } of slots) line.close()
      for (const one of undo.toReversed()) await one()
    },
  }
}

interface Settled<Value> {
  readonly promise: Promise<Value>
  resolve(value: Value): void
}

/** One that is resolved from outside. */
function createPromise<Value>(): Settled<Value> {
  let resolve: (value: Value) => void = () => undefined
  const promise = new Promise<Value>((settle) => (resolve = settle))
  return { promise, resolve }
}
