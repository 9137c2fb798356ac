/** What an answer of a webhook's receiver means for the message. */
import { ChannelError } from '../../../channel-error.ts'

/** The longest wait that a receiver can ask for: a day. */
const MAX_RETRY_AFTER_MS = 86_400_000

const MAY_PASS = new Set([408, 425, 429])
const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

export interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
}

/** @throws `ChannelError` unless the receiver has taken the message. */
export function requireTaken({ status, retryAfter }: Answer, now: number): void {
  if (status >= 200 && status < 300) return
  const said = `the endpoint answered ${status}`
  if (status === 410) throw new ChannelError('gone', said, { status })
  if (status >= 500 || MAY_PASS.has(status)) {
    const retryAfterMs = retryAfterMsOf(retryAfter, now)
    throw new ChannelError('retry', said, { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  }
  const hint = status >= 300 && status < 400 ? ', and redirects are not followed' : ''
  throw new ChannelError('refused', `${said}${hint}`, { status })
}

/** A `Retry-After` in seconds or as a date, from now, within bounds; `undefined` when it is neither. */
function retryAfterMsOf(text: string | undefined, now: number): number | undefined {
  const trimmed = text?.trim() ?? ''
  const ms = /^\d+$/.test(trimmed)
    ? Number(trimmed) * 1_000
    : IMF_FIXDATE.test(trimmed)
      ? Date.parse(trimmed) - now
      : NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}
