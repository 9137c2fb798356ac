/** Errors of any kind as capped plain data. Nothing a tool throws can break or flood what keeps it. */
import type { FailureCode, TaskFailure } from '../../../machines/vocabulary.ts'
import { capText } from '../../kept-text.ts'
import { stringifyWithin } from './bounded-json.ts'
import { decodeFrozen } from './json.ts'

const MAX_MESSAGE_CHARS = 4_000
const MAX_NAME_CHARS = 100
const MAX_DETAILS_BYTES = 8_000
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
    message: capText(message, MAX_MESSAGE_CHARS),
    retryable: false,
    ...(cause === undefined ? {} : { cause: withoutMiddle(cause) }),
  })
}

/** A chain of children that failed each other: where it gets too long, only what failed first is told of it. */
function withoutMiddle(cause: TaskFailure): TaskFailure {
  let first = cause
  let links = 0
  for (; first.code === 'child_failed' && first.cause !== undefined; first = first.cause) links += 1
  return links < MAX_CAUSES ? cause : first
}

function describe(code: FailureCode, thrown: unknown, causesLeft: number): TaskFailure {
  const name = readText(thrown, 'name', MAX_NAME_CHARS)
  const message = readText(thrown, 'message', MAX_MESSAGE_CHARS)
  const cause = causesLeft > 0 ? read(thrown, 'cause') : undefined
  const details = toPlain(read(thrown, 'details'))
  return Object.freeze({
    code,
    name: name ?? 'Error',
    message: message ?? capText(toText(thrown), MAX_MESSAGE_CHARS),
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
  return typeof text === 'string' ? capText(text, maxChars) : undefined
}

function toText(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Details are a courtesy: what cannot be kept is left out. */
function toPlain(value: unknown): unknown {
  const bounded = stringifyWithin(value, { maxBytes: MAX_DETAILS_BYTES })
  return bounded.kind === 'json' ? decodeFrozen(bounded.json) : undefined
}
