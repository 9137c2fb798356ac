/** Ways to do only so much at a time. */

/** Works through the items, at most `lanes` of them at a time. `work` has to deal with its own errors. */
export async function inLanes<Item>(
  items: Iterable<Item>,
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** The items as long as they are wanted; asked again before each. */
export function* whileWanted<Item>(items: Iterable<Item>, isWanted: () => boolean): Generator<Item> {
  for (const item of items) {
    if (!isWanted()) return
    yield item
  }
}

export interface Gate {
  /** Does the work when there is room, and not at all when the signal aborts before. */
  pass<Value>(signal: AbortSignal, work: () => Promise<Value>): Promise<Value>
}

/** A gate that all tasks share: open files and child processes are limited for the process, not for a folder. */
export function createGate(places: number): Gate {
  const queue: (() => void)[] = []
  let free = places

  const whenFree = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        queue.splice(queue.indexOf(enter), 1)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      queue.push(enter)
    })

  return {
    async pass(signal, work) {
      signal.throwIfAborted()
      if (free > 0) free -= 1
      else await whenFree(signal)
      try {
        return await work()
      } finally {
        // The place goes to the next in the queue, or back.
        const next = queue.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}
