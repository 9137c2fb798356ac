/** `outlive/redis`: tasks of many processes, kept in Redis. */
export { redisStore, type RedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-options.ts'
export type { RedisClient, RedisClientFactory } from './redis-client.ts'
