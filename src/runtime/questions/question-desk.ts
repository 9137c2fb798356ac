/**
 * What tasks ask and others answer.
 *
 * asked: the task waits, its caller has a ticket, its running time stands still.
 * settled: by the first answer that fits, or by its time: then its default is taken, or its code gets an error. With the
 * last open one the task runs on.
 * ended: the code has ended or was stopped; what was open is closed and answered by nobody.
 *
 * 1. A question is settled once, and whoever asked hears of it once. What comes later is refused with its reason.
 * 2. A refused answer changes nothing: the question stays open.
 * 3. No question outlives the code that asked it.
 * 4. A key is used once in a task, whatever became of its question.
 */
import { checkText } from '../../options.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { QuestionMessage } from '../../ports/message.ts'
import type { Callers } from '../callers.ts'
import type { RemoteParents } from '../cluster/remote-parents.ts'
import type { Journal } from '../journal/journal.ts'
import type { SendToChart } from '../send-to-chart.ts'
import type { LiveTask } from '../live-task.ts'
import type { Inboxes } from '../messages/inboxes.ts'
import { MAX_KEY_CHARS, refuseUnlessAllowed, refuseUnlessRunning, toAsked, type Asked } from './asked.ts'
import { createAsking } from './asking.ts'
import { copyAnswer, fit, whileOpen, type GivenAnswer } from './given-answer.ts'
import { requireOpen } from './open-questions.ts'
import { createSettling } from './settling.ts'

export interface QuestionDesk {
  /**
   * Resolves with the answer.
   * @throws TypeError, `input_invalid`, `not_allowed`, `question_closed`, `task_stopped`, `task_final`
   */
  ask(task: LiveTask, key: unknown, question: unknown, options: unknown): Promise<unknown>
  /** Resolves once the answer is accepted and kept. @throws `input_invalid`, `question_closed`, `task_final` */
  answer(task: LiveTask, given: GivenAnswer): Promise<void>
  /** Tells the owner of what is open and was meant for the parent: the code of that has ended. */
  passOn(child: LiveTask): void
  /** Closes what is open, because the code has ended or is stopped. */
  close(task: LiveTask): void
}

export function createQuestionDesk(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly callers: Callers
  readonly inboxes: Inboxes
  readonly remoteParents: () => RemoteParents
  /** Puts a question on the owner's desk. */
  readonly tellOwner: (owner: string, message: QuestionMessage, bytes: number) => void
  readonly send: SendToChart
  /** The task rests from now on, and goes on. */
  readonly rest: (task: LiveTask) => void
  readonly goOn: (task: LiveTask) => void
  /** Works on the end of a task's code, if that waits for its turn: it came before whatever comes now. */
  readonly takeUpEnd: (task: LiveTask) => void
}): QuestionDesk {
  const { clock, deadlines, journal, callers, inboxes, remoteParents, tellOwner, send, rest, goOn, takeUpEnd } = parts
  const { settle, tell, expire, close } = createSettling({ journal, send, goOn, takeUpEnd })
  const { open, passOn } = createAsking({
    clock,
    deadlines,
    journal,
    callers,
    inboxes,
    remoteParents,
    tellOwner,
    send,
    rest,
    expire,
  })

  return {
    ask(task, key, question, options) {
      let asked: Asked
      try {
        asked = toAsked(key, question, options)
        refuseUnlessRunning(task)
        refuseUnlessAllowed(task, asked.key)
      } catch (error) {
        return Promise.reject(error as Error)
      }
      const answer = new Promise<unknown>((resolve, reject) => open(task, asked, { resolve, reject }))
      // Code that ends without having waited for its answer is told nothing: that is no rejection nobody handles.
      answer.catch(() => undefined)
      return answer
    },

    async answer(task, { key: givenKey, value, actor }) {
      const key = checkText('key', givenKey, MAX_KEY_CHARS)
      const question = requireOpen(task, key)
      const copied = copyAnswer(key, value)
      const fitted = fit(question, copied.value)
      const answer = fitted instanceof Promise ? await whileOpen(question, fitted) : fitted.value
      // The check took its time, or did something to the task.
      takeUpEnd(task)
      settle(question, 'answered')
      tell(question, { key, by: 'answer', ...copied.kept, actor })
      question.resolve(answer)
      await new Promise<void>((resolve) => journal.whenKnown(task, () => resolve()))
    },

    passOn,
    close,
  }
}
