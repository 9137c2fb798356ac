/**
 * How long a result takes from its end to its webhook, at 200 a second over 20 endpoints, and how much longer when one of
 * them is dead. Rounds alternate in one process, each with a supervisor of its own; the receiver is a process of its own.
 * The ratio of 99th percentiles, over the results of all rounds that went to endpoints which live.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createTaskSupervisor } from 'outlive'
import { webhookChannel } from 'outlive/channels/webhook'
import { readArguments, report } from './reporting.ts'
import { quantile } from './statistics.ts'

const ENDPOINTS = 20
const PER_SECOND = 200
const SECRET = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`

if (process.argv.includes('receive')) await receive()
else await measure()

/** Takes everything; what comes to `/dead` is never answered. */
async function receive(): Promise<void> {
  const server = createServer((request, response) => {
    request.resume()
    if (request.url !== '/dead') request.on('end', () => response.writeHead(204).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.((server.address() as AddressInfo).port)
  process.once('disconnect', () => process.exit(0))
}

async function measure(): Promise<void> {
  const { rounds = '6', seconds = '4' } = readArguments()
  const receiver = fork(fileURLToPath(import.meta.url), ['receive'])
  const [port] = (await once(receiver, 'message')) as [number]
  const alive: number[] = []
  const withDead: number[] = []
  try {
    await round(port, 1, false)
    for (let number = 0; number < Number(rounds); number += 1) {
      for (const isDead of number % 2 === 0 ? [false, true] : [true, false]) {
        const tookMs = await round(port, Number(seconds), isDead)
        ;(isDead ? withDead : alive).push(...tookMs)
      }
    }
  } finally {
    receiver.disconnect()
  }
  const [aliveP99Ms, withDeadP99Ms] = [quantile(alive, 0.99), quantile(withDead, 0.99)]
  report({
    ratio: withDeadP99Ms / aliveP99Ms,
    aliveP99Ms,
    withDeadP99Ms,
    aliveMs: quantile(alive, 0.5),
    withDeadMs: quantile(withDead, 0.5),
  })
}

/** From the end of each task to what is kept of its delivery, in milliseconds. */
async function round(port: number, seconds: number, isDead: boolean): Promise<number[]> {
  const names = Array.from({ length: ENDPOINTS }, (_, index) => `place-${index}`)
  const endpointOf = (path: string) => ({ url: `http://127.0.0.1:${port}/${path}`, secret: SECRET })
  const tasks = createTaskSupervisor({
    channels: {
      webhook: webhookChannel({
        endpoints: {
          ...Object.fromEntries(names.map((name) => [name, endpointOf(name)])),
          dead: endpointOf('dead'),
        },
        allow: ['127.0.0.1'],
        allowHttp: true,
        allowPorts: [port],
        timeoutMs: 2_000,
      }),
    },
    retention: { maxFinished: 100 },
    logger: { warn: () => undefined, error: () => undefined },
  })
  const session = tasks.session({ owner: 'bench' })
  const endedAtMs = new Map<string, number>()
  const tookMs: number[] = []
  const watching = session.events$({ type: ['task.completed', 'delivery.delivered'] }).subscribe((item) => {
    if (item.type === 'task.completed') endedAtMs.set(item.taskId, performance.now())
    if (item.type !== 'delivery.delivered') return
    tookMs.push(performance.now() - (endedAtMs.get(item.taskId) ?? Number.NaN))
    endedAtMs.delete(item.taskId)
  })
  const startedMs = performance.now()
  const count = PER_SECOND * seconds
  for (let sent = 0; sent < count; sent += 1) {
    const dueMs = startedMs + (sent * 1_000) / PER_SECOND
    const early = dueMs - performance.now()
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early))
    // With a dead one, one in twenty results goes there instead.
    const place = isDead && sent % ENDPOINTS === 0 ? 'dead' : (names[sent % ENDPOINTS] ?? 'dead')
    await session.spawn(() => `result ${sent}`, undefined, { deliverTo: `webhook:${place}` })
  }
  const expected = isDead ? count - count / ENDPOINTS : count
  while (tookMs.length < expected) await new Promise((resolve) => setTimeout(resolve, 5))
  watching.unsubscribe()
  await tasks.shutdown({ graceMs: 1 })
  return tookMs
}
