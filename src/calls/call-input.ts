/** What a call gives to its task. */
import { TaskError } from '../errors.ts'
import { encodeJson } from '../runtime/values/json.ts'

const MAX_INPUT_BYTES = 1024 * 1024

/** What the task gets is a copy: what the caller does to the input later has no effect inside. */
export function copyInput(input: unknown): unknown {
  if (typeof input === 'function' || typeof input === 'symbol') throw notCopyable()
  if (typeof input !== 'object' || input === null) return input
  try {
    return structuredClone(input)
  } catch (error) {
    throw notCopyable(error)
  }
}

function notCopyable(cause?: unknown): TaskError {
  return new TaskError('input_invalid', 'The input cannot be copied.', { cause })
}

/** @throws `input_invalid` */
export function toInputJson(input: unknown): string {
  const encoded = encodeJson(input, MAX_INPUT_BYTES)
  switch (encoded.kind) {
    case 'json':
      return encoded.json ?? NO_INPUT_JSON
    case 'refused':
      throw new TaskError('input_invalid', `The input of a tool that may run again must be JSON: ${encoded.why}.`)
    case 'too_large':
      throw new TaskError(
        'input_invalid',
        `The input of a tool that may run again has at most ${MAX_INPUT_BYTES} bytes of JSON.`,
      )
  }
}

/** No JSON: what stands for the input of a call that had none. */
const NO_INPUT_JSON = ''

/** What a call was made with. */
export function fromInputJson(json: string): unknown {
  return json === NO_INPUT_JSON ? undefined : (JSON.parse(json) as unknown)
}
