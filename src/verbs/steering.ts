/** What steers a task: how it is done here, what another process is asked to do, and what is said once the task has ended. */
import type { StopCause } from '../../machines/vocabulary.ts'
import { TaskError } from '../errors.ts'
import type { MessageSender, SendReceipt } from '../ports/message.ts'
import type { CancelReport, Ticket } from '../ports/task-handle.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import { toSendable } from '../runtime/messages/messages.ts'
import { toSendableAnswer, type GivenAnswer } from '../runtime/questions/given-answer.ts'
import type { Redirects } from '../runtime/redirects.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import { createTicket } from '../runtime/ticket.ts'
import type { ForTask } from '../task-places.ts'

export interface Steering {
  /** `from`: the task whose code asks. */
  cancel(cause: StopCause, from: LiveTask | undefined): ForTask<CancelReport>
  /** The target is checked once there is a task. `isAgain`: also when the result of an ended task went there before. */
  redirect(toTarget: () => string, isAgain: boolean): ForTask<unknown>
  answer(given: GivenAnswer): ForTask<unknown>
  send(message: unknown, from: MessageSender): ForTask<SendReceipt>
  background(): ForTask<Ticket>
}

export function createSteering(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly redirects: Redirects
}): Steering {
  const { runtime, store, redirects } = parts
  return {
    cancel: (cause, from) => ({
      here: (live) => runtime.cancel([live], cause, from),
      elsewhere: () => ({ verb: 'cancel', cause }),
      ended: ({ taskId, status }) => ({ count: 0, tasks: [{ taskId, status }] }),
    }),

    redirect: (toTarget, isAgain) => ({
      here: (live) => runtime.redirect(live, toTarget()),
      elsewhere: () => ({ verb: 'redirect', target: toTarget() }),
      ended: (record) => redirects.redirectFinal(record, toTarget(), isAgain),
    }),

    answer: (given) => ({
      here: (live) => runtime.answer(live, given),
      elsewhere: () => ({ verb: 'answer', ...toSendableAnswer(given) }),
      ended: refuseEnded,
    }),

    send: (message, from) => ({
      here: (live) => runtime.messages.send(live, message, from),
      elsewhere: () => ({ verb: 'send', message: toSendable(message), from }),
      ended: refuseEnded,
    }),

    background: () => ({
      here: (live) => runtime.background(live),
      elsewhere: () => ({ verb: 'background' }),
      ended: (record) => createTicket(record, { isSaved: true, durability: store.durability }),
    }),
  }
}

/** For orders that code has to hear. */
export function refuseEnded({ taskId }: { readonly taskId: string }): never {
  throw new TaskError('task_final', 'The task has ended.', { taskId })
}
