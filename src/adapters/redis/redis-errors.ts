/** What an error of Redis, or of the way to it, means to those who use the store. */
import { messageOf, TaskError } from '../../errors.ts'

/** Words that a reply begins with. Redis 6.2 has them in the middle of the message when a script was refused. */
const FULL = /\bOOM\b/
const REFUSED =
  /\b(WRONGPASS|NOAUTH|NOPERM)\b|ACL failure in script|invalid password|without any password configured|no password is set/
const DEMOTED = /\b(READONLY|UNBLOCKED)\b/
const SCRIPT_UNKNOWN = /\bNOSCRIPT\b/
const WRONG_TYPE = /\bWRONGTYPE\b/

/** How soon to try again when nothing says more. */
const RETRY_AFTER_MS = 1_000

function replyOf(error: unknown): string {
  return messageOf(error instanceof TaskError && error.cause !== undefined ? error.cause : error)
}

export const isScriptUnknown = (error: unknown): boolean => SCRIPT_UNKNOWN.test(replyOf(error))
export const isWrongType = (error: unknown): boolean => WRONG_TYPE.test(replyOf(error))
/** The server has become a replica: somebody else is the primary now. */
export const isDemoted = (error: unknown): boolean => DEMOTED.test(replyOf(error))
/** Trying again does not help until somebody changes something. */
export const isFatal = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof TaskError ? !error.retryable : REFUSED.test(replyOf(error)))

export function refused(message: string, cause?: unknown): TaskError {
  return new TaskError('store_unusable', message, { cause })
}

export function unavailable(message: string, cause?: unknown): TaskError {
  return new TaskError('store_unavailable', message, { cause, retryAfterMs: RETRY_AFTER_MS })
}

/** Everything else may pass: a server that loads, fails over or is busy, a connection that broke. */
export function toStoreError(error: unknown): Error {
  if (error instanceof TaskError || error instanceof TypeError) return error
  const message = messageOf(error)
  if (FULL.test(message)) {
    return new TaskError('store_full', 'Redis has no memory left for what is written.', {
      cause: error,
      retryAfterMs: RETRY_AFTER_MS,
    })
  }
  if (REFUSED.test(message)) return refused(`Redis refuses the store: ${message}`, error)
  return unavailable(`Redis does not do what it was asked: ${message}`, error)
}
