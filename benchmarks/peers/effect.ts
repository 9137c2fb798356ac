/** Effect: a promise with a timeout, and a fiber of its own that is joined or asked later. */
import { Effect, Fiber } from 'effect'
import { LIMIT_MS, type Assignment, type Peer } from './peer.ts'

/** Effect makes a signal for a function that takes one. */
const toTask = ({ work, readsSignal }: Assignment, n: number) =>
  Effect.tryPromise(readsSignal ? (signal) => work(n, { signal }) : () => work(n)).pipe(Effect.timeout(LIMIT_MS))

export const effectTimeout: Peer = {
  title: 'Effect with a timeout',
  npm: 'effect',
  lacks: 'background',
  hasSignal: true,
  open: (assignment) => ({
    call: (n) => Effect.runPromise(toTask(assignment, n)),
    close: () => undefined,
  }),
}

export const effectFork: Peer = {
  title: 'Effect, fork with a timeout, then join',
  treeTitle: 'Effect, `Fiber.interrupt`',
  npm: 'effect',
  lacks: 'ids',
  hasSignal: true,
  maxLive: 100_000,
  open: (assignment) => ({
    call: (n) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkDetach(toTask(assignment, n))
          return yield* Fiber.join(fiber)
        }),
      ),
    background: {
      start: (n) => Effect.runFork(toTask(assignment, n)),
      ended: (key) => Effect.runPromise(Fiber.await(key as Fiber.Fiber<number>)),
      fetch: (key) => Effect.runPromise(Fiber.join(key as Fiber.Fiber<number>)),
    },
    close: () => undefined,
  }),
  async plant(parents) {
    const children = parents.map((): number[] => [])
    for (const [n, parent] of parents.entries()) children[parent]?.push(n)
    let started = 0
    let stopped = 0
    const node = (n: number): Effect.Effect<never> =>
      Effect.gen(function* () {
        for (const child of children[n] ?? []) yield* Effect.forkChild(node(child))
        started += 1
        return yield* Effect.never
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => (stopped += 1))))
    const root = Effect.runFork(node(0))
    while (started < parents.length) await new Promise((resolve) => setImmediate(resolve))
    return { cancel: () => Effect.runPromise(Fiber.interrupt(root)), stopped: () => stopped }
  },
}
