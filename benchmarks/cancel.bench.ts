/** Cancelling a tree of live tasks that never settle and never read their signal. */
import type { TaskContext } from 'outlive'
import { raceWithDeadline } from './floor.ts'
import { collectGarbage, createBenchSupervisor, oneByOne, timeTasks, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'
import { PARENT_OF, type ShapeName } from './sides/orders.ts'
import { median } from './statistics.ts'

const { variant = 'memoised', shape = 'wide', kind = 'spawn', descendants = '100000' } = readArguments()
const count = Number(descendants)

const parentOf = PARENT_OF[shape as ShapeName]

const floor = oneByOne((n) => raceWithDeadline(() => n + 1, 10_000))
const floors: number[] = []
for (let round = 0; round < 6; round += 1) floors.push((await timeTasks(10_000, floor)).us)
const floorUs = median(floors.slice(1))

const supervisor = createBenchSupervisor(variant as Variant, { graceMs: 1, inlineMs: Infinity })
const session = supervisor.session({ owner: 'bench' })
const contexts: TaskContext[] = []
const started = new Map<string, number>()
const never = (_input: unknown, ctx: TaskContext): Promise<never> => {
  started.set(ctx.taskId, contexts.length)
  contexts.push(ctx)
  return new Promise<never>(() => undefined)
}

const root = await session.spawn(never, undefined)
const buildStartedMs = performance.now()
let spawned: Promise<unknown>[] = []
let cancelledCalls = 0
for (let n = 1; n <= count; n += 1) {
  // What starts in one turn is sliced, so a parent may start a turn later.
  while (contexts.length <= parentOf(n)) await new Promise((resolve) => setImmediate(resolve))
  const parent = contexts[parentOf(n)]
  if (parent === undefined) throw new Error('a parent has not started')
  if (kind === 'spawn') spawned.push(parent.spawn(never, undefined))
  else parent.run(never, undefined).catch(() => (cancelledCalls += 1))
  if (spawned.length === 1_000) {
    await Promise.all(spawned)
    spawned = []
  }
}
await Promise.all(spawned)
while (contexts.length <= count) await new Promise((resolve) => setImmediate(resolve))
const buildMs = performance.now() - buildStartedMs
const { live } = await session.stats()
if (live !== count + 1) throw new Error(`${live} tasks live, not ${count + 1}`)

collectGarbage()
const startedMs = performance.now()
const startedCpu = process.cpuUsage()
const { count: cancelled, tasks } = await root.cancel()
const wallMs = performance.now() - startedMs
const { user, system } = process.cpuUsage(startedCpu)
const cpuMs = (user + system) / 1_000

// Right is: all of them, each once, each final, and no parent before one of its children.
const seen = new Set<number>()
for (const { taskId, status } of tasks) {
  const n = started.get(taskId) ?? Number.NaN
  if (status !== 'cancelled') throw new Error(`a task ended as ${status}`)
  if (n > 0 && seen.has(parentOf(n))) throw new Error('a parent was reported before its child')
  seen.add(n)
}
if (cancelled !== count + 1 || seen.size !== count + 1)
  throw new Error(`${cancelled} tasks were cancelled, not ${count + 1}`)
if ((await session.stats()).live !== 0) throw new Error('tasks live on')
if (kind === 'run' && cancelledCalls !== count) throw new Error(`${cancelledCalls} calls were rejected, not ${count}`)
const { counters } = await supervisor.operator.stats()
if (counters.abandonedTasks !== count + 1)
  throw new Error(`${counters.abandonedTasks} tasks were let go, not ${count + 1}`)

// On a busy machine the clock runs on while the process waits for a processor, and with several processors the
// collector's threads add to its time on them: the smaller of the two is what the cancel took.
const ms = Math.min(wallMs, cpuMs)
report({ ms, wallMs, cpuMs, buildMs, floorUs, usEach: (ms * 1_000) / count, overFloor: (ms * 1_000) / count / floorUs })
await supervisor.shutdown()
