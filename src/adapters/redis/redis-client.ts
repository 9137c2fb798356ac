/** How a client of ioredis is made, and what this store needs of one. */
import type { RedisOptions } from 'ioredis'
import type { Awaitable } from '../../ports/awaitable.ts'
import { badOption } from '../../options.ts'
import { refused } from './redis-errors.ts'

/** What a client has to have: `Redis` and `Cluster` of ioredis 5 and 6 do. */
export interface RedisClient {
  readonly status: string
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(): void
  on(event: string, listener: (...args: unknown[]) => void): unknown
}

/**
 * Makes a client for one connection. It is called again whenever a connection was lost, and for the connection on which
 * hints come. `options` are those that the store needs; give them on.
 */
export type RedisClientFactory = (options: Omit<RedisOptions, 'replyMapping'>) => Awaitable<RedisClient>

/**
 * One client is one connection: when it breaks, the client is thrown away. So nothing waits in a queue of the client, nothing
 * is sent twice by it, and what it has not answered is rejected.
 */
function neededOptions(connectTimeoutMs: number): RedisOptions {
  return {
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    reconnectOnError: null,
    stringNumbers: false,
  }
}

export function createClientFactory(options: {
  readonly url: string | undefined
  readonly redis: RedisOptions | RedisClientFactory | undefined
  readonly connectTimeoutMs: number
}): () => Promise<RedisClient> {
  const { url, redis, connectTimeoutMs } = options
  const needed = neededOptions(connectTimeoutMs)
  return async () => {
    const client =
      typeof redis === 'function' ? await redis(needed) : await createOwnClient(url, { ...redis, ...needed })
    // Without a listener the client would write its errors to the console.
    client.on('error', () => undefined)
    if (keyPrefixOf(client) !== '') {
      client.disconnect()
      throw badOption(
        'redis.keyPrefix',
        'absent (`prefix` is what the keys of this store begin with)',
        keyPrefixOf(client),
      )
    }
    return client
  }
}

async function createOwnClient(url: string | undefined, options: RedisOptions): Promise<RedisClient> {
  const { Redis } = await import('ioredis').catch((error: unknown) => {
    throw refused('redisStore needs the package ioredis, version 5 or 6: npm install ioredis', error)
  })
  // Without a mapping the client gives the replies of both versions, which is what is read here.
  const { replyMapping: _, ...given } = options
  return url === undefined ? new Redis(given) : new Redis(url, given)
}

function keyPrefixOf(client: RedisClient): string {
  const { keyPrefix } = (client as { options?: { keyPrefix?: string } }).options ?? {}
  return keyPrefix ?? ''
}

/** Ends a client for good, also one whose peer does not answer: `disconnect` alone would wait for it to say goodbye. */
export function destroyClient(client: RedisClient): void {
  // A client that has ended would wait two seconds for its socket to end.
  if (client.status === 'end') return
  client.disconnect()
  const { stream } = client as { stream?: { destroy?: () => void } }
  stream?.destroy?.()
}
