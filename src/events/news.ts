/**
 * News of what other processes write to the store.
 *
 * A feed that somebody here watches is looked at when the store hints at it, and every `RECONCILE_MS` all the same. Whoever
 * watches hears of the last position when it has changed.
 */
import type { ClusterStore } from '../ports/cluster-store.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { TaskStore } from '../ports/task-store.ts'

export const RECONCILE_MS = 2_000
/** However many hints come, a feed is not looked at more often. */
const LOOK_MS = 20

/** Hears how far a feed goes by now. */
export type NewsListener = (position: number) => void

export interface News {
  /** Whether other processes may write to the store at all. */
  readonly isNeeded: boolean
  /** Watches the feed of an owner, or of all. Does nothing where one process has the store for itself. */
  watch(owner: string | undefined, listener: NewsListener): () => void
  close(): void
}

export const NO_NEWS: News = { isNeeded: false, watch: () => () => undefined, close: () => undefined }

interface Watched {
  readonly owner: string | undefined
  readonly listeners: Set<NewsListener>
  position: number
  isLooking: boolean
  mustLookAgain: boolean
  /** Until it is over, nobody looks because of a hint. */
  rest: Moment | undefined
}

export function createNews(parts: {
  readonly store: Pick<TaskStore, 'lastPosition'>
  readonly cluster: Pick<ClusterStore, 'watch'>
  readonly deadlines: Deadlines
  readonly reportError: (error: unknown) => void
}): News {
  const { store, deadlines } = parts
  const feeds = new Map<string | undefined, Watched>()
  let reconcile: Moment | undefined
  let stopWatching: (() => void) | undefined

  const look = async (watched: Watched): Promise<void> => {
    if (watched.isLooking) {
      watched.mustLookAgain = true
      return
    }
    watched.isLooking = true
    watched.mustLookAgain = false
    try {
      const position = await store.lastPosition(watched.owner)
      if (position !== watched.position) tell(watched, position)
    } catch {
      // The next look comes by itself, and whoever reads the feed learns what is wrong with the store.
    }
    watched.isLooking = false
    if (watched.mustLookAgain && watched.rest === undefined) lookOrRest(watched)
  }

  const tell = (watched: Watched, position: number): void => {
    watched.position = position
    for (const listener of Array.from(watched.listeners)) {
      try {
        listener(position)
      } catch (error) {
        parts.reportError(error)
      }
    }
  }

  /** The first hint after a rest is looked into at once, and those that come soon after it together. */
  const lookOrRest = (watched: Watched): void => {
    if (watched.listeners.size === 0) return
    if (watched.rest !== undefined) {
      watched.mustLookAgain = true
      return
    }
    watched.rest = deadlines.idleAfter(
      LOOK_MS,
      () => {
        watched.rest = undefined
        if (watched.mustLookAgain) lookOrRest(watched)
      },
      undefined,
    )
    void look(watched)
  }

  const lookAtAll = (): void => {
    for (const watched of feeds.values()) void look(watched)
    plan()
  }

  const plan = (): void => {
    reconcile = feeds.size === 0 ? undefined : deadlines.idleAfter(RECONCILE_MS, lookAtAll, undefined)
  }

  const begin = (): void => {
    plan()
    stopWatching = parts.cluster.watch(({ owner, node }) => {
      if (node !== undefined && owner === undefined) return
      for (const watched of feeds.values()) {
        if (owner === undefined || watched.owner === undefined || watched.owner === owner) lookOrRest(watched)
      }
    })
  }

  const end = (): void => {
    reconcile?.disarm()
    reconcile = undefined
    stopWatching?.()
    stopWatching = undefined
  }

  return {
    isNeeded: true,
    watch(owner, listener) {
      const known = feeds.get(owner)
      const watched = known ?? {
        owner,
        listeners: new Set<NewsListener>(),
        position: -1,
        isLooking: false,
        mustLookAgain: false,
        rest: undefined,
      }
      feeds.set(owner, watched)
      watched.listeners.add(listener)
      if (stopWatching === undefined) begin()
      return () => {
        watched.listeners.delete(listener)
        if (watched.listeners.size > 0 || feeds.get(owner) !== watched) return
        watched.rest?.disarm()
        feeds.delete(owner)
        if (feeds.size === 0) end()
      }
    },
    close: end,
  }
}
