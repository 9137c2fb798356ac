import { join } from 'node:path'
import {
  callbackChannel,
  createTaskSupervisor,
  defineTool,
  isTaskError,
  isTaskEvent,
  memoryStore,
  type Session,
  type StreamItem,
  type TaskStatus,
  type TaskStore,
  type TaskSupervisor,
} from 'outlive'
import { faultyStore, verifyLog, type FaultPlan, type StoreFault } from 'outlive/testing'
import { expect, onTestFinished, test } from 'vitest'
import { openTestStore } from '../programs/worker-stores.ts'
import { usePostgres } from '../support/postgres-server.ts'
import { startRedis } from '../support/redis-server.ts'
import { pause } from '../support/redis-tasks.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { seededRandom } from '../support/setup.ts'
import { isEnd, listAll, until } from '../support/survivors.ts'

// One story, drawn from a seed, told by two processes over each of the stores, whose calls go wrong as the seed says. Who
// calls tries again, as people do. However it goes wrong, it ends the same everywhere.

const FAULTS: readonly StoreFault[] = ['failBefore', 'failAfter', 'delay', 'duplicate', 'stale']
const FAULTY_PART = 0.08
const SEEDS = [1, 2, 3, 4, 5]
const postgres = usePostgres()

const fail = defineTool({
  name: 'fails',
  policy: { retry: { maxAttempts: 3, baseMs: 5, factor: 1, maxMs: 5, jitter: 'none' } },
  run: async (failures: number, ctx) => {
    ctx.progress({ done: ctx.attempt })
    if (ctx.attempt <= failures) throw new Error(`attempt ${ctx.attempt}`)
    return ctx.attempt
  },
})
const ask = defineTool({
  name: 'asks',
  run: async (_: undefined, ctx) => {
    const { payload } = await ctx.inbox.receive()
    return [payload, await ctx.ask('sure', 'Sure?')]
  },
})
const hold = defineTool({
  name: 'holds',
  run: async (_: undefined, ctx) =>
    new Promise<never>((_resolve, reject) => {
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
    }),
})
const leaf = defineTool({
  name: 'leaf',
  run: async (n: number, ctx) => {
    ctx.output(String(n))
    return n
  },
})
const grow = defineTool({
  name: 'grows',
  run: async (children: number, ctx) => {
    let sum = 0
    for (let n = 1; n <= children; n += 1) {
      const child = await insist(() => ctx.spawn(leaf, n))
      sum += await insist(() => child.result())
    }
    return sum
  },
})

/** Tries until there is an answer. What a repeated verb is told that had its effect before is as good. */
async function insist<Value>(call: () => Promise<Value>, goodEnough: readonly string[] = []): Promise<Value> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (isTaskError(error) && goodEnough.includes(error.code)) return undefined as Value
      // What goes wrong in a store here is an error of no kind.
      const mayPass = isTaskError(error) ? error.retryable || error.code === 'wait_timeout' : isFault(error)
      if (!mayPass) throw error
      await pause(5)
    }
  }
}

function isFault(error: unknown): boolean {
  return error instanceof Error && /failed$|was lost$/.test(error.message)
}

function planOf(seed: number): FaultPlan {
  const random = seededRandom(seed)
  return () => (random() < FAULTY_PART ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined)
}

/** Opens the store once more, as another process would. */
type Opener = () => TaskStore

async function openerOf(kind: string): Promise<Opener> {
  switch (kind) {
    case 'redis': {
      const { url } = await startRedis()
      return () => openTestStore({ kind, url })
    }
    case 'sqlite': {
      const file = join(scratchFolder('seeded'), 'tasks.db')
      return () => openTestStore({ kind, file })
    }
    case 'postgres': {
      const schema = postgres.freshSchema()
      return () => openTestStore({ kind, url: postgres.url(), schema })
    }
    default: {
      const store = memoryStore({ shared: true })
      return () => store
    }
  }
}

