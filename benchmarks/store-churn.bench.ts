/**
 * What tasks leave in a durable store that runs for long and drops what is old: keys or rows, and bytes of memory or of the
 * file, after many tasks in proportion to what there was after the first ones. Redis is reached with a millisecond added each way.
 */
import { createTaskSupervisor } from 'outlive'
import { startFaultProxy } from '../test/support/fault-proxy.ts'
import { answer } from './jobs.ts'
import { readArguments, report } from './reporting.ts'
import { measureFile, measureRedis, type Kept } from '../test/support/store-kept.ts'
import { startPlace } from './store-place.ts'

const KEPT = 500
const BATCH = 500
/** By then retention is full, and what grows to a size once has grown. */
const FIRST = 5_000

const { store: kind = 'redis', tasks: given = '100000' } = readArguments()
const count = Number(given)
const undos: (() => Promise<void>)[] = []

try {
  const place = await startPlace(kind === 'sqlite' ? 'sqlite' : 'redis', (undo) => undos.push(undo))
  let port: number | undefined
  if (place.port !== 0) {
    const proxy = await startFaultProxy(place.port)
    undos.push(proxy.close)
    proxy.delay(1)
    port = proxy.port
  }
  const tasks = createTaskSupervisor({
    store: await place.openStore('churn', port),
    retention: { maxFinished: KEPT },
    commitWaitMs: 30_000,
    logger: { warn: () => undefined, error: (told, message) => console.error(message, told) },
  })
  const session = tasks.session({ owner: 'bench' })

  const measure = (): Promise<Kept> =>
    kind === 'sqlite' ? measureFile(`${place.location}/churn.db`) : measureRedis(place.port)

  const run = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += BATCH) {
      const handles = await Promise.all(Array.from({ length: BATCH }, (_, n) => session.spawn(answer, n)))
      await Promise.all(handles.map((task) => task.wait({ waitMs: 60_000 })))
    }
    // Retention follows the ends; it is done when nothing is left to drop.
    while (((await tasks.operator.stats()).byStatus.completed ?? 0) > KEPT) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  await run(FIRST)
  const before = await measure()
  const startedMs = performance.now()
  await run(count)
  const seconds = (performance.now() - startedMs) / 1_000
  await tasks.shutdown()
  const after = await measure()
  report({
    ratio: Math.max(after.things / before.things, after.bytes / before.bytes),
    things: after.things,
    thingsBefore: before.things,
    bytes: after.bytes,
    bytesBefore: before.bytes,
    tasksPerSecond: count / seconds,
  })
} finally {
  for (const undo of undos.reverse()) await undo()
}
