/** Tasks of every outcome, told by the real adapter to a fake platform: what a person sees of them. */
import { createTaskSupervisor, type TaskContext } from 'outlive'
import type { ChatPlatform } from 'outlive/channels/chat'
import { createManualClock, sequentialIds } from 'outlive/testing'
import { expect } from 'vitest'
import type { ChatAct } from './chat-platforms.ts'
import { CHAT_PLACES, chatUnderTest } from './chat-under-test.ts'

/** Longer than one message of most platforms. */
const REPORT = {
  title: 'Prices of green tea, per kilogram',
  rows: Array.from({ length: 48 }, (_, index) => ({ shop: `shop-${index + 1}`, price: 18 + ((index * 7) % 23) })),
}

export interface ChatStory {
  /** Everything that the platform took, in order. */
  readonly acts: readonly ChatAct[]
  /** What stands there when all is over. */
  readonly texts: readonly string[]
}

export async function tellChatStory(platform: ChatPlatform): Promise<ChatStory> {
  const { channel, fake } = await chatUnderTest(platform)
  const [place] = CHAT_PLACES[platform]
  const clock = createManualClock()
  const tasks = createTaskSupervisor({
    channels: { [platform]: channel },
    notices: { digestMs: 1_000 },
    clock,
    createId: sequentialIds('task'),
  })
  const mine = tasks.session({ owner: 'user:42', origin: `${platform}:${place}` })
  const messages = (): number => fake.acts.filter(({ kind }) => kind === 'message').length
  const told = async (count: number): Promise<void> => {
    await expect.poll(messages).toBe(count)
  }
  /** Ends are collected for a second, and sent then. */
  const sent = async (count: number): Promise<void> => {
    await clock.advance(1_000)
    await told(count)
  }
  const passes = (name: string, ms: number, end: () => unknown) => ({
    name,
    run: (_input: undefined, { signal }: TaskContext) =>
      new Promise((resolve, reject) => {
        clock.startTimer(ms, () => resolve(undefined))
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      }).then(end),
  })

  const research = passes('research', 12_300, () => REPORT)
  await mine.spawn(research, undefined, { name: 'tea', description: 'What does green tea cost, and where?' })
  await told(1)
  await clock.advance(12_300)
  const parts = platform === 'discord' ? 2 : 1
  await sent(1 + parts)

  const convert = passes('convert', 3_200, () => {
    throw new TypeError('column "price" is no number in row 17')
  })
  await mine.spawn(convert)
  await told(2 + parts)
  await clock.advance(3_200)
  await sent(3 + parts)

  const crawl = await mine.spawn(passes('crawl', 600_000, () => undefined))
  await told(4 + parts)
  await clock.advance(61_000)
  await crawl.cancel({ note: 'we have enough pages' })
  await sent(5 + parts)

  const both = tasks.session({ owner: 'user:42', origin: `${platform}:${place}`, conversation: 'c-9' })
  await both.spawn(passes('count', 800, () => 'There are 1,204 files.'))
  await both.spawn(passes('search', 900, () => ({ found: ['a.txt', 'b.txt'] })))
  await told(7 + parts)
  await clock.advance(900)
  await sent(8 + parts)
  await tasks.shutdown()
  return { acts: fake.acts, texts: fake.texts(place) }
}
