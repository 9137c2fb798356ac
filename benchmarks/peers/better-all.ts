/** better-all with a single task in each call. */
import { all } from 'better-all'
import type { Peer } from './peer.ts'

export const betterAll: Peer = {
  title: 'better-all',
  npm: 'better-all',
  lacks: 'time limit, background, tree',
  hasSignal: true,
  open: ({ work, readsSignal }) => ({
    async call(n) {
      const { answer } = await all({
        async answer(): Promise<number> {
          return readsSignal ? work(n, { signal: this.$signal }) : work(n)
        },
      })
      return answer
    },
    close: () => undefined,
  }),
}
