/** p-queue without a bound on how much runs at once, as in the other rows; it hands on a signal but makes none. */
import PQueue from 'p-queue'
import { LIMIT_MS, type Peer } from './peer.ts'

function createPeer(title: string, timeout: number | undefined): Peer {
  return {
    title,
    npm: 'p-queue',
    lacks: `${timeout === undefined ? 'time limit, ' : ''}signal, background, tree`,
    open({ work }) {
      const queue = new PQueue({ concurrency: Infinity, ...(timeout === undefined ? {} : { timeout }) })
      return {
        call: async (n) => queue.add(async () => work(n)),
        close: () => queue.clear(),
      }
    },
  }
}

export const pQueue = createPeer('p-queue', undefined)
export const pQueueTimeout = createPeer('p-queue with a timeout', LIMIT_MS)
