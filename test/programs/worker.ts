/**
 * A process that runs tasks and does what the process of a test tells it to: `worker.js GIVEN`, with a channel between both.
 * It tells what its tools go through and what it logs, and ends with the process that started it.
 */
import {
  callbackChannel,
  createTaskSupervisor,
  isTaskError,
  shutdownOnSignals,
  type SpawnCall,
  type TaskSupervisorOptions,
} from 'outlive'
import { createTestHook } from './worker-hook.ts'
import { createTestTools, type TestTools } from './worker-tools.ts'
import { openTestStore, type StorePlace } from './worker-stores.ts'

export interface WorkerGiven {
  readonly place: StorePlace
  readonly owner: string
  readonly settings: Pick<
    TaskSupervisorOptions,
    'leaseMs' | 'graceMs' | 'commitWaitMs' | 'maxUnsavedBytes' | 'limits' | 'delivery'
  >
  /** Where the channel `hook` posts to. */
  readonly hookPort?: number
}

/** What the process says unasked. */
export type WorkerNote =
  | { readonly kind: 'started' | 'stopped'; readonly taskId: string; readonly attempt: number; readonly atMs: number }
  | { readonly kind: 'log'; readonly level: 'warn' | 'error'; readonly message: string; readonly atMs: number }
  | { readonly kind: 'report'; readonly report: unknown }

export interface WorkerCall {
  readonly id: number
  readonly verb: keyof WorkerVerbs
  readonly args: readonly unknown[]
}

export type WorkerReply =
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly code: string; readonly message: string }

const given = JSON.parse(process.argv[2] ?? '') as WorkerGiven
const die = (): never => process.exit(1)
const say = (said: WorkerNote | WorkerReply): void => {
  if (process.connected) process.send?.(said)
}

const tools = createTestTools((kind, { taskId, attempt }) => say({ kind, taskId, attempt, atMs: Date.now() }))
const log =
  (level: 'warn' | 'error') =>
  (_fields: object, message: string): void =>
    say({ kind: 'log', level, message, atMs: Date.now() })
const tasks = createTaskSupervisor({
  ...given.settings,
  store: openTestStore(given.place),
  channels: {
    mail: callbackChannel(() => undefined),
    ...(given.hookPort === undefined ? {} : { hook: createTestHook(given.hookPort) }),
  },
  tools: [tools.again, tools.deadly, tools.tree],
  retention: { maxFinished: 1_000_000 },
  logger: { warn: log('warn'), error: log('error') },
})
const mine = tasks.session({ owner: given.owner })
shutdownOnSignals(tasks, {
  graceMs: 200,
  async onShutdown(report) {
    process.off('disconnect', die)
    const last: WorkerNote = { kind: 'report', report }
    await new Promise((resolve) => process.send?.(last, resolve))
    // The channel would hold the process.
    process.disconnect?.()
  },
})

const verbs = {
  start: () => tasks.start(),
  async spawn(tool: keyof TestTools, input: unknown, count = 1, options: SpawnCall = {}): Promise<string[]> {
    const calls = Array.from({ length: count }, () => mine.spawn(tools[tool] as TestTools['hold'], input, options))
    return (await Promise.all(calls)).map(({ taskId }) => taskId)
  },
  async spawnEach(inputs: readonly unknown[], tool: keyof TestTools): Promise<string[]> {
    const calls = inputs.map((input) => mine.spawn(tools[tool] as TestTools['hold'], input))
    return (await Promise.all(calls)).map(({ taskId }) => taskId)
  },
  async result(taskId: string) {
    return mine.result(taskId)
  },
  cancelAll: () => mine.cancelAll(),
  health: () => tasks.operator.health(),
  async stats() {
    return { ...(await mine.stats()), counters: (await tasks.operator.stats()).counters }
  },
  shutdown: () => tasks.shutdown({ graceMs: 1 }),
}
export type WorkerVerbs = typeof verbs

const answer = async ({ id, verb, args }: WorkerCall): Promise<void> => {
  try {
    const value = await (verbs[verb] as (...all: readonly unknown[]) => unknown)(...args)
    say({ kind: 'reply', id, value })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    say({ kind: 'refusal', id, code: isTaskError(error) ? error.code : 'none', message })
  }
}

process.on('message', (call: WorkerCall) => void answer(call))
process.on('disconnect', die)
