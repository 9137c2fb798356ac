/** Records of ended tasks, for what is written about them. */
import type { TaskRecord } from 'outlive'

/** A completed task of 12.3 seconds, with other fields where given. */
export function taskRecord(fields: Partial<TaskRecord> = {}): TaskRecord {
  return {
    taskId: 'V1StGXR8Z5jdHi6BmyTpQw',
    tool: 'research',
    owner: 'user:42',
    rootId: 'V1StGXR8Z5jdHi6BmyTpQw',
    depth: 0,
    status: 'completed',
    caller: 'detached',
    attempt: 1,
    epoch: 1,
    createdAt: 1_000,
    startedAt: 2_000,
    endedAt: 14_345,
    targets: [],
    persisted: true,
    ...fields,
  }
}
