/**
 * Hands one message to a channel, and says what became of it. Whatever a channel does, this ends within its time and never
 * rejects.
 */
import { ChannelError } from '../channel-error.ts'
import { messageOf } from '../errors.ts'
import { partOf } from '../kept-text.ts'
import type { Channel, ChannelCall, ChannelReceipt, ChannelSend } from '../ports/channel.ts'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { DeliveryFailure } from '../ports/delivery.ts'

const MAX_ERROR_CHARS = 500
const MAX_MESSAGE_ID_CHARS = 512

export type SendOutcome =
  | { readonly kind: 'accepted'; readonly messageId: string | undefined }
  | { readonly kind: 'failed'; readonly failure: DeliveryFailure; readonly retryAfterMs: number | undefined }
  /** Another attempt would be refused as well. */
  | { readonly kind: 'refused'; readonly failure: DeliveryFailure }
  /** The supervisor has stopped meanwhile: nobody knows whether the receiver has it. */
  | { readonly kind: 'stopped' }

export interface ChannelCaller {
  send(channel: Channel, send: Pick<ChannelSend, 'target' | 'message'>): Promise<SendOutcome>
  /** Anything else that a channel is asked for, within the same limit. Rejects with what it rejects with. */
  ask<Answer>(target: ChannelCall['target'], call: (call: ChannelCall) => Awaitable<Answer>): Promise<Answer>
  /** Gives up what is under way. */
  stop(): void
}

export function createChannelCaller(parts: { readonly deadlines: Deadlines; readonly sendMs: number }): ChannelCaller {
  const { deadlines, sendMs } = parts
  const underWay = new Set<AbortController>()
  const stopped = new Error('the supervisor has stopped')
  const tooLong = new Error(`the channel did not answer within ${sendMs} ms`)

  const ask: ChannelCaller['ask'] = async (target, call) => {
    const controller = new AbortController()
    underWay.add(controller)
    const limit = deadlines.after(sendMs, () => controller.abort(tooLong), undefined)
    try {
      const aborted = new Promise<never>((_resolve, reject) => {
        controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error), { once: true })
      })
      const answer = (async () => call({ target, signal: controller.signal }))()
      // Of a call that was given up nobody hears any more.
      answer.catch(() => undefined)
      return await Promise.race([answer, aborted])
    } catch (error) {
      // A channel that listens to its signal rejects with an error of its own.
      throw controller.signal.aborted ? controller.signal.reason : error
    } finally {
      limit.disarm()
      underWay.delete(controller)
    }
  }

  return {
    ask,
    async send(channel, { target, message }) {
      try {
        const receipt = await ask(target, (call) => channel.send({ message, ...call }))
        return { kind: 'accepted', messageId: messageIdOf(receipt) }
      } catch (error) {
        if (error === stopped) return { kind: 'stopped' }
        if (error === tooLong) return failed({ code: 'timeout', message: tooLong.message }, undefined)
        return toOutcome(error)
      }
    },
    stop() {
      for (const controller of underWay) controller.abort(stopped)
    },
  }
}

function toOutcome(error: unknown): SendOutcome {
  const message = partOf(messageOf(error), { from: 0, maxChars: MAX_ERROR_CHARS })
  if (!(error instanceof ChannelError)) return failed({ code: 'channel_error', message }, undefined)
  switch (error.kind) {
    case 'retry':
      return failed({ code: 'channel_error', message }, error.retryAfterMs)
    case 'refused':
      return { kind: 'refused', failure: { code: 'refused', message } }
    case 'gone':
      return { kind: 'refused', failure: { code: 'target_gone', message } }
  }
}

function failed(failure: DeliveryFailure, retryAfterMs: number | undefined): SendOutcome {
  const isNumber = typeof retryAfterMs === 'number' && retryAfterMs >= 0
  return { kind: 'failed', failure, retryAfterMs: isNumber ? retryAfterMs : undefined }
}

/** What a channel of somebody else's calls its message, if it is a name at all. */
function messageIdOf(receipt: ChannelReceipt | void | null): string | undefined {
  const messageId: unknown = receipt?.messageId
  return typeof messageId === 'string' && messageId.length <= MAX_MESSAGE_ID_CHARS ? messageId : undefined
}
