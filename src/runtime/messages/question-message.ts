/** A question as a message to whoever may answer it. */
import type { MessageSender, QuestionMessage } from '../../ports/message.ts'
import type { OpenQuestion } from '../../ports/task-record.ts'
import { decodeFrozen } from '../values/json.ts'
import type { Letter } from './inboxes.ts'

/** A task as the sender of a message. */
export function senderOf(taskId: string, name: string | undefined): MessageSender {
  return Object.freeze({ kind: 'task', taskId, ...(name === undefined ? {} : { name }) })
}

/** It has the same id wherever it is told. */
export function toQuestionMessage(from: MessageSender, asked: OpenQuestion): QuestionMessage {
  const { key, question, answerBy, schema, askedAt } = asked
  return Object.freeze({
    kind: 'question',
    messageId: `question:${from.taskId ?? ''}:${key}`,
    from,
    at: askedAt,
    payload: Object.freeze({ key, question, answerBy, ...(schema === undefined ? {} : { schema }) }),
  })
}

/** It weighs what was asked. */
export function weighQuestion(message: QuestionMessage): number {
  return Buffer.byteLength(JSON.stringify(message.payload))
}

/** A question as it came from another process. */
export function toQuestionLetter(message: QuestionMessage): Letter {
  return { message: decodeFrozen(JSON.stringify(message)) as QuestionMessage, bytes: weighQuestion(message) }
}
