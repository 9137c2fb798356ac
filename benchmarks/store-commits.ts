/** Commits as a supervisor makes them: the first and the last of a task that has a result of 300 bytes. */
import type { Commit, StoredRecord } from 'outlive'

const RESULT = JSON.stringify({ answer: 'x'.repeat(285) })
const AT = 1_700_000_000_000

/** The owner, and the prefix of the ids, keep what different users of one server write apart. */
export function createCommits(owner: string): {
  firsts(count: number): Commit[]
  /** The last commit of each of the tasks that these have begun. */
  lasts(firsts: readonly Commit[]): Commit[]
} {
  let made = 0
  return {
    firsts: (count) =>
      Array.from({ length: count }, () => {
        made += 1
        const taskId = `${owner}-${String(made).padStart(16, '0')}`
        const record: StoredRecord = {
          taskId,
          tool: 'search_papers',
          owner,
          rootId: taskId,
          depth: 0,
          status: 'running',
          caller: 'detached',
          attempt: 1,
          epoch: 1,
          createdAt: AT + made,
          targets: [],
          version: 1,
          lastSeq: 1,
          policy: { timeoutMs: 1_800_000, onParentEnd: 'wait', onChildFailure: 'isolate' },
        }
        return commitOf(record, { seq: 1, type: 'task.queued', at: AT + made, epoch: 1, data: {} })
      }),
    lasts: (firsts) =>
      firsts.map(({ record: before }) => {
        const record: StoredRecord = {
          ...before,
          status: 'completed',
          startedAt: before.createdAt + 1,
          endedAt: before.createdAt + 2,
          version: 2,
          lastSeq: 2,
          resultBytes: RESULT.length,
          resultJson: RESULT,
        }
        return commitOf(record, {
          seq: 2,
          type: 'task.completed',
          at: before.createdAt + 2,
          epoch: 1,
          data: { durationMs: 1 },
        })
      }),
  }
}

function commitOf(record: StoredRecord, event: Commit['events'][number]): Commit {
  return {
    id: `${record.taskId}:1:${record.version}`,
    expect: { version: record.version - 1, epoch: 1 },
    record,
    events: [event],
    trimTo: 0,
    outbox: [],
    claims: [],
    attachments: [],
  }
}
