/** The task store in memory of the MCP SDK. It keeps what its user runs: the promise is awaited, then the result stored. */
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks'
import type { Peer } from './peer.ts'

/** Records stay until then, whatever became of them. */
const TTL_MS = 10_000
const REQUEST = { method: 'tools/call', params: { name: 'plus_one' } } as const

export const mcpTaskStore: Peer = {
  title: 'MCP SDK, task store in memory',
  npm: '@modelcontextprotocol/sdk',
  lacks: 'running anything, signal, tree; its time limit drops the record and leaves the work',
  open({ work }) {
    const store = new InMemoryTaskStore()
    const create = (n: number) => store.createTask({ ttl: TTL_MS }, n, REQUEST)
    const perform = async (taskId: string, n: number): Promise<void> => {
      const value = await work(n)
      await store.storeTaskResult(taskId, 'completed', { content: [], value })
    }
    const valueOf = async (taskId: string): Promise<number> => {
      const { value } = await store.getTaskResult(taskId)
      return value as number
    }
    const running = new Map<unknown, Promise<void>>()
    return {
      async call(n) {
        const { taskId } = await create(n)
        await perform(taskId, n)
        return valueOf(taskId)
      },
      background: {
        async start(n) {
          const { taskId } = await create(n)
          running.set(taskId, perform(taskId, n))
          return taskId
        },
        async ended(key) {
          await running.get(key)
          running.delete(key)
        },
        fetch: (key) => valueOf(key as string),
      },
      close: () => store.cleanup(),
    }
  },
}
