import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createTaskSupervisor, isTaskEvent, type TaskContext } from 'outlive'
import { verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect } from '../support/setup.ts'

const EVENTS = 1_000_000
const PER_TURN = 1_000
const MAX_KEPT = 200
const MAX_P99_MS = 100
const LIFECYCLE = ['task.queued', 'task.started', 'task.completed']

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test.each([1, 1_000])(
  'a million tiny events of %i tasks leave bounded logs with their ends, the rest is counted, and the loop stays free',
  async (talkers) => {
    const tasks = createTaskSupervisor({ retention: { maxFinished: Infinity } })
    const each = EVENTS / talkers
    const talker = {
      name: 'talker',
      run: async (_: undefined, ctx: TaskContext): Promise<void> => {
        for (let n = 0; n < each; n += 1) {
          if (n % 3 === 0) ctx.progress({ done: n, total: each })
          else if (n % 3 === 1) ctx.output('.')
          else ctx.emit('tick', n)
          // Code that never yields blocks the loop by itself.
          if (n % (PER_TURN / talkers) === 0) await nextTurn()
        }
      },
    }
    let seen = 0
    const subscription = tasks.events$({ after: 'now' }).subscribe(() => (seen += 1))
    await nextTurn()
    const { ended: handles, p99Ms } = await delayDuring(async () => {
      const started = await Promise.all(Array.from({ length: talkers }, () => tasks.spawn(talker)))
      for (const handle of started) await handle.wait()
      return started
    })
    subscription.unsubscribe()
    expect(p99Ms).toBeLessThan(MAX_P99_MS)

    let kept = 0
    for (const handle of handles) {
      const { items, ended } = collect(handle.events())
      expect(await ended).toBeUndefined()
      const events = items.filter(isTaskEvent)
      expect(verifyLog(items)).toEqual([])
      expect(events.at(-1)?.type).toBe('task.completed')
      const fresh = events.filter(({ type }) => !LIFECYCLE.includes(type))
      expect(events.length - fresh.length).toBe(LIFECYCLE.length)
      expect(fresh.length).toBeLessThanOrEqual(MAX_KEPT)
      kept += fresh.length
    }
    const { trimmedEvents, coalescedProgress } = (await tasks.operator.stats()).counters
    expect(trimmedEvents).toBeGreaterThan(0)
    expect(kept + trimmedEvents + coalescedProgress).toBe(EVENTS)
    expect(seen).toBe(kept + trimmedEvents + talkers * LIFECYCLE.length)
    await tasks.shutdown()
  },
)

/** How long the loop is kept waiting, by the clock or on the processors, whichever is less: others use both as well. */
async function delayDuring<Value>(
  work: () => Promise<Value>,
): Promise<{ readonly ended: Value; readonly p99Ms: number }> {
  const byClock = monitorEventLoopDelay({ resolution: 5 })
  const onProcessorsMs: number[] = []
  let isMeasuring = true
  let before = process.cpuUsage()
  const turn = (): void => {
    const { user, system } = process.cpuUsage(before)
    onProcessorsMs.push((user + system) / 1_000)
    before = process.cpuUsage()
    if (isMeasuring) setImmediate(turn)
  }
  byClock.enable()
  turn()
  const ended = await work()
  isMeasuring = false
  byClock.disable()
  expect(byClock.max).toBeGreaterThan(0)
  const sorted = onProcessorsMs.toSorted((a, b) => a - b)
  const p99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
  return { ended, p99Ms: Math.min(byClock.percentile(99) / 1e6, p99Ms) }
}
