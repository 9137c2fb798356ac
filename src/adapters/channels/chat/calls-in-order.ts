/**
 * Calls that cannot be taken back, one at a time for each place.
 *
 * 1. A call begins when the one before it at its place has settled, also where nobody waits for that one any more.
 * 2. A call that was given up goes on. The next one with its key gets its answer, and nothing is called twice for it; if
 *    it fails, the next one calls again.
 * 3. A wait ends with its signal.
 */
export interface CallsInOrder<Value> {
  call(order: {
    readonly place: string
    readonly key: string
    readonly signal: AbortSignal
    readonly run: () => Promise<Value>
  }): Promise<Value>
}

/** Answers that nobody has come for yet; older ones are forgotten. */
const MAX_KEPT = 1_000

export function createCallsInOrder<Value>(): CallsInOrder<Value> {
  /** What is under way at each place, or was the last to be. */
  const last = new Map<string, Promise<unknown>>()
  /** Given up, by key. */
  const givenUp = new Map<string, Promise<Value>>()

  return {
    async call({ place, key, signal, run }) {
      const earlier = givenUp.get(key)
      if (earlier !== undefined) {
        const value = await orAborted(earlier, signal)
        givenUp.delete(key)
        return value
      }
      for (let before = last.get(place); before !== undefined; before = last.get(place)) {
        await orAborted(before, signal)
      }
      signal.throwIfAborted()
      const started = run()
      const settled = started.then(nothing, nothing).then(() => void last.delete(place))
      last.set(place, settled)
      try {
        return await orAborted(started, signal)
      } catch (error) {
        if (signal.aborted) keep(givenUp, key, started)
        throw error
      }
    },
  }
}

function keep<Value>(givenUp: Map<string, Promise<Value>>, key: string, started: Promise<Value>): void {
  givenUp.set(key, started)
  started.catch(() => void givenUp.delete(key))
  const [oldest] = givenUp.keys()
  if (givenUp.size > MAX_KEPT && oldest !== undefined) givenUp.delete(oldest)
}

function nothing(): void {}

/** What a promise says, unless the signal comes first. */
export async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}
