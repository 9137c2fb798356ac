/** What stands in front of a store. A call that waits here is none of the store's yet, so that nobody waits for it to settle. */
import type { Commit, ListQuery, TaskStore } from 'outlive'

interface Held {
  readonly list?: (query: ListQuery) => boolean
  readonly commit?: (commit: Commit) => boolean
}

export interface StoreDoor {
  readonly wrap: (store: TaskStore) => TaskStore
  /** From now on such calls wait. */
  hold(which: Held): void
  /** How many wait. */
  heldCount(): number
  /** Lets all of them through, and whatever comes. */
  release(): void
  /** Whether the lease can be renewed. */
  mute(isMute: boolean): void
}

export function createStoreDoor(): StoreDoor {
  let which: Held = {}
  let isMute = false
  const waiting: (() => void)[] = []
  const passed = async (mustWait: boolean | undefined): Promise<void> => {
    if (mustWait === true) await new Promise<void>((resolve) => void waiting.push(resolve))
  }
  return {
    wrap: (store) => ({
      ...store,
      async list(query) {
        await passed(which.list?.(query))
        return store.list(query)
      },
      async commit(commit) {
        await passed(which.commit?.(commit))
        return store.commit(commit)
      },
      ...(store.cluster === undefined
        ? {}
        : {
            cluster: {
              ...store.cluster,
              async renew(lease) {
                if (isMute) throw new Error('no lease is renewed')
                return store.cluster?.renew(lease) ?? false
              },
            },
          }),
    }),
    hold: (held) => void (which = held),
    heldCount: () => waiting.length,
    release() {
      which = {}
      for (const go of waiting.splice(0)) go()
    },
    mute: (muteNow) => void (isMute = muteNow),
  }
}
