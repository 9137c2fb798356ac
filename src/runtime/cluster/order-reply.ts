/** What a node answers to an order, as it travels. An error arrives as what it was, as far as callers can tell. */
import { isTaskError, TaskError, TaskNotFoundError, type ErrorCode } from '../../errors.ts'

/** `gone`: the task is not here, or has ended. */
export type OrderReply =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'gone' }

interface SentError {
  readonly code?: ErrorCode
  readonly message: string
  readonly retryAfterMs?: number
  readonly details?: unknown
}

type SentReply =
  | { readonly kind: 'done'; readonly value?: unknown }
  | { readonly kind: 'refused'; readonly error: SentError }
  | { readonly kind: 'gone' }

export function toReplyJson(reply: OrderReply): string {
  const sent: SentReply = reply.kind === 'refused' ? { kind: 'refused', error: toSentError(reply.error) } : reply
  return JSON.stringify(sent)
}

/** An error about the task that the order was for. */
export function fromReplyJson(json: string, taskId: string): OrderReply {
  const reply = JSON.parse(json) as SentReply
  switch (reply.kind) {
    case 'done':
      return { kind: 'done', value: reply.value }
    case 'gone':
      return reply
    case 'refused':
      return { kind: 'refused', error: fromSentError(reply.error, taskId) }
  }
}

function toSentError(error: unknown): SentError {
  const message = error instanceof Error ? error.message : 'The order failed.'
  if (!isTaskError(error)) return { message }
  const { code, retryAfterMs, details } = error
  return {
    code,
    message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
  }
}

function fromSentError({ code, message, retryAfterMs, details }: SentError, taskId: string): Error {
  if (code === undefined) return new TypeError(message)
  if (code === 'task_not_found') return new TaskNotFoundError()
  return new TaskError(code, message, {
    taskId,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
  })
}
