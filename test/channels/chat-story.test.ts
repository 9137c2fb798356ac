import { describe, expect, test } from 'vitest'
import { CHAT_PLATFORMS } from '../../src/adapters/channels/chat/chat-adapter.ts'
import type { ChatAct } from '../support/chat-platforms.ts'
import { tellChatStory } from '../support/chat-story.ts'

describe.each(CHAT_PLATFORMS)('tasks that tell %s', (platform) => {
  test('say how they end, in order, and leave no sign of work behind', async () => {
    const { acts, texts } = await tellChatStory(platform)
    const ends = texts.filter((text) => !text.includes(' goes on in the background'))
    const report = ends[0] ?? ''
    expect(report).toMatch(/^`tea` \(`research`\) completed in 12\.3 s · task `task-1`\n```json\n\{\n {2}"title"/)
    expect(report.endsWith(platform === 'discord' ? '\n```\n(1/2)' : '\n}\n```')).toBe(true)
    expect(ends.slice(platform === 'discord' ? 2 : 1)).toEqual([
      '`convert` failed after 3.2 s · task `task-4`\n```\nTypeError: column "price" is no number in row 17\n```',
      '`crawl` was cancelled after 1 min 1 s (on request) · task `task-7`\n```\nwe have enough pages\n```',
      expect.stringMatching(
        /^2 tasks have ended: 2 completed\.\n`count` [^]*\n`search` [^]*"b\.txt"\n {2}\]\n\}\n```$/,
      ),
    ])
    expect(messagesOf(acts).filter((text) => text.includes(' goes on in the background'))).toHaveLength(5)
    if (platform === 'slack') {
      expect(texts).toEqual(ends)
      expect(acts.filter(({ kind }) => kind === 'deleted')).toHaveLength(5)
    } else {
      // Each task shows at once that it is under way, and the long one again and again.
      expect(acts.filter(({ kind }) => kind === 'typing').length).toBeGreaterThan(5)
      expect(acts.at(-1)?.kind).toBe('message')
    }
    if (platform === 'discord') expect(ends[1]).toMatch(/^\(2\/2\)\n```json\n[^]*\n\}\n```$/)
  })
})

function messagesOf(acts: readonly ChatAct[]): string[] {
  return acts.filter(({ kind }) => kind === 'message').map(({ text }) => text)
}
