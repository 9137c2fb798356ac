/** One supervisor for one test: the store and the charts that the run asks for, a clock and ids that the test holds. */
import {
  createTaskSupervisor,
  memoryStore,
  type Session,
  type StreamItem,
  type TaskStore,
  type TaskSupervisor,
  type TaskSupervisorOptions,
} from 'outlive'
import { createManualClock, lateStore, sequentialIds, type ManualClock } from 'outlive/testing'
import { inject, onTestFinished } from 'vitest'

export interface Harness {
  readonly tasks: TaskSupervisor
  /** A session of `ann`. */
  readonly ann: Session
  /** A session of `bob`. */
  readonly bob: Session
  readonly clock: ManualClock
  readonly store: TaskStore
  /** Everything the supervisor logged. */
  readonly logged: {
    readonly level: 'warn' | 'error'
    readonly fields: Readonly<Record<string, unknown>>
    readonly message: string
  }[]
  /** Lets time pass, with everything it causes. */
  advance(ms: number): Promise<void>
  /** Lets everything happen that needs no time to pass. */
  settle(): Promise<void>
  /** Lets retention drop what is too much: a store that answers late rests for a moment first. */
  prune(): Promise<void>
}

/** A random source that is the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Whether the store of this run answers late. */
export const isLateStore = inject('store') === 'late'

export function setup(options: Omit<TaskSupervisorOptions, 'clock'> = {}): Harness {
  const inner = options.store ?? memoryStore()
  const late = isLateStore ? lateStore(inner, seededRandom(42)) : undefined
  const store = late ?? inner
  const logged: Harness['logged'] = []
  const log =
    (level: 'warn' | 'error') =>
    (fields: Readonly<Record<string, unknown>>, message: string): void =>
      void logged.push({ level, fields, message })

  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setImmediate(resolve))
      const isQuiet = (late?.pendingCount() ?? 0) === 0 && clock.pendingTurns() === 0
      quiet = isQuiet ? quiet + 1 : 0
    }
  }
  const clock = createManualClock({ settle })
  const tasks = createTaskSupervisor({
    createId: sequentialIds(),
    random01: seededRandom(7),
    logger: { warn: log('warn'), error: log('error') },
    memoise: inject('memoise'),
    ...options,
    store,
    clock,
  })
  onTestFinished(async () => {
    const closing = tasks.shutdown({ graceMs: 1 })
    await clock.advance(60_000)
    await closing
  })
  return {
    tasks,
    ann: tasks.session({ owner: 'ann' }),
    bob: tasks.session({ owner: 'bob' }),
    clock,
    store,
    logged,
    advance: (ms) => clock.advance(ms),
    settle,
    prune: () => clock.advance(100),
  }
}

/** Collects a stream until it ends or the test does. */
export function collect(stream: AsyncIterable<StreamItem>): {
  readonly items: StreamItem[]
  readonly ended: Promise<unknown>
} {
  const items: StreamItem[] = []
  const ended = (async (): Promise<unknown> => {
    try {
      for await (const item of stream) items.push(item)
      return undefined
    } catch (error) {
      return error
    }
  })()
  return { items, ended }
}

/** What became of a promise, without waiting for it. */
export function watch<Value>(promise: Promise<Value>): {
  state: 'pending' | 'resolved' | 'rejected'
  value?: Value
  error?: unknown
} {
  const seen: ReturnType<typeof watch<Value>> = { state: 'pending' }
  promise.then(
    (value) => {
      seen.state = 'resolved'
      seen.value = value
    },
    (error: unknown) => {
      seen.state = 'rejected'
      seen.error = error
    },
  )
  return seen
}
