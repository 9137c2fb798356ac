/** How questions end: by an answer, by their time, or with the code that asked them. Each is settled once. */
import { decideSettlement } from '../../../machines/policies/questions.ts'
import { TaskStoppedError } from '../../errors.ts'
import type { TaskEventData } from '../../ports/task-event.ts'
import type { Journal } from '../journal/journal.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { LiveQuestion, LiveTask } from '../live-task.ts'
import { loggedDefault } from './given-answer.ts'
import { closedError, isOpen, questionsOf } from './open-questions.ts'

export interface Settling {
  /** Takes a question out of the open ones. @throws `question_closed`, `task_final` */
  settle(question: LiveQuestion, state: 'answered' | 'timeout'): void
  /** Tells what a question that is settled has come to. */
  tell(question: LiveQuestion, data: TaskEventData['task.answered']): void
  /** The time of a question is over. */
  expire(question: LiveQuestion): void
  /** Closes what is open, because the code has ended or is stopped. */
  close(task: LiveTask): void
}

export function createSettling(parts: {
  readonly journal: Journal
  readonly send: SendToChart
  /** The task goes on. */
  readonly goOn: (task: LiveTask) => void
  /** Works on the end of a task's code, if that waits for its turn: it came before whatever comes now. */
  readonly takeUpEnd: (task: LiveTask) => void
}): Settling {
  const { journal, send, goOn, takeUpEnd } = parts

  const settle: Settling['settle'] = ({ task, shown: { key }, patience }, state) => {
    const { open, states } = questionsOf(task)
    const settlement = decideSettlement({ state: states.get(key), openCount: open.size })
    if ('refused' in settlement) throw closedError(task, key, settlement.refused)
    states.set(key, state)
    open.delete(key)
    patience?.disarm()
    send(task, settlement.event)
    if (settlement.event === 'questions.settled') goOn(task)
  }

  const tell: Settling['tell'] = (question, data) => {
    const { task, checking } = question
    journal.append(task, 'task.answered', data)
    if (questionsOf(task).open.size === 0) journal.append(task, 'task.resumed', {})
    const refusal = closedError(task, data.key, data.by === 'answer' ? 'answered' : 'timeout')
    for (const refuse of checking) refuse(refusal)
  }

  return {
    settle,

    tell,

    expire(question) {
      const { task, fallback, shown } = question
      const { key } = shown
      takeUpEnd(task)
      if (!isOpen(question)) return
      settle(question, 'timeout')
      if (fallback === undefined) {
        tell(question, { key, by: 'timeout' })
        question.reject(closedError(task, key, 'timeout'))
      } else {
        tell(question, { key, by: 'default', ...loggedDefault(fallback.value) })
        question.resolve(fallback.value)
      }
    },

    close(task) {
      const questions = task.rare?.questions
      if (questions === undefined || questions.open.size === 0) return
      const closing = [...questions.open.values()]
      questions.open.clear()
      for (const question of closing) {
        const { key } = question.shown
        questions.states.set(key, 'ended')
        question.patience?.disarm()
        const error = closedError(task, key, 'ended')
        question.reject(task.cause === undefined ? error : new TaskStoppedError(task.taskId, task.cause))
        for (const refuse of question.checking) refuse(error)
      }
    },
  }
}
