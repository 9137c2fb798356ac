/** `task_send`: says something to a task that runs. */
import type { ControlParts, ControlToolSpec } from './control-tool.ts'
import { TASK_ID, text, type Parameter } from './parameters.ts'

type SendParameters = { readonly task_id: Parameter<string>; readonly text: Parameter<string> }

export function createTaskSend({ session }: ControlParts): ControlToolSpec<SendParameters> {
  return {
    name: 'task_send',
    description:
      'Says something to a running task, as a change of plan. The task reads it when it next looks for messages.',
    parameters: { task_id: TASK_ID, text: text('What to say.', { isRequired: true }) },
    annotations: { readOnly: false, destructive: false, idempotent: false },
    async answer({ task_id: taskId, text: said }) {
      if (said === '') return 'There was nothing to say, so nothing was sent.'
      await session.send(taskId, { text: said })
      return `The message is in the inbox of task ${taskId}. Whether and when it is read is up to that task.`
    },
  }
}
