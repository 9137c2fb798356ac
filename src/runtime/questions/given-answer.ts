/** What somebody answers: as JSON, and held against the schema of the question. */
import { messageOf, TaskError } from '../../errors.ts'
import { checkText, quote } from '../../options.ts'
import { fitTo } from '../../schema.ts'
import type { LiveQuestion } from '../live-task.ts'
import { decodeFrozen, encodeJson, whyNotKept } from '../values/json.ts'
import { MAX_KEY_CHARS } from './asked.ts'

const MAX_ANSWER_BYTES = 64 * 1024
/** A longer answer reaches the code, and is left out of the log. */
const MAX_LOGGED_ANSWER_BYTES = 4 * 1024

/** Somebody's answer, as it came. */
export interface GivenAnswer {
  readonly key: unknown
  readonly value: unknown
  /** Who gives it: an owner, or the id of a task. */
  readonly actor: string
}

/** An answer as JSON: `value` may be changed by whoever gets it, `kept` by nobody. */
interface CopiedAnswer {
  readonly value: unknown
  readonly kept: { readonly answer?: unknown }
}

/** @throws `input_invalid` */
export function copyAnswer(key: string, value: unknown): CopiedAnswer {
  const encoded = encodeJson(value, MAX_ANSWER_BYTES)
  if (encoded.kind !== 'json') {
    throw new TaskError('input_invalid', `The answer to ${quote(key)} cannot be kept: ${whyNotKept(encoded)}.`)
  }
  const { json, bytes } = encoded
  if (json === undefined) return { value: undefined, kept: {} }
  return {
    value: JSON.parse(json) as unknown,
    kept: bytes > MAX_LOGGED_ANSWER_BYTES ? {} : { answer: decodeFrozen(json) },
  }
}

/** An answer on its way to another process, which checks it once more. @throws TypeError, `input_invalid` */
export function toSendableAnswer({ key: givenKey, value, actor }: GivenAnswer): GivenAnswer & { readonly key: string } {
  const key = checkText('key', givenKey, MAX_KEY_CHARS)
  return { key, value: copyAnswer(key, value).value, actor }
}

/** The code gets its default as it is; the log has it where it can be kept. */
export function loggedDefault(value: unknown): { readonly answer?: unknown } {
  const encoded = encodeJson(value, MAX_LOGGED_ANSWER_BYTES)
  return encoded.kind === 'json' && encoded.json !== undefined ? { answer: decodeFrozen(encoded.json) } : {}
}

type Fitted = ReturnType<typeof fitTo>

/** @throws `input_invalid` */
export function fit({ schema, shown }: LiveQuestion, value: unknown): Fitted {
  if (schema === undefined) return { value }
  try {
    return fitTo(schema, value, `The answer does not fit ${quote(shown.key)}`)
  } catch (thrown) {
    throw toRefusal(shown.key, thrown)
  }
}

/** What comes of a check, unless its question closes before. @throws `input_invalid`, `question_closed`, `task_final` */
export function whileOpen(
  { shown, checking }: LiveQuestion,
  verdict: Promise<{ readonly value: unknown }>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    checking.add(reject)
    verdict.then(
      ({ value }) => {
        checking.delete(reject)
        resolve(value)
      },
      (thrown: unknown) => {
        checking.delete(reject)
        reject(toRefusal(shown.key, thrown))
      },
    )
  })
}

/** What a schema threw, as a refusal of the answer. */
function toRefusal(key: string, thrown: unknown): TaskError {
  if (thrown instanceof TaskError) return thrown
  const message = `The answer to ${quote(key)} could not be checked: ${messageOf(thrown)}`
  return new TaskError('input_invalid', message, { cause: thrown })
}
