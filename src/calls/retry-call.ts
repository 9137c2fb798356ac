/** From a task that has ended to the same call once more, as a new task. */
import { TaskError } from '../errors.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { CheckedCall } from '../runtime/task-spec.ts'
import type { ResolvedTool } from '../tool.ts'
import { toBudget } from './call-limits.ts'
import { createRecall } from './recall.ts'

/** @throws `not_allowed` where the call cannot be made again */
export function createRetryCall(parts: {
  readonly store: Pick<TaskStore, 'readAttachment'>
  readonly tools: ReadonlyMap<string, ResolvedTool>
}): (record: StoredRecord) => Promise<CheckedCall> {
  const recall = createRecall(parts.tools)
  return async (record) => {
    const { taskId, budget } = record
    const inputJson = await parts.store.readAttachment(taskId, 'input')
    const recalled = inputJson === undefined ? undefined : await recall(record, inputJson)
    if (recalled === undefined) {
      const why = 'Only what has recovery: rerun, and a tool that is registered here, can be called again.'
      throw new TaskError('not_allowed', why, { taskId })
    }
    return {
      // The dedupe key names the task that has ended as long as that is kept.
      spec: { ...recalled.spec, dedupe: undefined, budget: budget && toBudget(budget.granted), retryOf: taskId },
      input: recalled.input,
      inputJson,
      taskId: undefined,
      above: undefined,
      signal: undefined,
      cancelSignal: undefined,
    }
  }
}
