/**
 * Messages on their way, and what of them is kept. What is sent is copied as JSON and bounded: it is in an inbox, or its sender
 * gets an error.
 */
import { TaskError } from '../../errors.ts'
import type { InboxLimits } from '../../../machines/policies/inbox.ts'
import { badOption } from '../../options.ts'
import type { Clock } from '../../ports/clock.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { DeadLetter, MessageSender, QuestionMessage, SendReceipt, TaskMessage } from '../../ports/message.ts'
import type { Counters } from '../counters.ts'
import type { Inboxes, Letter } from './inboxes.ts'
import { decodeFrozen, encodeJson } from '../values/json.ts'
import type { LiveTask } from '../live-task.ts'
import type { OwnerDesks } from './owner-desks.ts'
import { senderOf } from './question-message.ts'

const MAX_MESSAGE_BYTES = 64 * 1024
/** A hint for senders who found an inbox full, in milliseconds. */
const RETRY_AFTER_MS = 1_000

export interface Messages {
  /** Puts a message into the inbox of a task. @throws as `Session.send` */
  send(to: LiveTask, payload: unknown, from: MessageSender): SendReceipt
  /** Puts a message on the owner's desk. @throws `inbox_full`, `input_invalid`, TypeError */
  sendToOwner(owner: string, payload: unknown, from: MessageSender): SendReceipt
  /** Puts a question on the owner's desk. One that finds no room is counted; the record shows it all the same. */
  tellOwner(owner: string, message: QuestionMessage, bytes: number): void
  /** Sends a dead letter again, with its id. @throws as `send`, and it stays; `not_allowed` when there is none */
  replay(owner: string, messageId: string, to: LiveTask): SendReceipt
}

export function createMessages(parts: {
  readonly clock: Clock
  readonly createId: IdSource
  readonly inboxes: Inboxes
  readonly desks: OwnerDesks
  readonly limits: InboxLimits
  readonly counters: Counters
  readonly noteNews: (owner: string) => void
}): Messages {
  const { clock, createId, inboxes, desks } = parts
  const maxBytes = Math.min(MAX_MESSAGE_BYTES, parts.limits.maxBytes)

  const toLetter = (payload: unknown, from: MessageSender): Letter => {
    const encoded = encodeMessage(payload, maxBytes)
    const message = Object.freeze({
      kind: 'message',
      messageId: createId(),
      from,
      at: clock.now(),
      payload: decodeFrozen(encoded.json),
    } as const)
    return { message, bytes: encoded.bytes }
  }

  return {
    send(to, payload, from) {
      const letter = toLetter(payload, from)
      inboxes.put(to, letter)
      return { messageId: letter.message.messageId }
    },

    sendToOwner(owner, payload, from) {
      const { message, bytes } = toLetter(payload, from)
      if (!desks.put(owner, message, bytes)) {
        throw new TaskError('inbox_full', 'The inbox of the owner is full.', { retryAfterMs: RETRY_AFTER_MS })
      }
      parts.noteNews(owner)
      return { messageId: message.messageId }
    },

    tellOwner(owner, message, bytes) {
      if (desks.put(owner, message, bytes)) parts.noteNews(owner)
      else parts.counters.droppedMessages += 1
    },

    replay(owner, messageId, to) {
      const desk = desks.find(owner)
      const buried = desk?.dead.items.find(({ item }) => item.messageId === messageId)
      if (desk === undefined || buried === undefined) {
        throw new TaskError('not_allowed', 'There is no dead letter with this id.')
      }
      const { item, bytes } = buried
      const { from, at, payload } = item
      inboxes.put(to, { message: Object.freeze({ kind: 'message', messageId, from, at, payload }), bytes })
      desks.unbury(desk, messageId)
      return { messageId }
    },
  }
}

/** A message on its way to another process, which bounds it once more. @throws `input_invalid` */
export function toSendable(payload: unknown): unknown {
  return JSON.parse(encodeMessage(payload, MAX_MESSAGE_BYTES).json) as unknown
}

function encodeMessage(payload: unknown, maxBytes: number): { readonly json: string; readonly bytes: number } {
  if (payload === undefined) throw badOption('message', 'a value that is JSON', payload)
  const encoded = encodeJson(payload, maxBytes)
  switch (encoded.kind) {
    case 'json':
      return { json: encoded.json ?? 'null', bytes: encoded.bytes }
    case 'refused':
      throw new TaskError('input_invalid', `The message cannot be kept: ${encoded.why}.`)
    case 'too_large': {
      const size = `at least ${encoded.atLeastBytes} bytes; ${maxBytes} are kept at most`
      throw new TaskError('input_invalid', `The message has ${size}.`)
    }
  }
}

export function toDeadLetter(taskId: string, message: TaskMessage, bouncedAt: number): DeadLetter {
  const { messageId, from, at, payload } = message
  return Object.freeze({ messageId, taskId, from, at, payload, bouncedAt })
}

const THE_OWNER: MessageSender = Object.freeze({ kind: 'owner' })

/** Who sends: a task whose code does, or the owner. */
export function asSender(from: LiveTask | undefined): MessageSender {
  return from === undefined ? THE_OWNER : senderOf(from.taskId, from.spec.name)
}
