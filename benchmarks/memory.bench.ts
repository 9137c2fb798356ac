/**
 * The heap that one task holds: while it lives, its pending promise included, or once it has ended and is kept. Beside it, what
 * a live call of the floor holds.
 */
import { raceWithDeadline } from './floor.ts'
import { collectGarbage, createBenchSupervisor, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'

const { variant = 'memoised', kind = 'run', tasks: given = '100000' } = readArguments()
const count = Number(given)
const WARM_UP = 2_000

const counts = { started: 0 }
/** Somebody has to be able to end it: what nobody can is collected, with all that waits for it. */
const pending: ((value: number) => void)[] = []
const never = (): Promise<number> => {
  counts.started += 1
  return new Promise<number>((resolve) => pending.push(resolve))
}
/** Its result is no value, so that only what is kept besides results is counted. */
const quick = (): void => {
  counts.started += 1
}
const supervisor = createBenchSupervisor(variant as Variant, {
  inlineMs: 600_000,
  graceMs: 1,
  retention: { maxFinished: Infinity, finishedMs: Infinity },
})
const session = supervisor.session({ owner: 'bench' })

const held: Promise<unknown>[] = []
const hold = (call: Promise<unknown>): void => void held.push(call)

const START: Readonly<Record<string, () => unknown>> = {
  run: () => hold(session.run(never, undefined)),
  spawn: () => hold(session.spawn(never, undefined)),
  finished: () => session.spawn(quick, undefined),
}
const start = START[kind]
if (start === undefined) throw new Error(`there is no kind ${kind}`)

/** What starts or ends in one turn is sliced over several. */
const isSettled = async (expected: number): Promise<boolean> => {
  if (counts.started < expected) return false
  return kind !== 'finished' || (await session.stats()).live === 0
}

/** Starts so many, and gives the heap once all have started, and ended if they end. */
async function heapAfter(more: number, start: () => unknown): Promise<number> {
  const expected = counts.started + more
  for (let n = 0; n < more; n += 1) start()
  while (!(await isSettled(expected))) await new Promise((resolve) => setImmediate(resolve))
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Bytes of each. The first pay for what is made once. */
async function weigh(start: () => unknown): Promise<number> {
  const before = await heapAfter(WARM_UP, start)
  return ((await heapAfter(count, start)) - before) / count
}

const bytes = await weigh(start)
const { live, byStatus } = await session.stats()
const known = kind === 'finished' ? (byStatus.completed ?? 0) : live
if (known !== count + WARM_UP) throw new Error(`${known} tasks, not ${count + WARM_UP}`)
const floorBytes = await weigh(() => hold(raceWithDeadline(never, 600_000)))
report({ bytes, floorBytes, ratio: bytes / floorBytes, held: held.length })
process.exitCode = 0
setImmediate(() => process.exit())
