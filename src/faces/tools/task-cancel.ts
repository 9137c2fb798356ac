/** `task_cancel`: stops a task and everything below it: one by its id, the one that asks, or one by its name. */
import { isFinalStatus, LIVE_STATUSES } from '../../../machines/vocabulary.ts'
import { TaskNotFoundError } from '../../errors.ts'
import type { CancelReport } from '../../ports/task-handle.ts'
import { countOf } from './answers.ts'
import type { ControlParts, ControlToolSpec } from './control-tool.ts'
import { requireRecord } from './outcomes.ts'
import { text } from './parameters.ts'

const SELF = 'self'
const MAX_NAME_CHARS = 64

const parameters = {
  task_id: text(`The id of the task, or "${SELF}" for the task that you are.`),
  name: text('Instead of an id: the name of a live task. Within a task, only of one directly below it.'),
}

export function createTaskCancel(parts: ControlParts): ControlToolSpec<typeof parameters> {
  const { session } = parts

  /** Names are unique among live tasks. @throws `task_not_found` */
  const findNamed = async (name: string, self: string | undefined): Promise<string> => {
    const [found] =
      name === '' || name.length > MAX_NAME_CHARS
        ? []
        : (await session.list({ name, status: LIVE_STATUSES, ...(self === undefined ? {} : { parent: self }) })).tasks
    if (found === undefined) throw new TaskNotFoundError()
    return found.taskId
  }

  /** The code that awaits this answer is the task's own: its end cannot be waited for here. */
  const cancelSelf = async (self: string): Promise<string> => {
    const { status } = await requireRecord(parts, self)
    if (isFinalStatus(status)) return describeReport(self, { count: 0, tasks: [{ taskId: self, status }] })
    await Promise.race([session.cancel(self), session.get(self)])
    return `Your own task ${self} is told to stop, and everything below it. Bring your work to an end now.`
  }

  return {
    name: 'task_cancel',
    description:
      'Stops a task and every task below it, for good. What they have by then may be kept as partial results. A task that has ended is left as it is.',
    parameters,
    annotations: { readOnly: false, destructive: true, idempotent: true },
    async answer({ task_id: taskId, name }) {
      const self = await parts.findSelf()
      if (taskId === SELF || (taskId === '' && name === SELF)) {
        return self === undefined
          ? `There is no task here that "${SELF}" could mean: you are not run by one. Name the task to stop by its id.`
          : cancelSelf(self)
      }
      const wanted = taskId === '' ? await findNamed(name, self) : taskId
      if (wanted === self) return cancelSelf(self)
      return describeReport(wanted, await session.cancel(wanted))
    },
  }
}

function describeReport(taskId: string, { count, tasks }: CancelReport): string {
  if (count === 0) return `Task ${taskId} had ended already (${tasks[0]?.status ?? 'ended'}); nothing was stopped.`
  const statuses = new Map<string, number>()
  for (const { status } of tasks) statuses.set(status, (statuses.get(status) ?? 0) + 1)
  const standing = [...statuses].map(([status, number]) => `${number} ${status}`).join(', ')
  return `Task ${taskId} and what was below it were told to stop: ${countOf(count, 'task')}. Now: ${standing}.`
}
