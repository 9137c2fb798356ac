/**
 * Parents in other processes, as their children here have to do with them.
 *
 * A parent is followed as long as its child lives: when it has ended without the child, or runs again elsewhere, the child is
 * stopped, or goes on alone. What the child asks the parent's code goes there as an order.
 *
 * 1. The code of a parent is told of a question once, however often its process is asked to.
 * 2. Once that code has ended, the owner is told of what is still open.
 */
import { isFinalStatus, type StopCause } from '../../../machines/vocabulary.ts'
import { isTaskError, mayPass, TaskError } from '../../errors.ts'
import { RECONCILE_MS, type News } from '../../events/news.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { QuestionMessage } from '../../ports/message.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import { pause } from '../../within.ts'
import { onEnd } from '../end-listeners.ts'
import type { LiveTask } from '../live-task.ts'
import type { RemoteParent } from '../task-spec.ts'
import type { Orders } from './orders.ts'

export interface RemoteParents {
  follow(child: LiveTask, parent: RemoteParent): void
  /** Whether the code of a parent in another process may still answer, as far as it is known here. */
  mayAnswer(child: LiveTask): boolean
  /**
   * Resolves once the parent's code has been told, or nobody wants that any more.
   * @throws why it was not: it has ended, its inbox is full, its process cannot be reached
   */
  tell(child: LiveTask, question: QuestionMessage, isWanted: () => boolean): Promise<void>
}

/** How long a process is asked again that may not have heard, while the store fails. */
const TELL_LIMIT_MS = 60_000

export function createRemoteParents(parts: {
  readonly store: Pick<TaskStore, 'read'>
  readonly news: News
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly orders: () => Orders | undefined
  readonly stop: (child: LiveTask, cause: StopCause) => void
  /** Tells the owner of what is open and was meant for the parent. */
  readonly passOn: (child: LiveTask) => void
  readonly reportError: (error: unknown) => void
}): RemoteParents {
  const { store, news, clock, deadlines } = parts
  /** Those whose code may answer. */
  const answering = new WeakMap<LiveTask, RemoteParent>()

  const tellOnce = async (child: LiveTask, question: QuestionMessage): Promise<void> => {
    const parent = answering.get(child)
    const orders = parts.orders()
    const record = await (parent && store.read(parent.taskId))
    if (orders === undefined || record === undefined || record.epoch !== parent?.epoch) throw parentEnded(child)
    const outcome = await orders.send(record, { verb: 'ask', question })
    if (outcome.kind === 'ended') throw parentEnded(child)
  }

  return {
    follow(child, parent) {
      const { taskId, epoch } = parent
      answering.set(child, parent)
      const look = async (): Promise<void> => {
        const record = await store.read(taskId)
        const isThere = record !== undefined && !isFinalStatus(record.status) && record.epoch === epoch
        if (child.finalStatus !== undefined || (isThere && record.status !== 'finishing')) return
        answering.delete(child)
        if (!isThere) stopWatching()
        if (isThere || child.spec.policy.onParentEnd === 'detach') parts.passOn(child)
        else parts.stop(child, { reason: 'parent', actor: taskId })
      }
      let again: Moment | undefined
      const lookOrTryAgain = (): void => {
        again?.disarm()
        look().catch((error: unknown) => {
          if (!mayPass(error)) parts.reportError(error)
          else if (child.finalStatus === undefined) again = deadlines.idleAfter(RECONCILE_MS, lookOrTryAgain, undefined)
        })
      }
      const stopWatching = news.watch(child.spec.owner, lookOrTryAgain)
      onEnd(child, () => {
        stopWatching()
        again?.disarm()
      })
    },

    mayAnswer: (child) => answering.has(child),

    async tell(child, question, isWanted) {
      const giveUpAtMs = clock.monotonicMs() + TELL_LIMIT_MS
      while (isWanted()) {
        try {
          return await tellOnce(child, question)
        } catch (error) {
          // What the store has not answered may have reached the parent. It is not told twice.
          const isOutage = !isTaskError(error) || error.code === 'store_unavailable'
          if (!isOutage || clock.monotonicMs() >= giveUpAtMs) throw error
        }
        await pause(deadlines, RECONCILE_MS)
      }
    },
  }
}

function parentEnded({ parentId = '' }: LiveTask): TaskError {
  return new TaskError('task_final', 'The parent has ended.', { taskId: parentId })
}
