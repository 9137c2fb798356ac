/** The verbs that change what becomes of tasks. What a task's code asks for through a session is said in the name of that task. */
import type { StopCause } from '../../machines/vocabulary.ts'
import { cancelElsewhere, cancelLeft, mergeReports, whenAllKnown } from './cancel-elsewhere.ts'
import { checkBoolean, checkOptionNames, checkText } from '../options.ts'
import type { Session } from '../ports/session.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { checkCancelOptions } from '../queries.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import { asSender } from '../runtime/messages/messages.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import { topTasks } from '../runtime/tree-index.ts'
import type { Steering } from './steering.ts'
import type { TaskPlaces } from '../task-places.ts'

const MAX_RUN_ID_CHARS = 256

export type SteerVerbs = Pick<Session, 'cancel' | 'cancelAll' | 'redirect' | 'answer' | 'send' | 'background'>

export function createSteerVerbs(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly places: TaskPlaces
  readonly steering: Steering
  readonly owner: string
  /** The task of this owner whose code asks, if one's does. */
  readonly ownTask: () => LiveTask | undefined
  readonly runningTask: () => LiveTask | undefined
  /** @throws `target_invalid`, `not_allowed` */
  readonly toTarget: (target: unknown) => string
}): SteerVerbs {
  const { runtime, store, places, steering, owner, ownTask, runningTask } = parts
  const actor = (): string => ownTask()?.taskId ?? owner

  const toCause = (options: unknown): StopCause => {
    const { reason, note } = checkCancelOptions(options)
    return { reason, actor: actor(), ...(note === undefined ? {} : { note }) }
  }

  return {
    cancel: async (taskId, options) => places.act(taskId, steering.cancel(toCause(options), runningTask())),

    async cancelAll(options) {
      const { runId: givenRunId, ...rest } = checkOptionNames('options', options, ['runId', 'reason', 'note'])
      const cause = toCause(rest)
      const runId = givenRunId === undefined ? undefined : checkText('runId', givenRunId, MAX_RUN_ID_CHARS)
      if (runId !== undefined) runtime.closeRun(owner, runId)
      const here = runtime.cancel(topTasks(runtime.tree, owner, runId), cause, runningTask())
      const { orders, left } = runtime.membership
      const whose = { owner, runId }
      const later =
        orders === undefined
          ? cancelLeft(left.tasksOf(whose), (taskId) => places.act(taskId, steering.cancel(cause, runningTask())))
          : cancelElsewhere({ store, orders }, whose, cause)
      return mergeReports(await whenAllKnown([here, later]))
    },

    async redirect(taskId, target, options) {
      const { again } = checkOptionNames('options', options, ['again'])
      const isAgain = again === undefined ? false : checkBoolean('again', again)
      await places.act(
        taskId,
        steering.redirect(() => parts.toTarget(target), isAgain),
      )
    },

    async answer(taskId, key, value) {
      await places.act(taskId, steering.answer({ key, value, actor: actor() }))
    },

    send: async (taskId, message) => places.act(taskId, steering.send(message, asSender(ownTask()))),

    background: async (taskId) => places.act(taskId, steering.background()),
  }
}
