/** `task_redirect`: sends the result of a task somewhere else, as far as the host allows the model to name places. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { ControlParts, ControlToolSpec } from './control-tool.ts'
import { requireRecord } from './outcomes.ts'
import { TASK_ID, text, type Parameter } from './parameters.ts'

type RedirectParameters = { readonly task_id: Parameter<string>; readonly target: Parameter<string> }

export function createTaskRedirect(parts: ControlParts): ControlToolSpec<RedirectParameters> {
  const { session, redirectTo } = parts
  return {
    name: 'task_redirect',
    description:
      'Sends the result of a task to another place when it ends; the result of one that has ended is sent there at once.',
    parameters: {
      task_id: TASK_ID,
      target: text('Where the result goes.', { isRequired: true, choices: redirectTo }),
    },
    annotations: { readOnly: false, destructive: false, idempotent: true },
    async answer({ task_id: taskId, target }) {
      const allowed = redirectTo.find((known) => known === target.trim())
      if (allowed === undefined) {
        return `You cannot send results there, so nothing was changed. Places you can: ${redirectTo.join(', ')}.`
      }
      await session.redirect(taskId, allowed)
      const { status } = await requireRecord(parts, taskId)
      return isFinalStatus(status)
        ? `Task ${taskId} has ended (${status}), and its result is sent to ${allowed} now, unless it went there before.`
        : `The result of task ${taskId} goes to ${allowed} when it ends.`
    },
  }
}
