import { CHANNEL_CONTRACT, REMOTE_CHANNEL_CONTRACT, type RemoteChannelUnderTest } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { boardChannel } from '../../docs/examples/channel.ts'
import { toScript } from '../support/channels-under-test.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'

// The channel in docs/examples, which shows how to write one.

async function boardsUnderTest(): Promise<RemoteChannelUnderTest> {
  const receiver = await startHttpReceiver()
  return {
    channel: boardChannel(receiver.url),
    places: ['news', 'team-2'],
    refused: ['', 'News', '../admin', 'a?b'],
    arrived: (place) =>
      receiver.taken(`/${place}`).map(({ headers, body }) => ({ text: body, id: String(headers['idempotency-key']) })),
    fail: (place, fault) => receiver.answer(`/${place}`, fault === undefined ? undefined : toScript(fault)),
    close: receiver.close,
  }
}

describe('the channel to boards', () => {
  test.each([...CHANNEL_CONTRACT, ...REMOTE_CHANNEL_CONTRACT])('$title', async ({ run }) => {
    await expect(run(boardsUnderTest)).resolves.toBeUndefined()
  })
})
