/** What code asks, checked: whether it may, and with what. */
import { decideAsk, type AskRefusal } from '../../../machines/policies/questions.ts'
import { TaskError, TaskStoppedError } from '../../errors.ts'
import { badOption, checkChoice, checkDuration, checkOptionNames, checkText, quote } from '../../options.ts'
import type { OpenQuestion } from '../../ports/task-record.ts'
import { checkSchema, toJsonSchema } from '../../schema.ts'
import type { LiveQuestion, LiveTask } from '../live-task.ts'
import { isStopping, workOf } from '../task-status.ts'
import { decodeFrozen, encodeJson, whyNotKept } from '../values/json.ts'

const ANSWER_WITHIN_MS = 24 * 60 * 60_000
const LIMITS = { maxOpen: 32, maxAsked: 256 }
export const MAX_KEY_CHARS = 128
const MAX_QUESTION_BYTES = 4 * 1024
const MAX_SCHEMA_BYTES = 4 * 1024

/** A question, checked. */
export interface Asked {
  readonly key: string
  readonly question: unknown
  readonly answerWithinMs: number
  readonly hint: OpenQuestion['schema']
  readonly schema: LiveQuestion['schema']
  readonly fallback: LiveQuestion['fallback']
  readonly isForParent: boolean
}

/** @throws TypeError, `input_invalid` */
export function toAsked(key: unknown, question: unknown, options: unknown): Asked {
  const checkedKey = checkText('key', key, MAX_KEY_CHARS)
  const given = checkOptionNames('options', options, ['schema', 'answerWithinMs', 'default', 'to'])
  const { schema: givenSchema, answerWithinMs, default: fallback, to } = given
  const schema = givenSchema === undefined ? undefined : checkSchema('schema', givenSchema)
  if (question === undefined) throw badOption('question', 'a text or another value that is JSON', question)
  const encoded = encodeJson(question, MAX_QUESTION_BYTES)
  if (encoded.kind !== 'json') {
    throw new TaskError('input_invalid', `The question ${quote(checkedKey)} cannot be kept: ${whyNotKept(encoded)}.`)
  }
  return {
    key: checkedKey,
    question: decodeFrozen(encoded.json),
    answerWithinMs: answerWithinMs === undefined ? ANSWER_WITHIN_MS : checkDuration('answerWithinMs', answerWithinMs),
    hint: schema === undefined ? undefined : toHint(toJsonSchema(schema)),
    schema,
    fallback: fallback === undefined ? undefined : { value: fallback },
    isForParent: to !== undefined && checkChoice('to', to, ['parent', 'owner']) === 'parent',
  }
}

/** A hint that is too long or no JSON is none. */
function toHint(jsonSchema: OpenQuestion['schema']): OpenQuestion['schema'] {
  const encoded = encodeJson(jsonSchema, MAX_SCHEMA_BYTES)
  return encoded.kind === 'json' ? (decodeFrozen(encoded.json) as OpenQuestion['schema']) : undefined
}

/** Only code that runs may ask. @throws `task_final`, `task_stopped`, `not_allowed` */
export function refuseUnlessRunning(task: LiveTask): void {
  const { taskId, cause } = task
  if (task.finalStatus !== undefined) throw new TaskError('task_final', 'The task has ended.', { taskId })
  if (cause !== undefined && isStopping(task)) throw new TaskStoppedError(taskId, cause)
  const work = workOf(task)
  const isRunning = (work === 'running' || work === 'waiting') && task.outcome === undefined
  if (!isRunning) throw new TaskError('not_allowed', 'Only code that has not ended can ask.', { taskId })
}

const ASK_REFUSALS: Readonly<Record<AskRefusal, string>> = {
  key_used: 'The task has asked with this key before; a key is used once.',
  too_many_open: `A task may have ${LIMITS.maxOpen} open questions.`,
  too_many_asked: `A task may ask ${LIMITS.maxAsked} questions.`,
}

/** @throws `not_allowed` */
export function refuseUnlessAllowed(task: LiveTask, key: string): void {
  const questions = task.rare?.questions
  const refusal = decideAsk(LIMITS, {
    state: questions?.states.get(key),
    openCount: questions?.open.size ?? 0,
    askedCount: questions?.states.size ?? 0,
  })
  if (refusal === undefined) return
  throw new TaskError('not_allowed', ASK_REFUSALS[refusal], { taskId: task.taskId, details: { key } })
}
