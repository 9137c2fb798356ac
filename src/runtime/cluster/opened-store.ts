/**
 * A store that gets ready with its first use. Until then every call waits; a call whose store cannot be opened fails, and
 * one that comes `RETRY_MS` later tries again.
 */
import type { Awaitable } from '../../ports/awaitable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { TaskStore } from '../../ports/task-store.ts'

/** How long it is taken for granted that a store which could not be opened still cannot. */
const RETRY_MS = 250

export interface OpenedStore {
  readonly store: TaskStore
  /** Rejects with the reason when the store cannot be opened. */
  open(): Promise<void>
  /** Whether it is open, so that nothing waits. */
  isOpen(): boolean
}

export function createOpenedStore(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  /** Does what has to be done before the first use. Absent where nothing has. */
  readonly prepare: (() => Promise<void>) | undefined
  /** The store may be used from now on. */
  readonly onOpen: () => void
}): OpenedStore {
  const { store: inner, clock, prepare } = parts
  if (prepare === undefined) return { store: inner, open: () => Promise.resolve(), isOpen: () => true }
  let isOpen = false
  let opening: Promise<void> | undefined
  let failedAtMs = -Infinity

  const tryToOpen = async (): Promise<void> => {
    try {
      await prepare()
      isOpen = true
      parts.onOpen()
    } catch (error) {
      failedAtMs = clock.monotonicMs()
      throw error
    }
  }

  const open = (): Promise<void> => {
    const isOver = !isOpen && failedAtMs !== -Infinity && clock.monotonicMs() - failedAtMs >= RETRY_MS
    if (opening === undefined || isOver) {
      failedAtMs = -Infinity
      opening = tryToOpen()
    }
    return opening
  }

  const once = <Answer>(call: () => Awaitable<Answer>): Awaitable<Answer> => (isOpen ? call() : open().then(call))

  const store: TaskStore = {
    get durability() {
      return inner.durability
    },
    get incarnation() {
      return inner.incarnation
    },
    ...(inner.cluster === undefined ? {} : { cluster: inner.cluster }),
    commit: (commit) => once(() => inner.commit(commit)),
    read: (taskId) => once(() => inner.read(taskId)),
    list: (query) => once(() => inner.list(query)),
    count: (owner) => once(() => inner.count(owner)),
    readEvents: (read) => once(() => inner.readEvents(read)),
    readFeed: (read) => once(() => inner.readFeed(read)),
    lastPosition: (owner) => once(() => inner.lastPosition(owner)),
    claimedBy: (claim) => once(() => inner.claimedBy(claim)),
    readAttachment: (taskId, kind) => once(() => inner.readAttachment(taskId, kind)),
    readOutbox: (taskId) => once(() => inner.readOutbox(taskId)),
    listDeliveries: (query) => once(() => inner.listDeliveries(query)),
    putDelivery: (entry) => once(() => inner.putDelivery(entry)),
    prune: (limits) => once(() => inner.prune(limits)),
    close: () => inner.close(),
  }
  return { store, open, isOpen: () => isOpen }
}
