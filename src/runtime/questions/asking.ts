/**
 * Asking: the task waits, its caller has a ticket, and whoever may answer is told.
 *
 * A question for the parent goes to the parent's code, wherever that runs; when that does not take it, has ended or cannot be
 * reached, to the owner.
 */
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { QuestionMessage } from '../../ports/message.ts'
import type { OpenQuestion } from '../../ports/task-record.ts'
import type { Callers } from '../callers.ts'
import type { RemoteParents } from '../cluster/remote-parents.ts'
import type { Journal } from '../journal/journal.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { LiveQuestion, LiveTask } from '../live-task.ts'
import type { Inboxes } from '../messages/inboxes.ts'
import { senderOf, toQuestionMessage, weighQuestion } from '../messages/question-message.ts'
import { hasEnded, isAttached, parentOf, workOf } from '../task-status.ts'
import type { Asked } from './asked.ts'
import { isOpen, questionsOf } from './open-questions.ts'

export interface Asking {
  open(task: LiveTask, asked: Asked, settle: Pick<LiveQuestion, 'resolve' | 'reject'>): void
  /** Tells the owner of what is open and was meant for the parent. */
  passOn(child: LiveTask): void
}

export function createAsking(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly callers: Callers
  readonly inboxes: Inboxes
  readonly remoteParents: () => RemoteParents
  /** Puts a question on the owner's desk. */
  readonly tellOwner: (owner: string, message: QuestionMessage, bytes: number) => void
  readonly send: SendToChart
  /** The task rests from now on. */
  readonly rest: (task: LiveTask) => void
  /** The time of a question is over. */
  readonly expire: (question: LiveQuestion) => void
}): Asking {
  const { clock, deadlines, journal, callers, inboxes, remoteParents, tellOwner, send, rest, expire } = parts

  const tellParent = (parent: LiveTask, question: LiveQuestion): void => {
    if (!isOpen(question)) return
    try {
      inboxes.put(parent, toLetter(question))
    } catch {
      // Its inbox is full, or its code has ended on hearing of the question.
      passToOwner(question)
    }
  }

  const tellElsewhere = async (question: LiveQuestion): Promise<void> => {
    const isWanted = (): boolean => question.isForParent && isOpen(question)
    try {
      await remoteParents().tell(question.task, toLetter(question).message, isWanted)
    } catch {
      // It was not taken, or nobody knows.
      if (isWanted()) passToOwner(question)
    }
  }

  const passToOwner = (question: LiveQuestion): void => {
    question.isForParent = false
    const { message, bytes } = toLetter(question)
    tellOwner(question.task.spec.owner, message, bytes)
  }

  return {
    open(task, asked, settle) {
      const questions = questionsOf(task)
      const { key } = asked
      const before = takeCarried(task, key)
      const askedAt = before?.askedAt ?? clock.now()
      const answerBy = before?.answerBy ?? askedAt + asked.answerWithinMs
      const shown: OpenQuestion = Object.freeze({
        key,
        question: asked.question,
        askedAt,
        answerBy,
        hasDefault: asked.fallback !== undefined,
        ...(asked.hint === undefined ? {} : { schema: asked.hint }),
      })
      const { schema, fallback } = asked
      const parent = parentOf(task)
      const mayAnswer = parent === undefined ? remoteParents().mayAnswer(task) : !hasEnded(parent)
      const isForParent = asked.isForParent && mayAnswer
      const question: LiveQuestion = {
        task,
        shown,
        schema,
        fallback,
        ...settle,
        patience: undefined,
        isForParent,
        checking: new Set(),
      }
      questions.states.set(key, 'open')
      questions.open.set(key, question)
      question.patience = deadlines.after(Math.max(0, answerBy - clock.now()), expire, question)
      journal.promote(task)
      const hasCaller = isAttached(task)
      const wasRunning = workOf(task) === 'running'
      send(task, 'question.asked')
      if (wasRunning) rest(task)
      const to = isForParent ? ({ to: 'parent' } as const) : {}
      const data = { key, question: asked.question, answerBy, ...to }
      if (!hasCaller) journal.append(task, 'task.asked', data)
      else {
        // Both in one commit: nobody hears of the ticket before the question.
        journal.appendSoon(task, 'task.asked', data)
        callers.giveTickets(task, 'question')
      }
      if (!isForParent) return
      if (parent === undefined) void tellElsewhere(question)
      else tellParent(parent, question)
    },

    passOn(child) {
      const questions = child.rare?.questions
      if (questions === undefined) return
      for (const question of questions.open.values()) if (question.isForParent) passToOwner(question)
    },
  }
}

/** A question on its way to whoever may answer. */
function toLetter({ task, shown }: LiveQuestion): { readonly message: QuestionMessage; readonly bytes: number } {
  const message = toQuestionMessage(senderOf(task.taskId, task.spec.name), shown)
  return { message, bytes: weighQuestion(message) }
}

/** A question that was open when another process of the task was lost is the same one when it is asked again. */
function takeCarried(task: LiveTask, key: string): OpenQuestion | undefined {
  const carried = task.rare?.recovery?.carried
  const question = carried?.get(key)
  if (question !== undefined) carried?.delete(key)
  return question
}
