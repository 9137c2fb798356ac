/** Nobody's: a promise and nothing else, or with a timer and an AbortController beside it. */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { raceWithDeadline } from '../floor.ts'
import { LIMIT_MS, type Peer } from './peer.ts'

export const bare: Peer = {
  title: 'a bare promise',
  lacks: 'time limit, signal, background, tree',
  open: ({ work }) => ({ call: (n) => work(n), close: () => undefined }),
}

export const floor: Peer = {
  title: 'the floor: a race with a timer, and an AbortController',
  lacks: 'everything but a time limit and a signal',
  hasSignal: true,
  open({ work }) {
    const call = (n: number): Promise<number> => raceWithDeadline((signal) => work(n, { signal }), LIMIT_MS)
    const results = new Map<unknown, Promise<number>>()
    return {
      call,
      background: {
        start(n) {
          const key = randomUUID()
          results.set(key, call(n))
          return key
        },
        ended: async (key) => results.get(key),
        fetch: async (key) => results.get(key) ?? Number.NaN,
      },
      close: () => results.clear(),
    }
  },
}

/** The usual cascade: each child listens to the signal of its parent. */
export const abortCascade: Peer = {
  ...floor,
  title: 'AbortController cascade',
  async plant(parents) {
    let stopped = 0
    const controllers: AbortController[] = []
    for (const parent of parents) {
      const controller = new AbortController()
      setMaxListeners(0, controller.signal)
      controller.signal.addEventListener('abort', () => (stopped += 1), { once: true })
      controllers[parent]?.signal.addEventListener('abort', () => controller.abort('parent'), { once: true })
      controllers.push(controller)
    }
    return { cancel: () => controllers[0]?.abort('user'), stopped: () => stopped }
  },
}
