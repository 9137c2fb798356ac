/**
 * What adapters throw, as errors of a channel.
 *
 * The error itself is not handed on: those of HTTP clients carry the request, and with it the token.
 */
import { ChannelError } from '../../../channel-error.ts'
import { messageOf } from '../../../errors.ts'
import { capText } from '../../../kept-text.ts'
import type { ChatPlatform } from './chat-adapter.ts'

type Verdict = { readonly kind: ChannelError['kind']; readonly status?: number; readonly retryAfterMs?: number }

const MAX_ERROR_CHARS = 400

/** What Slack says of a channel that nobody writes to any more. */
const SLACK_GONE = new Set(['is_archived', 'channel_is_archived', 'channel_type_not_supported'])
/** What it says of itself. */
const SLACK_PASSING = new Set([
  'accesslimited',
  'fatal_error',
  'internal_error',
  'request_timeout',
  'service_unavailable',
  'team_added_to_org',
])
/** Codes of Discord: unknown channel, thread is archived. */
const DISCORD_GONE = new Set([10_003, 50_083])
const TELEGRAM_GONE = /group chat was upgraded|group chat was deleted|chat was deleted|group is deactivated/i

export function toChannelError(platform: ChatPlatform, error: unknown): ChannelError {
  if (error instanceof ChannelError) return error
  const { kind, ...fields } = verdictOf(platform, error)
  return new ChannelError(kind, capText(`${platform}: ${messageOf(error)}`, MAX_ERROR_CHARS), fields)
}

/** Whether the message that was to be taken away is not there. */
export function isMissingMessage(platform: ChatPlatform, error: unknown): boolean {
  return platform === 'slack' && slackCode(error) === 'message_not_found'
}

function verdictOf(platform: ChatPlatform, error: unknown): Verdict {
  const { code } = fieldsOf(error)
  switch (code) {
    case 'RATE_LIMITED':
      return { kind: 'retry', status: 429, ...retryAfter(fieldsOf(error)['retryAfter']) }
    case 'AUTH_FAILED':
      return { kind: 'refused', status: 401 }
    case 'PERMISSION_DENIED':
      return { kind: 'refused', status: 403 }
    case 'NOT_FOUND':
      return { kind: 'refused', status: 404 }
    case 'VALIDATION_ERROR':
      return { kind: TELEGRAM_GONE.test(messageOf(error)) ? 'gone' : 'refused', status: 400 }
    default:
      return platform === 'slack' ? ofSlack(error) : ofHttp(platform, error)
  }
}

/** An error that carries the answer of an HTTP service; without one, nothing has answered. */
function ofHttp(platform: ChatPlatform, error: unknown): Verdict {
  const original = fieldsOf(fieldsOf(error)['originalError'])
  const status = numberOf(original['status']) ?? numberOf(fieldsOf(original['response'])['status'])
  if (status === undefined) return { kind: 'retry' }
  if (status === 429) return { kind: 'retry', status, ...retryAfter(jsonFields(original['message'])['retry_after']) }
  const isGone = platform === 'discord' ? DISCORD_GONE.has(numberOf(original['code']) ?? 0) : status === 404
  if (isGone || status === 410) return { kind: 'gone', status }
  return { kind: kindOf(status), status }
}

function ofSlack(error: unknown): Verdict {
  const fields = fieldsOf(error)
  if (fields['code'] === 'slack_webapi_rate_limited_error') {
    return { kind: 'retry', status: 429, ...retryAfter(fields['retryAfter']) }
  }
  const status = numberOf(fields['statusCode'])
  if (status !== undefined) return { kind: kindOf(status), status }
  const said = slackCode(error)
  if (said === undefined || SLACK_PASSING.has(said)) return { kind: 'retry' }
  return { kind: SLACK_GONE.has(said) ? 'gone' : 'refused' }
}

function slackCode(error: unknown): string | undefined {
  const said = fieldsOf(fieldsOf(error)['data'])['error']
  return typeof said === 'string' ? said : undefined
}

function kindOf(status: number): ChannelError['kind'] {
  return status >= 400 && status < 500 && status !== 408 && status !== 429 ? 'refused' : 'retry'
}

function retryAfter(seconds: unknown): { readonly retryAfterMs?: number } {
  const after = numberOf(seconds)
  return after === undefined || after < 0 ? {} : { retryAfterMs: Math.ceil(after * 1_000) }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function jsonFields(text: unknown): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(typeof text === 'string' ? JSON.parse(text) : undefined)
  } catch {
    return {}
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}
