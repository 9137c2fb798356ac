/** effection: an operation that waits for a promise, alone or in a race with a sleep. */
import { race, run, sleep, spawn, suspend, until, useAbortSignal, type Operation } from 'effection'
import { LIMIT_MS, type Assignment, type Peer } from './peer.ts'

function* perform({ work, readsSignal }: Assignment, n: number): Operation<number> {
  if (!readsSignal) return yield* until(work(n))
  const signal = yield* useAbortSignal()
  return yield* until(work(n, { signal }))
}

function* tooLate(): Operation<number> {
  yield* sleep(LIMIT_MS)
  throw new Error('too late')
}

export const effection: Peer = {
  title: 'effection',
  treeTitle: 'effection, `halt`',
  npm: 'effection',
  lacks: 'time limit, background',
  hasSignal: true,
  maxLive: 20_000,
  open: (assignment) => ({
    call: async (n) => run(() => perform(assignment, n)),
    close: () => undefined,
  }),
  async plant(parents) {
    const children = parents.map((): number[] => [])
    for (const [n, parent] of parents.entries()) children[parent]?.push(n)
    let started = 0
    let stopped = 0
    const node = function* (n: number): Operation<void> {
      for (const child of children[n] ?? []) {
        // Whoever spawned it owns it; nobody joins it.
        void (yield* spawn(() => node(child)))
      }
      started += 1
      try {
        yield* suspend()
      } finally {
        stopped += 1
      }
    }
    const root = run(() => node(0))
    while (started < parents.length) await new Promise((resolve) => setImmediate(resolve))
    return { cancel: () => root.halt(), stopped: () => stopped }
  },
}

export const effectionRace: Peer = {
  title: 'effection, a race with a sleep',
  npm: 'effection',
  lacks: 'background',
  hasSignal: true,
  maxLive: 5_000,
  open: (assignment) => ({
    call: async (n) => run(() => race([perform(assignment, n), tooLate()])),
    close: () => undefined,
  }),
}
