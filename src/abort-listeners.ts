/**
 * Listening to signals that belong to others. However many calls share a signal, it has one listener of ours: Node walks
 * all listeners of a signal to add one, and warns of a leak from the eleventh on.
 */

const LISTENERS = Symbol('listeners')

/** They lie with the signal: a table of all signals would hold what they know until the next full collection. */
interface Shared extends AbortSignal {
  [LISTENERS]?: Set<() => void>
}

/**
 * Calls `listener` with the signal's reason once, when it aborts; not at all if it has aborted already. The undo may be
 * called at any time and more than once.
 */
export function onAbort(signal: Shared | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined || signal.aborted) return () => undefined
  const shared = (signal[LISTENERS] ??= new Set())
  if (shared.size === 0) signal.addEventListener('abort', tellAll, { once: true })
  const hear = (): void => listener(signal.reason)
  shared.add(hear)
  return () => {
    if (shared.delete(hear) && shared.size === 0) signal.removeEventListener('abort', tellAll)
  }
}

function tellAll(this: Shared): void {
  const listeners = this[LISTENERS] ?? new Set()
  for (const hear of listeners) {
    listeners.delete(hear)
    hear()
  }
}
