/** The open questions of a task, and why one takes no answer. */
import { decideSettlement, type ClosedReason } from '../../../machines/policies/questions.ts'
import { TaskError } from '../../errors.ts'
import { rareOf, type LiveQuestion, type LiveTask, type Questions } from '../live-task.ts'

export function questionsOf(task: LiveTask): Questions {
  const rare = rareOf(task)
  return (rare.questions ??= { open: new Map(), states: new Map() })
}

export function isOpen({ task, shown }: LiveQuestion): boolean {
  return task.rare?.questions?.states.get(shown.key) === 'open'
}

/** @throws `question_closed`, `task_final` */
export function requireOpen(task: LiveTask, key: string): LiveQuestion {
  const questions = task.rare?.questions
  const question = questions?.open.get(key)
  if (question !== undefined) return question
  const settlement = decideSettlement({ state: questions?.states.get(key), openCount: 0 })
  throw closedError(task, key, 'refused' in settlement ? settlement.refused : 'unknown')
}

const CLOSED_MESSAGES: Readonly<Record<ClosedReason, string>> = {
  answered: 'The question has its answer.',
  timeout: 'The time of the question is over.',
  ended: 'The code that asked the question has ended or was stopped.',
  unknown: 'The task has asked no question with this key.',
}

/** Why a question has no answer, or takes none. */
export function closedError({ taskId, finalStatus }: LiveTask, key: string, reason: ClosedReason): TaskError {
  if (finalStatus !== undefined) return new TaskError('task_final', 'The task has ended.', { taskId })
  return new TaskError('question_closed', CLOSED_MESSAGES[reason], { taskId, details: { key, reason } })
}
