import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { createTestHook, HOOK_SECRET } from '../programs/worker-hook.ts'
import type { StorePlace } from '../programs/worker-stores.ts'
import { startHttpReceiver, type Received } from '../support/http-receiver.ts'
import { startRedis } from '../support/redis-server.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { openSurvivor, until } from '../support/survivors.ts'
import { useWorkers } from '../support/worker.ts'

// Processes that are killed -9 while what they owe is on its way to a real receiver.

/** Who stands still for two thirds of the lease, as on a busy machine, is no part of these stories; nor is a slow store. */
const settings = { leaseMs: 3_000, commitWaitMs: 60_000, delivery: { baseMs: 200, jitter: 'none' } } as const
const LONG = Array.from({ length: 60 }, (_, line) => `line ${line} of a report`).join('\n')
const startWorker = useWorkers()

async function openPlace(kind: 'redis' | 'sqlite'): Promise<StorePlace> {
  if (kind === 'redis') return { kind, url: (await startRedis({ appendonly: 'yes' })).url }
  return { kind, file: join(scratchFolder('deliveries'), 'tasks.db') }
}

interface Hook {
  readonly id: string
  readonly body: { readonly data: { readonly taskId: string; readonly part: number; readonly parts: number } }
}

/** What a receiver makes of it that checks the signature. */
function verified({ headers, body }: Received): Hook {
  const payload = new Webhook(HOOK_SECRET).verify(body, headers as Record<string, string>)
  return { id: String(headers['webhook-id']), body: payload as Hook['body'] }
}

test.each(['sqlite', 'redis'] as const)(
  'a process that is killed between two messages of a result has the rest sent by another one: %s',
  async (kind) => {
    const receiver = await startHttpReceiver()
    const place = await openPlace(kind)
    const worker = startWorker({ place, settings, hookPort: receiver.port })
    // The third message is never answered, and its process dies while it waits.
    receiver.answer('/one', 'no answer', 2)
    const [taskId = ''] = await worker.call('spawn', 'echo', { text: LONG, afterMs: 50 }, 1, { deliverTo: 'hook:one' })
    await until(() => Promise.resolve(receiver.received.length === 3))
    worker.signal('SIGKILL')
    await worker.ended
    receiver.answer('/one')
    const survivor = openSurvivor(place, { ...settings, channels: { hook: createTestHook(receiver.port) } })
    await survivor.tasks.start()
    await until(async () => (await survivor.ann.deliveries(taskId))[0]?.state === 'delivered')

    const hooks = receiver.received.map(verified)
    const [{ body } = { body: undefined }] = hooks
    const parts = body?.data.parts ?? 0
    expect(parts).toBeGreaterThan(3)
    // What was on its way was sent again, and nothing else.
    const rest = Array.from({ length: parts - 2 }, (_, index) => index + 3)
    expect(hooks.map(({ body: { data } }) => data.part)).toEqual([1, 2, 3, ...rest])
    expect(new Set(hooks.map(({ id }) => id)).size).toBe(parts)
    const bodies = new Map<string, string>()
    for (const [index, { id }] of hooks.entries()) {
      const sent = receiver.received[index]?.body ?? ''
      expect(bodies.get(id) ?? sent).toBe(sent)
      bodies.set(id, sent)
    }
    expect((await survivor.tasks.operator.audit()).missing).toEqual([])
  },
)

test.each(['sqlite', 'redis'] as const)(
  'whenever a process is killed, each of its results is delivered, and each message repeated once at most: %s',
  async (kind) => {
    const receiver = await startHttpReceiver()
    const place = await openPlace(kind)
    const taskIds: string[] = []
    for (const afterMs of [0, 40, 90]) {
      const worker = startWorker({ place, settings, hookPort: receiver.port })
      const inputs = Array.from({ length: 10 }, (_, index) => ({ text: `result ${index}`, afterMs: index * 10 }))
      for (const input of inputs) {
        taskIds.push(...(await worker.call('spawn', 'echo', input, 1, { deliverTo: ['hook:one', 'hook:two'] })))
      }
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      worker.signal('SIGKILL')
      await worker.ended
    }
    const survivor = openSurvivor(place, { ...settings, channels: { hook: createTestHook(receiver.port) } })
    await survivor.tasks.start()
    await until(async () => {
      const audit = await survivor.tasks.operator.audit({ limit: 1_000 })
      return audit.tasks.length === taskIds.length && audit.counts.pending === 0
    })
    const audit = await survivor.tasks.operator.audit({ limit: 1_000 })
    expect(audit).toMatchObject({ counts: { delivered: 60, deadLettered: 0 }, missing: [], stray: [] })
    const times = new Map<string, number>()
    for (const { id } of receiver.received.map(verified)) times.set(id, (times.get(id) ?? 0) + 1)
    expect(times.size).toBe(60)
    expect(Math.max(...times.values())).toBeLessThanOrEqual(2)
  },
)
