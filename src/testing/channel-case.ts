/** What the cases of the channel contracts are made of. */
import assert from 'node:assert/strict'
import type { Awaitable } from '../ports/awaitable.ts'
import type { Channel, ChannelMessage, ChannelReceipt } from '../ports/channel.ts'

/** A message as it stands at the receiver. */
export interface ArrivedMessage {
  readonly text: string
  /** What the receiver can tell a repeated message by, where the channel sends such a thing. */
  readonly id?: string
  /** All of what came that may not change when the message is sent again, where that is more than the text. */
  readonly body?: string
}

/** A channel and the receiver at its other end, as its author sets them up for one case. */
export interface ChannelUnderTest {
  readonly channel: Channel
  /** Ids of places: two, unless the channel has only one place. */
  readonly places: readonly [string, string?]
  /** Ids that the channel refuses; empty if it takes them all. */
  readonly refused: readonly string[]
  /** What has come to a place, in the order in which it came. */
  arrived(place: string): Awaitable<readonly ArrivedMessage[]>
  close?(): Awaitable<void>
}

/** What a receiver does with each message from now on. */
export type ReceiverFault =
  /** It takes nothing for now, and may say until when. */
  | { readonly kind: 'busy'; readonly retryAfterSeconds?: number }
  /** It does not want the message, now or later. */
  | { readonly kind: 'refuses' }
  /** It says that the place is no more. */
  | { readonly kind: 'gone' }
  /** It never answers. */
  | { readonly kind: 'stalls' }
  /** It takes the message, and the connection breaks before it can say so. */
  | { readonly kind: 'resets' }

/** A channel whose receiver is elsewhere, and can be made to fail. */
export interface RemoteChannelUnderTest extends ChannelUnderTest {
  /** Until it is called again for this place; without a fault all is well. */
  fail(place: string, fault?: ReceiverFault): Awaitable<void>
}

export interface ContractCaseOf<Under> {
  readonly title: string
  run(createChannel: () => Awaitable<Under>): Promise<void>
}

export type ChannelContractCase = ContractCaseOf<ChannelUnderTest>
export type RemoteChannelContractCase = ContractCaseOf<RemoteChannelUnderTest>

export function channelCase<Under extends ChannelUnderTest>(
  title: string,
  check: (under: Omit<Under, 'places'> & { readonly places: readonly [string, ...string[]] }) => Awaitable<void>,
): ContractCaseOf<Under> {
  return {
    title,
    async run(createChannel) {
      const under = await createChannel()
      const [first, second] = under.places
      try {
        await check({ ...under, places: second === undefined ? [first] : [first, second] })
      } finally {
        await under.close?.()
      }
    },
  }
}

/** Any moment, the same in each attempt. */
const SENT_AT = Date.UTC(2030, 0, 1)

export function messageOf(id: string, text: string): ChannelMessage {
  return { id, text, kind: 'end', part: 1, parts: 1, deliveryId: `delivery-of-${id}`, taskId: 'task-1', at: SENT_AT }
}

/** No case waits longer for a send that has to end. */
const SEND_LIMIT_MS = 5_000

/** Sends to a place. What is handed over cannot be changed, as it is sent again on a failure. */
export async function sendTo(
  channel: Channel,
  id: string,
  message: ChannelMessage,
  signal: AbortSignal = new AbortController().signal,
): Promise<ChannelReceipt | void> {
  const target = Object.freeze({ channel: 'tested', id })
  const asked = Object.freeze({ target, message: Object.freeze({ ...message }), signal })
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_resolve, reject) => {
    const late = new assert.AssertionError({ message: `a send did not end within ${SEND_LIMIT_MS} ms` })
    timer = setTimeout(() => reject(late), SEND_LIMIT_MS)
  })
  try {
    return await Promise.race([channel.send(asked), tooLong])
  } finally {
    clearTimeout(timer)
  }
}

/** What a send rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const outcome = await work.then(
    () => ({ isSent: true as const }),
    (error: unknown) => ({ isSent: false as const, error }),
  )
  if (outcome.isSent) assert.fail('the send resolved')
  if (outcome.error instanceof assert.AssertionError) throw outcome.error
  return outcome.error
}

/** What an error of a channel means. By its shape: the channel may have another copy of the class. */
export function kindOf(error: unknown): 'retry' | 'refused' | 'gone' {
  if (!(error instanceof Error && error.name === 'ChannelError' && 'kind' in error)) return 'retry'
  const { kind } = error
  assert.ok(kind === 'retry' || kind === 'refused' || kind === 'gone', 'a ChannelError has a kind')
  return kind
}
