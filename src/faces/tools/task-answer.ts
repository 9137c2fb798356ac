/** `task_answer`: answers a question that a task waits with. */
import { isTaskError } from '../../errors.ts'
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { OpenQuestion } from '../../ports/task-record.ts'
import { withData } from './answers.ts'
import type { ControlParts, ControlToolSpec } from './control-tool.ts'
import { issuesOf } from './error-texts.ts'
import { requireRecord } from './outcomes.ts'
import { anything, TASK_ID, text, type Parameter } from './parameters.ts'

type AnswerParameters = {
  readonly task_id: Parameter<string>
  readonly question: Parameter<string>
  readonly answer: Parameter<unknown>
}

export function createTaskAnswer(parts: ControlParts): ControlToolSpec<AnswerParameters> {
  const { session } = parts

  const findQuestion = async (taskId: string, key: string): Promise<OpenQuestion | undefined> => {
    const { questions = [] } = await requireRecord(parts, taskId)
    return questions.find((question) => question.key === key)
  }

  return {
    name: 'task_answer',
    description: 'Answers a question that a task waits with. Answer what you know or were told to, and nothing else.',
    parameters: {
      task_id: TASK_ID,
      question: text('The key of the question.', { isRequired: true }),
      answer: anything(() => ({ description: 'The answer, of the kind that the question asks for.' })),
    },
    annotations: { readOnly: false, destructive: false, idempotent: false },
    async answer({ task_id: taskId, question: key, answer }) {
      // What does not fit is told with what would: the schema is read before the question may close.
      const question = await findQuestion(taskId, key)
      try {
        await session.answer(taskId, key, answer)
      } catch (error) {
        if (!isTaskError(error, 'input_invalid') && !(error instanceof TypeError)) throw error
        return refusalOf(error, question)
      }
      const { status } = await requireRecord(parts, taskId)
      return `The answer was taken. Task ${taskId} ${isFinalStatus(status) ? 'has ended' : 'goes on'} (${status}).`
    },
  }
}

function refusalOf(error: Error, question: OpenQuestion | undefined): string {
  if (question === undefined) return 'This is no key of a question, so nothing was answered.'
  const said = [
    'The answer does not fit the question, which is still open. Correct it and call again.',
    ...issuesOf(isTaskError(error) ? error.details : undefined),
  ]
  if (question.schema === undefined) return said.join('\n')
  return withData(`${said.join('\n')}\nWhat fits, as JSON Schema:`, JSON.stringify(question.schema))
}
