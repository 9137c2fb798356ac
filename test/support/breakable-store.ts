/** A store that stops answering, fails or loses its answers when a test says so, and a supervisor on top of it. */
import {
  createTaskSupervisor,
  memoryStore,
  type Commit,
  type CommitReply,
  type Session,
  type TaskStore,
  type TaskSupervisor,
  type TaskSupervisorOptions,
} from 'outlive'
import { createManualClock, lateStore, sequentialIds, type ManualClock } from 'outlive/testing'
import { inject, onTestFinished } from 'vitest'
import { isLateStore, seededRandom, type Harness } from './setup.ts'

/**
 * up: as the store below. hanging: requests do not arrive and nothing is answered until `recover`. failing: rejects.
 * throwing: throws at once. losing: does what it is told, then rejects as if the answer had been lost.
 */
export type Breakage = 'up' | 'hanging' | 'failing' | 'throwing' | 'losing'

interface BreakableStore extends TaskStore {
  /** From now on commits behave like this; with `reads`, everything else as well. */
  break(how: Exclude<Breakage, 'up'>, options?: { readonly reads?: boolean }): void
  /** Answers again; what hangs arrives now, in its order. */
  recover(): void
  /** The ids of all commits that were sent, repeated ones too. */
  readonly sent: readonly string[]
  /** The commits that took effect, in their order. A repeated one that was answered again is not here. */
  readonly applied: readonly Commit[]
}

function breakableStore(inner: TaskStore): BreakableStore {
  const sent: string[] = []
  const applied: Commit[] = []
  const known = new Set<string>()
  let mode: Breakage = 'up'
  let breaksReads = false
  let hanging: (() => void)[] = []

  const apply = async (commit: Commit): Promise<CommitReply> => {
    const reply = await inner.commit(commit)
    if (reply.kind === 'committed' && !known.has(commit.id)) {
      known.add(commit.id)
      applied.push(commit)
    }
    return reply
  }

  const hang = (): Promise<void> => new Promise((resolve) => void hanging.push(resolve))

  /** How a call ends that is not a commit. */
  const read = <Answer>(call: () => Answer | Promise<Answer>): Answer | Promise<Answer> => {
    if (!breaksReads || mode === 'up') return call()
    if (mode === 'hanging') return hang().then(call)
    return Promise.reject(new Error('the store is down'))
  }

  return {
    durability: inner.durability,
    incarnation: inner.incarnation,
    commit(commit) {
      sent.push(commit.id)
      switch (mode) {
        case 'up': {
          const reply = inner.commit(commit)
          if (reply instanceof Promise) return reply.then((answer) => note(commit, answer))
          return note(commit, reply)
        }
        case 'hanging':
          return hang().then(() => apply(commit))
        case 'failing':
          return Promise.reject(new Error('the store is down'))
        case 'throwing':
          throw new Error('the store is down')
        case 'losing':
          return apply(commit).then(() => {
            throw new Error('the answer was lost')
          })
      }
    },
    read: (taskId) => read(() => inner.read(taskId)),
    list: (query) => read(() => inner.list(query)),
    count: (owner) => read(() => inner.count(owner)),
    readEvents: (query) => read(() => inner.readEvents(query)),
    readFeed: (query) => read(() => inner.readFeed(query)),
    lastPosition: (owner) => read(() => inner.lastPosition(owner)),
    claimedBy: (claim) => read(() => inner.claimedBy(claim)),
    readAttachment: (taskId, kind) => read(() => inner.readAttachment(taskId, kind)),
    readOutbox: (taskId) => read(() => inner.readOutbox(taskId)),
    listDeliveries: (query) => read(() => inner.listDeliveries(query)),
    putDelivery: (entry) => inner.putDelivery(entry),
    prune: (limits) => read(() => inner.prune(limits)),
    close: () => inner.close(),
    break(how, { reads = false } = {}) {
      mode = how
      breaksReads = reads
    },
    recover() {
      mode = 'up'
      const waiting = hanging
      hanging = []
      for (const arrive of waiting) arrive()
    },
    sent,
    applied,
  }

  function note(commit: Commit, reply: CommitReply): CommitReply {
    if (reply.kind === 'committed' && !known.has(commit.id)) {
      known.add(commit.id)
      applied.push(commit)
    }
    return reply
  }
}

interface BreakableHarness extends Pick<Harness, 'logged'> {
  readonly tasks: TaskSupervisor
  readonly ann: Session
  readonly clock: ManualClock
  readonly store: BreakableStore
  advance(ms: number): Promise<void>
  settle(): Promise<void>
}

/** As `setup`, with a store that can be broken in front of the one the run asks for. */
export function setupBreakable(
  given: Omit<TaskSupervisorOptions, 'clock' | 'store'> & {
    /** How the store closes, if not at once. */
    readonly close?: TaskStore['close'] | undefined
  } = {},
): BreakableHarness {
  const { close, ...options } = given
  const memory = memoryStore()
  const late = isLateStore ? lateStore(memory, seededRandom(42)) : undefined
  const inner = late ?? memory
  const store = breakableStore(close === undefined ? inner : { ...inner, close })
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
    store.recover()
    const closing = tasks.shutdown({ graceMs: 1 })
    await clock.advance(60_000)
    await closing
  })
  return {
    tasks,
    ann: tasks.session({ owner: 'ann' }),
    clock,
    store,
    logged,
    advance: (ms) => clock.advance(ms),
    settle,
  }
}
