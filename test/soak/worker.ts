/**
 * A process of a soak that runs tasks: `worker.js GIVEN`. The load speaks with it through its door, and so does the process
 * that started it, with which it ends. What its consumer of one owner's events reads it says to that process.
 */
import { Redis } from 'ioredis'
import { createTaskSupervisor, isTaskError, type SpawnCall, type StreamItem } from 'outlive'
import { redisStore } from 'outlive/redis'
import { taskTrees } from 'outlive/testing'
import { countListeners, createLine, openDoor } from './door.ts'

export interface WorkerGiven {
  readonly redisUrl: string
  /** The door of the receiver of results. */
  readonly receiverPort: number
  readonly leaseMs: number
  /** Whose events it reads, and from where. */
  readonly follows: string
  readonly after?: string
}

export type WorkerNote =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'seen'; readonly items: readonly StreamItem[]; readonly cursor?: string }

/** What is not to grow. */
export interface Measured {
  readonly heapBytes: number
  readonly listeners: number
  /** What the loop of the process knows, by its kind in Node, as `TCPSocketWrap`. */
  readonly handles: Readonly<Record<string, number>>
  readonly counters: Readonly<Record<string, number>>
}

const SEND_MS = 2_000
const given = JSON.parse(process.argv[2] ?? '') as WorkerGiven
const { gc } = globalThis
if (gc === undefined) throw new Error('A worker of a soak needs --expose-gc')

process.on('disconnect', () => process.exit(1))
const say = (note: WorkerNote): void => {
  if (process.connected) process.send?.(note)
}

const clients = new Set<Redis>()
const store = redisStore({
  commandTimeoutMs: 2_000,
  redis: (options) => {
    const client = new Redis(given.redisUrl, options)
    clients.add(client)
    client.on('end', () => clients.delete(client))
    return client
  },
})
const scenario = taskTrees()
/** How many timers are those of the tools. */
let sleeping = 0
const tools = scenario.tools({
  name: String(process.pid),
  async sleep(ms) {
    sleeping += 1
    await new Promise((resolve) => setTimeout(resolve, ms))
    sleeping -= 1
  },
  random01: Math.random,
  effect: () => undefined,
})
const receiver = createLine(() => given.receiverPort)
const tasks = createTaskSupervisor({
  ...scenario.settings,
  leaseMs: given.leaseMs,
  timeoutMs: given.leaseMs * 4,
  limits: { maxDepth: 4, maxChildren: 6, maxRunning: 300, maxRunningPerOwner: 150, maxQueued: 300 },
  retention: { maxFinished: Infinity, finishedMs: Infinity },
  delivery: { sendMs: SEND_MS, baseMs: 200, maxMs: 2_000 },
  lineage: 'explicit',
  logger: { warn: () => undefined, error: () => undefined },
  tools,
  store,
  channels: {
    mail: {
      async send({ target, message }) {
        const body = `${message.text} (${message.part}/${message.parts})`
        await receiver.call('take', { deliveryId: message.id, target: `mail:${target.id}`, body }, 2 * SEND_MS)
      },
    },
  },
})

const sessionOf = (owner: string) => tasks.session({ owner })

interface OnTask {
  readonly owner: string
  readonly taskId: string
}

const verbs = {
  async spawn({ owner, tool, input, options }: SpawnOrder) {
    const found = tools.find(({ name }) => name === tool)
    if (found === undefined) throw new TypeError(`there is no tool ${tool}`)
    const { taskId } = await sessionOf(owner).spawn(found as never, input as never, options)
    return taskId
  },
  cancel: ({ owner, taskId }: OnTask) => sessionOf(owner).cancel(taskId),
  redirect: ({ owner, taskId, target }: OnTask & { target: string }) => sessionOf(owner).redirect(taskId, target),
  send: ({ owner, taskId }: OnTask) => sessionOf(owner).send(taskId, { hello: taskId }),
  async answer({ owner, taskId }: OnTask) {
    const record = await sessionOf(owner).get(taskId)
    const [question] = record?.questions ?? []
    if (question === undefined) return false
    await sessionOf(owner).answer(taskId, question.key, true)
    return true
  },
  async look({ owner, taskId }: OnTask) {
    return (await sessionOf(owner).get(taskId)) ?? null
  },
  wait: ({ owner, taskId, waitMs }: OnTask & { waitMs: number }) => sessionOf(owner).wait(taskId, { waitMs }),
  result: ({ owner, taskId }: OnTask) => sessionOf(owner).result(taskId),
  health: () => tasks.operator.health(),
  stats: () => tasks.operator.stats(),
  audit: ({ after }: { after?: string }) =>
    tasks.operator.audit({ limit: 1_000, ...(after === undefined ? {} : { after }) }),
  async measure(): Promise<Measured> {
    const { counters } = await tasks.operator.stats()
    // Twice: what the first collection finds to be finalised, the second one frees.
    for (let round = 0; round < 2; round += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      gc()
    }
    return {
      heapBytes: process.memoryUsage().heapUsed,
      handles: countHandles(),
      listeners:
        countListeners(process) +
        door.listenerCount() +
        [...clients].reduce((sum, client) => sum + countListeners(client), 0),
      counters: { ...counters },
    }
  },
}

/** Without the timers of the tools: these come and go with the load. */
function countHandles(): Record<string, number> {
  const counts: Record<string, number> = { Timeout: -sleeping }
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

interface SpawnOrder {
  readonly owner: string
  readonly tool: string
  readonly input: unknown
  readonly options: SpawnCall
}

/** Reads on after whatever breaks the stream, from where it was. */
async function follow(): Promise<void> {
  let { after } = given
  for (;;) {
    try {
      for await (const item of sessionOf(given.follows).events(after === undefined ? {} : { after })) {
        if ('cursor' in item && item.cursor !== undefined) after = item.cursor
        say({ kind: 'seen', items: [item], ...(after === undefined ? {} : { cursor: after }) })
      }
    } catch {
      // The next try says whether it goes on.
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const door = await openDoor(verbs, (error) => (isTaskError(error) ? error.code : 'error'))
say({ kind: 'ready', port: door.port })
tasks.start().catch(() => undefined)
await follow()
