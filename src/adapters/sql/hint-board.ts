/** Who watches the store, and who tells them. */
import type { StoreHint } from '../../ports/cluster-store.ts'

type OnHint = (hint: StoreHint) => void

export interface HintBoard {
  /** Calls back until the undo is called. */
  watch(onHint: OnHint): () => void
  /** Tells those who watch, not on the stack of the caller. */
  tell(hints: readonly StoreHint[]): void
  /** Names the one who listens to other processes; it does so while somebody watches. */
  connect(listen: (onHint: OnHint) => () => void): void
  close(): void
}

export function createHintBoard(): HintBoard {
  const listeners = new Set<OnHint>()
  let listen: ((onHint: OnHint) => () => void) | undefined
  let stopListening: (() => void) | undefined

  const tell = (hints: readonly StoreHint[]): void => {
    if (listeners.size === 0) return
    queueMicrotask(() => {
      for (const hint of hints) for (const listener of listeners) listener(hint)
    })
  }

  const update = (): void => {
    if (listeners.size > 0) stopListening ??= listen?.((hint) => tell([hint]))
    else {
      stopListening?.()
      stopListening = undefined
    }
  }

  return {
    watch(onHint) {
      // A function of its own for each watch, so that an undo that is called twice takes nobody else's.
      const listener: OnHint = (hint) => onHint(hint)
      listeners.add(listener)
      update()
      return () => {
        listeners.delete(listener)
        update()
      }
    },
    tell,
    connect(listenTo) {
      listen = listenTo
      update()
      // What those who watch have missed so far is not known.
      tell([{}])
    },
    close() {
      listeners.clear()
      listen = undefined
      update()
    },
  }
}
