/** `task_check`: how a task stands now, in a few words. */
import { answerWith } from './answers.ts'
import { CHANGES_NOTHING, type ControlParts, type ControlToolSpec } from './control-tool.ts'
import { requireRecord } from './outcomes.ts'
import { TASK_ID } from './parameters.ts'
import { dataOf, describeState, describeTarget } from './record-texts.ts'
import { nextStep } from './next-step.ts'

const parameters = { task_id: TASK_ID }

export function createTaskCheck(parts: ControlParts): ControlToolSpec<typeof parameters> {
  return {
    name: 'task_check',
    description:
      'Tells at once how a task stands: its status, how far it is, what it asks, why it failed or was stopped. It does not wait and shows no result.',
    parameters,
    annotations: CHANGES_NOTHING,
    async answer({ task_id: taskId }) {
      const record = await requireRecord(parts, taskId)
      const sentences = [describeState(record, parts.now()), describeTarget(record), nextStep(parts, record)]
      return answerWith(parts, sentences.filter((sentence) => sentence !== '').join(' '), dataOf(record))
    },
  }
}
