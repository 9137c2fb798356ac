import { CHAT_PLATFORMS } from '../../src/adapters/channels/chat/chat-adapter.ts'
import { CHANNEL_CONTRACT, REMOTE_CHANNEL_CONTRACT } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { chatUnderContract } from '../support/chat-under-test.ts'

describe.each(CHAT_PLATFORMS)('the chat channel for %s', (platform) => {
  test.each([...CHANNEL_CONTRACT, ...REMOTE_CHANNEL_CONTRACT])('$title', async ({ run }) => {
    await expect(run(() => chatUnderContract(platform))).resolves.toBeUndefined()
  })
})