function openNode(store: TaskStore): TaskSupervisor {
  const tasks = createTaskSupervisor({
    store,
    leaseMs: 15_000,
    graceMs: 200,
    commitWaitMs: 4_000,
    maxBufferedEvents: 100_000,
    channels: { mail: callbackChannel(() => undefined) },
    logger: { warn: () => undefined, error: () => undefined },
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  return tasks
}

/** Tells the story, and gives how each task of it has to end. */
async function tell(seed: number, here: Session, there: Session): Promise<Map<string, [TaskStatus, unknown]>> {
  const random = seededRandom(seed)
  const pick = (below: number): number => Math.floor(random() * below)
  const ends = new Map<string, [TaskStatus, unknown]>()
  const scenes: Promise<void>[] = []
  for (let scene = 0; scene < 16; scene += 1) {
    const [runs, steers] = pick(2) === 0 ? [here, there] : [there, here]
    const size = pick(5)
    const isRedirected = pick(3) === 0
    const play = async (kind: number): Promise<void> => {
      const { taskId, end, steer } = await begin(kind, runs, size)
      if (isRedirected && steer !== undefined) await insist(() => steers.redirect(taskId, 'mail:there'))
      await steer?.(steers)
      ends.set(taskId, end)
    }
    scenes.push(play(scene % 4))
  }
  await Promise.all(scenes)
  return ends
}

interface Scene {
  readonly taskId: string
  readonly end: [TaskStatus, unknown]
  readonly steer?: (by: Session) => Promise<unknown>
}

async function begin(kind: number, runs: Session, size: number): Promise<Scene> {
  switch (kind) {
    case 0: {
      const { taskId } = await insist(() => runs.spawn(fail, size))
      return { taskId, end: size < 3 ? ['completed', size + 1] : ['failed', 'tool_error'] }
    }
    case 1: {
      const { taskId } = await insist(() => runs.spawn(grow, size))
      return { taskId, end: ['completed', (size * (size + 1)) / 2] }
    }
    case 2: {
      const { taskId } = await insist(() => runs.spawn(hold, undefined))
      return { taskId, end: ['cancelled', 'user'], steer: (by) => insist(() => by.cancel(taskId)) }
    }
    default: {
      const { taskId } = await insist(() => runs.spawn(ask, undefined))
      const steer = async (by: Session): Promise<void> => {
        await insist(() => by.send(taskId, 'hello'), ['task_final'])
        await until(async () => (await insist(() => by.get(taskId)))?.status === 'waiting')
        await insist(() => by.answer(taskId, 'sure', size), ['task_final', 'question_closed'])
      }
      return { taskId, end: ['completed', ['hello', size]], steer }
    }
  }
}

test.each(['memory', 'sqlite', 'redis', 'postgres'])(
  'a story whose calls to the store go wrong as a seed says ends as it has to, with a sound log: %s',
  async (kind) => {
    for (const seed of SEEDS) {
      const open = await openerOf(kind)
      const stores = [faultyStore(open(), planOf(seed * 10)), faultyStore(open(), planOf(seed * 10 + 1))]
      const [a, b] = stores.map(openNode)
      if (a === undefined || b === undefined) throw new Error('two nodes are needed')
      const fromMs = performance.now()
      await Promise.all([a, b].map((node) => insist(() => node.start())))
      const ends = await tell(seed, a.session({ owner: 'ann' }), b.session({ owner: 'ann' }))

      // A reader for whom nothing goes wrong.
      const readers = openNode(open())
      const reader = readers.session({ owner: 'ann' })
      await until(async () => (await reader.stats()).live === 0, 30_000)
      const records = await listAll(reader)
      const name = `${kind}, seed ${seed}`
      for (const [taskId, [status, outcome]] of ends) {
        const record = records.find((candidate) => candidate.taskId === taskId)
        const found =
          record?.status === 'completed'
            ? await reader.result(taskId)
            : (record?.failure?.code ?? record?.cause?.reason)
        expect([record?.status, found], name).toEqual([status, outcome])
      }
      // What else is there was refused, and never ran; or it is a child.
      for (const record of records) {
        if (ends.has(record.taskId) || record.parentId !== undefined) continue
        expect([record.status, record.startedAt], name).toEqual(['cancelled', undefined])
      }
      const log: StreamItem[] = []
      for await (const item of reader.events()) {
        log.push(item)
        if (log.filter((seen) => isTaskEvent(seen) && isEnd(seen.type)).length === records.length) break
      }
      expect(verifyLog(log), name).toEqual([])
      await Promise.all([a, b, readers].map((node) => node.shutdown({ graceMs: 1 })))
      const calls = stores.reduce((sum, store) => sum + store.callCount(), 0)
      console.log(
        `${name}: ${records.length} tasks, ${log.length} events, ${calls} calls, ${Math.round(performance.now() - fromMs)} ms`,
      )
    }
  },
)
