/** Does to a task of this process what another one orders. What it gives is JSON. */
import type { StopCause } from '../../../machines/vocabulary.ts'
import { TaskError } from '../../errors.ts'
import type { CancelReport, Ticket } from '../../ports/task-handle.ts'
import type { LiveTask } from '../live-task.ts'
import type { Messages } from '../messages/messages.ts'
import type { GivenAnswer } from '../questions/given-answer.ts'
import { topTasks, type TreeIndex } from '../tree-index.ts'
import type { Shadows } from './shadows.ts'
import type { TaskOrder } from './task-order.ts'

export function createCarryOut(parts: {
  readonly tree: TreeIndex
  readonly messages: Messages
  readonly shadows: Shadows
  readonly closeRun: (owner: string, runId: string) => void
  readonly cancel: (roots: readonly LiveTask[], cause: StopCause) => Promise<CancelReport>
  readonly redirect: (task: LiveTask, target: string) => Promise<void>
  readonly answer: (task: LiveTask, given: GivenAnswer) => Promise<void>
  readonly background: (task: LiveTask) => Promise<Ticket>
}): (task: LiveTask, order: TaskOrder) => Promise<unknown> {
  return async (task, order) => {
    switch (order.verb) {
      case 'cancel':
        return parts.cancel([task], order.cause)
      case 'cancelAll': {
        const { owner } = task.spec
        if (order.runId !== undefined) parts.closeRun(owner, order.runId)
        return parts.cancel(topTasks(parts.tree, owner, order.runId), order.cause)
      }
      case 'redirect':
        return parts.redirect(task, order.target)
      case 'send':
        return parts.messages.send(task, order.message, order.from)
      case 'answer':
        return parts.answer(task, order)
      case 'ask':
        return parts.shadows.hear(task, order.question)
      case 'background':
        return parts.background(task)
      case 'adopt':
        return parts.shadows.adopt(task, order)
      case 'disown':
        return parts.shadows.disown(task, order.childId)
    }
    throw unknownOrder(task, order)
  }
}

/** Orders come from other processes, which may have a newer version of the library: then one that is not done is refused. */
function unknownOrder({ taskId }: LiveTask, { verb }: { readonly verb: unknown }): TaskError {
  const message = `The process that runs the task has another version of the library, without the order ${String(verb)}.`
  return new TaskError('task_unreachable', message, { taskId })
}
