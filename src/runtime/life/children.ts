/** What becomes of the children of a task that ends, and what the end of a child means for the task. */
import { decideChildEnd } from '../../../machines/policies/work-end.ts'
import type { StopCause, TaskChartEventType, TaskFailure } from '../../../machines/vocabulary.ts'
import type { Callers } from '../callers.ts'
import type { LiveTask } from '../live-task.ts'
import { workOf } from '../task-status.ts'
import type { QuestionDesk } from '../questions/question-desk.ts'
import { childrenOf, type TreeIndex } from '../tree-index.ts'
import { createFailure } from '../values/failure.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { Stopping } from './stopping.ts'

/** Why an attempt has failed though its code may still run. */
export interface FailedAttempt {
  readonly failure: TaskFailure
  readonly cause: StopCause
  readonly event: TaskChartEventType
}

export interface Children {
  /** Lets those go that may outlive the code of their parent. Gives those that are to be cancelled. */
  settle(task: LiveTask, hasSucceeded: boolean): readonly LiveTask[]
  /** Calls back once the signals are out. */
  cancel(task: LiveTask, children: readonly LiveTask[], whenSignalled?: () => void): void
  /** Tells the owner what the children have asked: nobody is left in the task to answer. */
  passOnQuestions(task: LiveTask): void
  hearOfEnd(parent: LiveTask, child: LiveTask): void
}

/** Most have none. */
const NONE: readonly never[] = Object.freeze([])

export function createChildren(parts: {
  readonly tree: TreeIndex
  readonly callers: Callers
  readonly stopping: Stopping
  readonly questions: QuestionDesk
  readonly send: SendToChart
  /** Works on the end of a task's code, if that waits for its turn: it came before whatever comes now. */
  readonly takeUpEnd: (task: LiveTask) => void
  readonly failAttempt: (task: LiveTask, failed: FailedAttempt) => void
}): Children {
  const { tree, callers, stopping, questions, send, takeUpEnd, failAttempt } = parts

  const hearOfEnd = (parent: LiveTask, child: LiveTask): void => {
    const work = workOf(parent)
    if (work === undefined) return
    const event = decideChildEnd({
      work,
      childFailed: child.finalStatus === 'failed',
      // Restarts that are too many are not for a parent to ignore.
      onChildFailure: child.attempts?.exhausted === 'restarts' ? 'fail' : parent.spec.policy.onChildFailure,
      ownsLiveChildren: parent.childCount > 0,
      ownCodeEnded: parent.ownCodeEnded,
    })
    // Its own code may still run; whether it is let go is a matter of the grace.
    if (event === undefined || event === 'teardown.finished') return stopping.settle(parent)
    if (event === 'child.failed') {
      // What its code has ended with came first.
      takeUpEnd(parent)
      if (workOf(parent) !== work) return hearOfEnd(parent, child)
      // A stop that was accepted before goes first, though its signal may still be on its way.
      if (parent.stop !== undefined) return
      return failAttempt(parent, {
        failure: createFailure('child_failed', 'A child has failed.', child.failure),
        cause: { reason: 'child_failed', actor: child.taskId },
        event,
      })
    }
    if (event === 'children.settled') callers.reattachBeforeEnd(parent)
    send(parent, event)
  }

  return {
    settle(task, hasSucceeded) {
      if (task.childCount === 0) return NONE
      const toCancel: LiveTask[] = []
      for (const child of childrenOf(task)) {
        if (child.spec.policy.onParentEnd === 'detach') {
          tree.detach(child)
          questions.passOn(child)
        } else if (!hasSucceeded || child.spec.policy.onParentEnd === 'cancel') toCancel.push(child)
      }
      return toCancel
    },

    cancel(task, children, whenSignalled = () => undefined) {
      if (children.length === 0) return whenSignalled()
      stopping
        .accept({ roots: children, cause: { reason: 'parent', actor: task.taskId }, rootEvent: 'task.cancel' })
        .whenSignalled(whenSignalled)
    },

    passOnQuestions(task) {
      for (const child of childrenOf(task)) questions.passOn(child)
    },

    hearOfEnd,
  }
}
