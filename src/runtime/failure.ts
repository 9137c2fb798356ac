/** Errors of any kind as capped plain data. Nothing a tool throws can break or flood what keeps it. */
import type { FailureCode, TaskFailure } from '../../machines/vocabulary.ts'
import { deepFreeze } from './json.ts'

const MAX_MESSAGE_CHARS = 4_000
const MAX_NAME_CHARS = 100
const MAX_DETAILS_CHARS = 8_000
const MAX_CAUSES = 5

/** A failure from whatever was thrown. The stack stays behind. */
export function toFailure(code: FailureCode, thrown: unknown): TaskFailure {
  return describe(code, thrown, MAX_CAUSES)
}

/** A failure of the library's own making. */
export function createFailure(code: FailureCode, message: string, cause?: TaskFailure): TaskFailure {
  return Object.freeze({
    code,
    name: 'TaskError',
    message,
    retryable: false,
    ...(cause === undefined ? {} : { cause }),
  })
}

function describe(code: FailureCode, thrown: unknown, causesLeft: number): TaskFailure {
  const name = readText(thrown, 'name', MAX_NAME_CHARS)
  const message = readText(thrown, 'message', MAX_MESSAGE_CHARS)
  const cause = causesLeft > 0 ? read(thrown, 'cause') : undefined
  const details = toPlain(read(thrown, 'details'))
  return Object.freeze({
    code,
    name: name ?? 'Error',
    message: message ?? cap(toText(thrown), MAX_MESSAGE_CHARS),
    retryable: read(thrown, 'retryable') === true,
    ...(details === undefined ? {} : { details }),
    ...(cause === undefined || cause === null ? {} : { cause: describe(code, cause, causesLeft - 1) }),
  })
}

/** A property of anything, whatever its getters do. */
function read(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    // The getter's own error says nothing about the failure.
    return undefined
  }
}

function readText(value: unknown, key: string, maxChars: number): string | undefined {
  const text = read(value, key)
  return typeof text === 'string' ? cap(text, maxChars) : undefined
}

function toText(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'a value that cannot be shown'
  }
}

function cap(text: string, maxChars: number): string {
  return text.length > maxChars ? `${text.slice(0, maxChars)}…` : text
}

function toPlain(value: unknown): unknown {
  if (value === undefined) return undefined
  try {
    const json = JSON.stringify(value)
    return json === undefined || json.length > MAX_DETAILS_CHARS ? undefined : deepFreeze(JSON.parse(json))
  } catch {
    // Details are a courtesy; what cannot be kept is left out.
    return undefined
  }
}
