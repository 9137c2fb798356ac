import { CHANNEL_CONTRACT, REMOTE_CHANNEL_CONTRACT } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { callbackUnderTest, consoleUnderTest, fileUnderTest, webhookUnderTest } from '../support/channels-under-test.ts'

describe.each([
  ['callback', callbackUnderTest],
  ['file', fileUnderTest],
  ['console', consoleUnderTest],
] as const)('the %s channel', (_name, create) => {
  test.each(CHANNEL_CONTRACT)('$title', async ({ run }) => {
    await expect(run(create)).resolves.toBeUndefined()
  })
})

describe('the webhook channel', () => {
  test.each([...CHANNEL_CONTRACT, ...REMOTE_CHANNEL_CONTRACT])('$title', async ({ run }) => {
    await expect(run(webhookUnderTest)).resolves.toBeUndefined()
  })
})
