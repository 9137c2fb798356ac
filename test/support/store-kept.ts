/** How much there is in a Redis of our own, or in a file of SQLite. */
import { Redis } from 'ioredis'
import Database from 'libsql'
import { measureMemory } from './redis-memory.ts'

export interface Kept {
  /** Keys and what is in them, or rows. */
  readonly things: number
  /** Of memory, or of the file. */
  readonly bytes: number
}

const SIZE: Readonly<Record<string, string>> = { zset: 'ZCARD', hash: 'HLEN', stream: 'XLEN', string: 'STRLEN' }

export async function measureRedis(port: number): Promise<Kept> {
  const redis = new Redis({ port })
  try {
    let things = 0
    for await (const keys of redis.scanStream({ count: 1_000 }) as AsyncIterable<readonly string[]>) {
      for (const key of keys) {
        const size = SIZE[await redis.type(key)]
        if (size === undefined) throw new Error(`nothing is known of ${key}`)
        things += Number(await redis.call(size, key))
      }
    }
    return { things, bytes: await measureMemory(redis) }
  } finally {
    redis.disconnect()
  }
}

export async function measureFile(file: string): Promise<Kept> {
  const database = new Database(file)
  try {
    const numberOf = (text: string): number => Number(Object.values(database.prepare(text).get([]) as object)[0])
    const tables = database.prepare("select name from sqlite_schema where type = 'table'").all([])
    const things = (tables as { readonly name: string }[])
      .map(({ name }) => numberOf(`select count(*) from ${name}`))
      .reduce((sum, rows) => sum + rows, 0)
    return { things, bytes: numberOf('pragma page_count') * numberOf('pragma page_size') }
  } finally {
    database.close()
  }
}
