/**
 * What an event costs that many hear: all of them watch its task, or all watch every task of the owner. Beside it an
 * EventEmitter of Node with as many listeners, which keeps nothing, numbers nothing and bears no slow or throwing listener.
 */
import { EventEmitter } from 'node:events'
import type { TaskContext } from 'outlive'
import { collectGarbage, createBenchSupervisor, paired } from './measuring.ts'
import { readArguments, reportRows, type Row } from './reporting.ts'
import { median } from './statistics.ts'

const { rounds = '5', deliveries = '200000' } = readArguments()
const WATCHERS = [1, 10, 1_000, 10_000]
const SCOPES = ['task', 'owner'] as const

interface Crowd {
  /** Microseconds of each event. */
  talk(count: number): number
  close(): unknown
}

let heard = 0
const hear = (): void => void (heard += 1)

async function watch(scope: (typeof SCOPES)[number], watchers: number): Promise<Crowd> {
  const supervisor = createBenchSupervisor('memoised', { graceMs: 1 })
  const session = supervisor.session({ owner: 'bench' })
  const contexts: TaskContext[] = []
  const task = await session.spawn((_: unknown, ctx: TaskContext): Promise<never> => {
    contexts.push(ctx)
    return new Promise(() => undefined)
  }, undefined)
  while (contexts.length === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let n = 0; n < watchers; n += 1) {
    const events$ =
      scope === 'task' ? session.events$({ taskId: task.taskId, after: 'now' }) : session.events$({ after: 'now' })
    events$.subscribe(hear)
  }
  await new Promise((resolve) => setImmediate(resolve))
  return {
    talk: (count) => time(count, watchers, (n) => contexts[0]?.emit('tick', n)),
    close: () => supervisor.shutdown({ graceMs: 1 }),
  }
}

function listen(watchers: number): Crowd {
  const emitter = new EventEmitter().setMaxListeners(Infinity)
  for (let n = 0; n < watchers; n += 1) emitter.on('tick', hear)
  return {
    talk: (count) => time(count, watchers, (n) => emitter.emit('tick', n)),
    close: () => emitter.removeAllListeners(),
  }
}

function time(count: number, watchers: number, emit: (n: number) => unknown): number {
  collectGarbage()
  heard = 0
  const startedMs = performance.now()
  for (let n = 0; n < count; n += 1) emit(n)
  const tookMs = performance.now() - startedMs
  if (heard !== count * watchers) throw new Error(`${heard} events were heard, not ${count * watchers}`)
  return (tookMs * 1_000) / count
}

const rows: Row[] = []
for (const scope of SCOPES) {
  for (const watchers of WATCHERS) {
    const count = Math.max(20, Math.min(20_000, Number(deliveries) / watchers))
    const crowd = await watch(scope, watchers)
    const listeners = listen(watchers)
    for (let warm = 0; warm < 2; warm += 1) {
      crowd.talk(count)
      listeners.talk(count)
    }
    const us: number[] = []
    const emitterUs: number[] = []
    for (let round = 0; round < Number(rounds); round += 1) {
      us.push(crowd.talk(count))
      emitterUs.push(listeners.talk(count))
    }
    await crowd.close()
    await listeners.close()
    rows.push({
      name: `${scope} ${watchers}`,
      figures: {
        us,
        emitterUs,
        nsEach: [(median(us) * 1_000) / watchers],
        ratio: paired(us, emitterUs, (own, beside) => own / beside),
      },
    })
  }
}
reportRows(rows)
