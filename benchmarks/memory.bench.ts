/** The heap that one live task holds, its pending promise included. */
import { raceWithDeadline } from './floor.ts'
import { collectGarbage, createBenchSupervisor, readArguments, report, type Variant } from './measuring.ts'

const { variant = 'memoised', kind = 'run', live = '100000' } = readArguments()
const count = Number(live)

const counts = { started: 0 }
const never = (): Promise<number> => {
  counts.started += 1
  return new Promise<number>(() => undefined)
}
/** What starts in one turn is sliced over several. */
const whenStarted = async (expected: number): Promise<void> => {
  while (counts.started < expected) await new Promise((resolve) => setImmediate(resolve))
}
const supervisor = createBenchSupervisor(variant as Variant, { inlineMs: 600_000, graceMs: 1 })
const session = supervisor.session({ owner: 'bench' })

const START: Readonly<Record<string, () => Promise<unknown>>> = {
  run: () => session.run(never, undefined),
  spawn: () => session.spawn(never, undefined),
  floor: () => raceWithDeadline(never, 600_000),
}
const start = START[kind]
if (start === undefined) throw new Error(`there is no kind ${kind}`)

// The first tasks pay for what is made once.
const held: Promise<unknown>[] = []
for (let n = 0; n < 1_000; n += 1) held.push(start())
await whenStarted(1_000)
collectGarbage()
const before = process.memoryUsage().heapUsed
for (let n = 0; n < count; n += 1) held.push(start())
await whenStarted(1_000 + count)
collectGarbage()
const bytes = (process.memoryUsage().heapUsed - before) / count

const { live: known } = await session.stats()
if (kind !== 'floor' && known !== count + 1_000) throw new Error(`${known} tasks live, not ${count + 1_000}`)
report({ bytes, held: held.length })
process.exitCode = 0
setImmediate(() => process.exit())
