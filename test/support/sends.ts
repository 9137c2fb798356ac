/** Sends as a supervisor hands them to channels. */
import { ChannelError, type Channel, type ChannelMessage, type ChannelReceipt } from 'outlive'
import { expect } from 'vitest'

function messageOf(fields: Partial<ChannelMessage> = {}): ChannelMessage {
  return {
    id: 'msg-1',
    kind: 'end',
    text: 'the result',
    part: 1,
    parts: 1,
    deliveryId: 'delivery-1',
    taskId: 'task-1',
    at: Date.UTC(2030, 0, 1),
    ...fields,
  }
}

export async function sendTo(
  channel: Channel,
  id: string,
  fields: Partial<ChannelMessage> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<ChannelReceipt | void> {
  return channel.send({ target: { channel: 'tested', id }, message: messageOf(fields), signal })
}

/** What the channel says about a message that was not taken. */
export async function refusalOf(send: Promise<unknown>): Promise<ChannelError> {
  const error: unknown = await send.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(ChannelError)
  return error as ChannelError
}
