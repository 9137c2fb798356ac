/** `task_wait`: waits for the end of a task, and tells it as `task_result` does. Giving up leaves the task alone. */
import { isTaskError } from '../../errors.ts'
import { answerWith } from './answers.ts'
import { CHANGES_NOTHING, type ControlParts, type ControlToolSpec } from './control-tool.ts'
import { describeOutcome, requireRecord } from './outcomes.ts'
import { TASK_ID, toWaitMs, WAIT_SECONDS } from './parameters.ts'
import { dataOf, describeState } from './record-texts.ts'

const parameters = { task_id: TASK_ID, wait_seconds: WAIT_SECONDS }

export function createTaskWait(parts: ControlParts): ControlToolSpec<typeof parameters> {
  return {
    name: 'task_wait',
    description:
      'Waits until a task has ended, and gives the first page of its result. When the wait is over first, the task goes on, and you can do something else or wait again. If you have other work, do that instead of waiting.',
    parameters,
    annotations: CHANGES_NOTHING,
    async answer({ task_id: taskId, wait_seconds: seconds }, { signal }) {
      try {
        const waitMs = toWaitMs(seconds)
        const record = await parts.session.wait(taskId, { waitMs, ...(signal === undefined ? {} : { signal }) })
        return await describeOutcome(parts, record, 1)
      } catch (error) {
        if (!isTaskError(error, 'wait_timeout')) throw error
        const record = await requireRecord(parts, taskId)
        const head = `The wait of ${seconds} s is over and the task goes on. ${describeState(record, parts.now())}`
        return answerWith(parts, head, dataOf(record))
      }
    },
  }
}
