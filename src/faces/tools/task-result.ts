/** `task_result`: what a task gave, a page at a time. It never waits. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { CHANGES_NOTHING, type ControlParts, type ControlToolSpec } from './control-tool.ts'
import { nextStep } from './next-step.ts'
import { describeOutcome, requireRecord } from './outcomes.ts'
import { PAGE, TASK_ID } from './parameters.ts'
import { describeState } from './record-texts.ts'

const parameters = { task_id: TASK_ID, page: PAGE }

export function createTaskResult(parts: ControlParts): ControlToolSpec<typeof parameters> {
  return {
    name: 'task_result',
    description:
      'Reads the result of a task that has ended, or why it has none. A long result comes in pages; the answer says how many there are.',
    parameters,
    annotations: CHANGES_NOTHING,
    async answer({ task_id: taskId, page }) {
      const record = await requireRecord(parts, taskId)
      if (isFinalStatus(record.status)) return describeOutcome(parts, record, page)
      return `${describeState(record, parts.now())} It has no result yet. ${nextStep(parts, record)}`.trimEnd()
    },
  }
}
