import { redisStore } from 'outlive/redis'
import { CLUSTER_CONTRACT, STORE_CONTRACT } from 'outlive/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../support/redis-server.ts'

const undos: (() => Promise<void>)[] = []
let server: RedisServer

beforeAll(async () => {
  server = await startRedis({}, (undo) => undos.push(undo))
})
afterAll(async () => {
  for (const undo of undos) await undo()
})

let deployments = 0

describe('the Redis store', () => {
  test.each([...STORE_CONTRACT, ...CLUSTER_CONTRACT])('$title', async ({ run }) => {
    deployments += 1
    const prefix = `contract-${deployments}`
    await expect(run(() => redisStore({ url: server.url, prefix }))).resolves.toBeUndefined()
  })
})
