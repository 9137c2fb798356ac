/**
 * For the whole life of a small tree: the process is gone at its n-th call to the store, for every n, with the call done or
 * not. Another process recovers, and what is left has to be sound.
 */
import { createTaskSupervisor, defineTool, isFinalStatus, memoryStore, type StreamItem, type TaskRecord } from 'outlive'
import { createManualClock, faultyStore, sequentialIds, verifyLog, type StoreFault } from 'outlive/testing'
import { inject } from 'vitest'
import { describe, expect, test } from 'vitest'

const LEASE_MS = 3_000
const quiet = { warn: () => undefined, error: () => undefined }

interface Story {
  readonly records: readonly TaskRecord[]
  readonly log: readonly StreamItem[]
  readonly told: readonly string[]
  readonly sent: readonly string[]
  readonly calls: number
}

/** What the root gives, whatever happens on the way. */
const RESULT = ['one', 'two']

async function live(crash: { readonly at: number; readonly fault: StoreFault } | undefined): Promise<Story> {
  const shared = memoryStore({ shared: true })
  const clock = createManualClock()
  const createId = sequentialIds()
  const told: string[] = []
  const sent: string[] = []
  const step = defineTool({
    name: 'step',
    run: async (text: string, ctx) => {
      ctx.progress(0.5)
      ctx.output(text)
      await new Promise((resolve) => setImmediate(resolve))
      return text
    },
  })
  const root = defineTool({
    name: 'root',
    policy: { recovery: 'rerun', concurrencyKey: 'room' },
    run: async (texts: readonly string[], ctx) => {
      const children = []
      for (const text of texts) children.push(await ctx.spawn(step, text))
      ctx.usage({ tokens: 1 })
      return Promise.all(children.map((child) => child.result()))
    },
  })
  const channels = {
    log: { send: async ({ message }: { message: { taskId: string } }) => void sent.push(message.taskId) },
  }
  const options = {
    clock,
    createId,
    leaseMs: LEASE_MS,
    tools: [root],
    channels,
    logger: quiet,
    memoise: inject('memoise'),
  }

  let isDead = false
  const store = faultyStore(shared, ({ number }) => {
    if (isDead) return 'hang'
    if (number !== crash?.at) return undefined
    isDead = true
    return crash.fault
  })
  const first = createTaskSupervisor({ ...options, store })
  const ann = first.session({ owner: 'ann' })
  const begin = async (): Promise<void> => {
    const handle = await ann.spawn(root, RESULT, { name: 'root', deliverTo: 'log:here' })
    told.push(handle.taskId)
  }
  begin().catch(() => undefined)
  await clock.advance(2 * LEASE_MS)
  isDead = true

  const second = createTaskSupervisor({ ...options, store: shared })
  const reader = second.session({ owner: 'ann' })
  await second.start()
  await clock.advance(10 * LEASE_MS)
  const { tasks: records } = await reader.list()
  const log: StreamItem[] = []
  const abort = new AbortController()
  const reading = (async () => {
    for await (const item of reader.events({ signal: abort.signal })) log.push(item)
  })()
  await clock.advance(100)
  abort.abort()
  await reading.catch(() => undefined)
  // The name and the key are free again.
  const next = await reader.spawn(root, RESULT, { name: 'root' })
  await clock.advance(1_000)
  expect(await next.result()).toEqual(RESULT)
  const closing = second.shutdown({ graceMs: 1 })
  await clock.advance(60_000)
  await closing
  return { records, log, told, sent, calls: store.callCount() }
}

function judge({ records, log, told }: Story): void {
  expect(verifyLog(log)).toEqual([])
  // What was promised is there, and everything that is there has ended.
  const ids = records.map(({ taskId }) => taskId)
  for (const taskId of told) expect(ids).toContain(taskId)
  expect(records.filter(({ status }) => !isFinalStatus(status))).toEqual([])
  const roots = records.filter(({ parentId }) => parentId === undefined)
  expect(roots.length).toBeLessThanOrEqual(1)
  for (const { status, failure } of roots) {
    // It runs again: nothing but its own end ends it. One that was never admitted for certain may be closed.
    expect([status, failure?.code]).toEqual(['completed', undefined])
  }
  for (const { status, failure } of records) {
    if (status === 'failed') expect(failure?.code).toBe('interrupted')
  }
}

describe('a process that is gone at any of its calls to the store', () => {
  test.each(['failBefore', 'failAfter'] as const)('leaves a sound story behind: %s', async (fault) => {
    const whole = await live(undefined)
    judge(whole)
    expect(whole.sent).toHaveLength(1)
    expect(whole.calls).toBeGreaterThan(10)
    for (let at = 1; at <= whole.calls; at += 1) {
      const story = await live({ at, fault })
      try {
        judge(story)
      } catch (error) {
        throw new Error(`gone at call ${at} of ${whole.calls}, ${fault}`, { cause: error })
      }
    }
  })
})
