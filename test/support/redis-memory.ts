/** How much memory the data of a Redis takes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'

const LOOKS = 15
const LOOK_MS = 100

/**
 * The least that is seen for a while, in bytes: the server makes its tables smaller, and gives back what it has freed, a little
 * later. What it keeps for the commands of connections is left out.
 */
export async function measureMemory(redis: Redis): Promise<number> {
  await redis.call('MEMORY', 'PURGE')
  let least = Infinity
  for (let look = 0; look < LOOKS; look += 1) {
    const info = await redis.info('memory')
    const bytesOf = (what: string): number => Number(new RegExp(`^${what}:(\\d+)`, 'm').exec(info)?.[1])
    least = Math.min(least, bytesOf('used_memory') - bytesOf('mem_clients_normal'))
    await sleep(LOOK_MS)
  }
  return least
}
