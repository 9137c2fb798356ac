/** Who comes late: the events of a task that has said much already, from the first on and from a cursor in their middle. */
import { isTaskEvent, type Session, type TaskContext } from 'outlive'
import { collectGarbage, createBenchSupervisor } from './measuring.ts'
import { readArguments, reportRows, type Row } from './reporting.ts'

const { rounds = '20', events = '190' } = readArguments()
/** Fewer than are kept of a task. */
const count = Number(events)

const supervisor = createBenchSupervisor('memoised', { graceMs: 1 })
const session = supervisor.session({ owner: 'bench' })
const task = await session.spawn((_: unknown, ctx: TaskContext): void => {
  for (let n = 0; n < count; n += 1) ctx.emit('tick', n)
}, undefined)
await task.wait()

interface Joined {
  readonly firstUs: number
  readonly usEach: number
  readonly seen: number
  /** Of the event in the middle. */
  readonly cursor: string | undefined
}

/** Reads until a task that has ended has nothing more to tell. */
async function join(filter: Parameters<Session['events']>[0], until: number): Promise<Joined> {
  collectGarbage()
  const startedMs = performance.now()
  let firstMs = Number.NaN
  let cursor: string | undefined
  let seen = 0
  for await (const item of session.events(filter)) {
    if (!isTaskEvent(item)) continue
    if (seen === 0) firstMs = performance.now()
    seen += 1
    if (seen === count >> 1) ({ cursor } = item)
    if (seen === until) break
  }
  const tookMs = performance.now() - startedMs
  return { firstUs: (firstMs - startedMs) * 1_000, usEach: (tookMs * 1_000) / seen, seen, cursor }
}

// Queued, started and completed are events as well.
const all = count + 3
const half = all - (count >> 1)
const { cursor = '' } = await join({ taskId: task.taskId }, all)
const ways: readonly [string, Parameters<Session['events']>[0], number][] = [
  ['of one task, from its first event', { taskId: task.taskId }, all],
  ['of one task, from a cursor in the middle', { taskId: task.taskId, after: cursor }, half],
  ['of all tasks, from the first event', {}, all],
]
const rows: Row[] = []
for (const [name, filter, expected] of ways) {
  const joined: Joined[] = []
  for (let round = -3; round < Number(rounds); round += 1) {
    const one = await join(filter, expected)
    if (one.seen !== expected) throw new Error(`${one.seen} events were seen, not ${expected}`)
    if (round >= 0) joined.push(one)
  }
  rows.push({
    name,
    figures: {
      usEach: joined.map(({ usEach }) => usEach),
      firstUs: joined.map(({ firstUs }) => firstUs),
      events: [expected],
    },
  })
}
reportRows(rows)
await supervisor.shutdown()
