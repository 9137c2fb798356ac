/** A store whose commits take effect and are answered when a scheduler says so. */
import { memoryStore, type Commit, type CommitReply, type TaskStore } from 'outlive'
import type { fc } from './properties.ts'

/** How such a store takes and answers its commits. */
export type ReplyOrder = 'at once' | 'effect at once, reply late' | 'effect and reply late'

export function scheduledStore(scheduler: fc.Scheduler, order: ReplyOrder): TaskStore {
  const inner = memoryStore()
  if (order === 'at once') return inner
  return {
    ...inner,
    async commit(commit: Commit): Promise<CommitReply> {
      if (order === 'effect and reply late') await scheduler.schedule(Promise.resolve(), 'store takes effect')
      const reply = await inner.commit(commit)
      await scheduler.schedule(Promise.resolve(), 'store replies')
      return reply
    },
  }
}
