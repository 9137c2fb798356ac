/** The options of `redisStore`, checked. */
import type { RedisOptions } from 'ioredis'
import { badOption, checkDuration, checkOptionNames, checkWhole } from '../../options.ts'
import type { Logger } from '../../ports/logger.ts'
import { createKeySpace, type KeySpace } from './keys.ts'
import type { RedisClientFactory } from './redis-client.ts'

export interface RedisStoreOptions {
  /** Where Redis is, as `redis://` or `rediss://`. @defaultValue `redis://127.0.0.1:6379` */
  readonly url?: string
  /**
   * Options of ioredis (TLS, Sentinels, a user), or a function that makes a client, also one of a Cluster. How a client
   * connects again and waits is the store's to decide; `keyPrefix` is refused.
   */
  readonly redis?: RedisOptions | RedisClientFactory
  /** What the keys of this deployment begin with, in braces. Deployments with different ones know nothing of each other. @defaultValue `'outlive'` */
  readonly prefix?: string
  /**
   * How long an ended task is kept by Redis itself after its last commit or the last change of its deliveries, in milliseconds: a
   * safety net for the case that nobody prunes any more. Redis adds an hour. Should be longer than `retention.finishedMs`. One that
   * owes a delivery is kept until it owes none. @defaultValue 86 400 000
   */
  readonly resultTtlMs?: number
  /** How long a call waits for its reply, in milliseconds. It may have been carried out all the same. @defaultValue 5 000 */
  readonly commandTimeoutMs?: number
  /** How many commits are written at once at most. @defaultValue 100 */
  readonly maxCommitsPerCall?: number
  /** Is told of damaged records. */
  readonly logger?: Logger
}

export interface RedisStoreSettings {
  readonly url: string | undefined
  readonly redis: RedisOptions | RedisClientFactory | undefined
  readonly keys: KeySpace
  readonly ttlMs: number
  readonly commandTimeoutMs: number
  readonly maxCommitsPerCall: number
  readonly logger: Logger | undefined
}

const NAMES = ['url', 'redis', 'prefix', 'resultTtlMs', 'commandTimeoutMs', 'maxCommitsPerCall', 'logger']
const TTL_MARGIN_MS = 3_600_000
const MAX_COMMITS = 1_000

export function checkRedisOptions(given: string | RedisStoreOptions): RedisStoreSettings {
  const options = typeof given === 'string' ? { url: given } : given
  checkOptionNames('options', options, NAMES)
  const { url, redis, logger } = options
  if (url !== undefined && (typeof url !== 'string' || !/^rediss?:\/\//.test(url))) {
    throw badOption('url', 'a text that begins with redis:// or rediss://', url)
  }
  if (redis !== undefined && typeof redis !== 'function' && (typeof redis !== 'object' || redis === null)) {
    throw badOption('redis', 'options of ioredis or a function that makes a client', redis)
  }
  if (typeof redis === 'function' && url !== undefined) {
    throw badOption('url', 'absent when `redis` makes the client', url)
  }
  if (typeof redis === 'object' && redis.keyPrefix !== undefined) {
    throw badOption('redis.keyPrefix', 'absent (`prefix` is what the keys of this store begin with)', redis.keyPrefix)
  }
  return {
    url,
    redis,
    logger,
    keys: createKeySpace(options.prefix ?? 'outlive'),
    ttlMs: Math.ceil(checkDuration('resultTtlMs', options.resultTtlMs ?? 86_400_000)) + TTL_MARGIN_MS,
    commandTimeoutMs: checkDuration('commandTimeoutMs', options.commandTimeoutMs ?? 5_000),
    maxCommitsPerCall: checkWhole('maxCommitsPerCall', options.maxCommitsPerCall ?? 100, { min: 1, max: MAX_COMMITS }),
  }
}
