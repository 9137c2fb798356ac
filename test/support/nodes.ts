/** Several supervisors over one store, with one clock: what processes do that share a database, in one. */
import {
  createTaskSupervisor,
  memoryStore,
  type ClusterStore,
  type Session,
  type TaskStore,
  type TaskSupervisor,
  type TaskSupervisorOptions,
} from 'outlive'
import { createManualClock, lateStore, sequentialIds, type ManualClock } from 'outlive/testing'
import { inject, onTestFinished } from 'vitest'
import { isLateStore, seededRandom } from './setup.ts'

/** What a node's line to the store does to its calls. */
type Line = 'up' | 'down' | 'dead'

export interface Node {
  readonly tasks: TaskSupervisor
  readonly ann: Session
  readonly bob: Session
  readonly logged: { readonly level: 'warn' | 'error'; readonly message: string }[]
  /** The process is gone: nothing of it reaches the store any more, and nothing reaches it. */
  kill(): void
  /** Its line to the store is cut, or whole again. Calls fail meanwhile. */
  cut(): void
  mend(): void
}

export interface Nodes {
  readonly clock: ManualClock
  readonly store: TaskStore
  /** `wrap`: what this node has in front of the store. */
  start(
    options?: Omit<TaskSupervisorOptions, 'clock' | 'store' | 'createId'> & { wrap?: (store: TaskStore) => TaskStore },
  ): Promise<Node>
  advance(ms: number): Promise<void>
  settle(): Promise<void>
}

export const LEASE_MS = 3_000

export function setupNodes(given: { readonly wakes?: boolean } = {}): Nodes {
  const shared = memoryStore({ shared: true })
  const createId = sequentialIds()
  const lates: { pendingCount(): number }[] = []
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setImmediate(resolve))
      const isQuiet = lates.every((late) => late.pendingCount() === 0) && clock.pendingTurns() === 0
      quiet = isQuiet ? quiet + 1 : 0
    }
  }
  const clock = createManualClock({ settle })
  const base = given.wakes === false ? withoutHints(shared) : shared

  const start: Nodes['start'] = async ({ wrap = (inner: TaskStore) => inner, ...options } = {}) => {
    let line: Line = 'up'
    const late = isLateStore ? lateStore(base, seededRandom(lates.length + 1)) : undefined
    if (late !== undefined) lates.push(late)
    const logged: Node['logged'] = []
    const log =
      (level: 'warn' | 'error') =>
      (_fields: object, message: string): void =>
        void logged.push({ level, message })
    const tasks = createTaskSupervisor({
      leaseMs: LEASE_MS,
      random01: seededRandom(7),
      logger: { warn: log('warn'), error: log('error') },
      memoise: inject('memoise'),
      ...options,
      createId,
      store: lined(wrap(late ?? base), () => line),
      clock,
    })
    onTestFinished(async () => {
      if (line === 'dead') return
      line = 'up'
      const closing = tasks.shutdown({ graceMs: 1 })
      await clock.advance(60_000)
      await closing
    })
    const opening = tasks.start()
    await settle()
    await opening
    return {
      tasks,
      ann: tasks.session({ owner: 'ann' }),
      bob: tasks.session({ owner: 'bob' }),
      logged,
      kill: () => void (line = 'dead'),
      cut: () => void (line = 'down'),
      mend: () => void (line = 'up'),
    }
  }
  return { clock, store: shared, start, advance: (ms) => clock.advance(ms), settle }
}

/** A store behind a line: what is called while it is down fails, and while it is dead nothing is ever heard again. */
function lined(store: TaskStore, line: () => Line): TaskStore {
  const through = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name, receiver) {
        const value: unknown = Reflect.get(target, name, receiver)
        if (name === 'cluster') return through(value as ClusterStore)
        if (typeof value !== 'function') return value
        if (name === 'watch') {
          return (onHint: Parameters<ClusterStore['watch']>[0]) =>
            (target as unknown as ClusterStore).watch((hint) => void (line() === 'up' && onHint(hint)))
        }
        return (...args: unknown[]) => {
          if (line() === 'dead') return new Promise(() => undefined)
          if (line() === 'down') return Promise.reject(new Error('the line to the store is down'))
          return (value as (...all: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  return through(store)
}

function withoutHints(store: TaskStore): TaskStore {
  const { cluster } = store
  if (cluster === undefined) return store
  return { ...store, cluster: { ...cluster, watch: () => () => undefined } }
}
