/** Real Redis servers that end with the test that started them. */
import { onTestFinished } from 'vitest'
import { launchRedis, type RedisServer } from './redis-process.ts'

export type { RedisServer } from './redis-process.ts'

/** `settings` are those of redis.conf. Nothing is kept on disk unless they say so. Ends with `undo`, or with the test. */
export function startRedis(
  settings: Readonly<Record<string, string>> = {},
  onEnd: (undo: () => Promise<void>) => void = onTestFinished,
): Promise<RedisServer> {
  return launchRedis(settings, onEnd)
}
