/** What an event costs that one consumer of its task hears, while others watch other tasks: none of them, and 999. */
import type { TaskContext } from 'outlive'
import { collectGarbage, createBenchSupervisor, paired, type Variant } from './measuring.ts'
import { readArguments, report } from './reporting.ts'

const { variant = 'memoised', rounds = '5', events = '20000', watchers: many = '1000' } = readArguments()
const count = Number(events)

interface Watched {
  /** Says something so often, and gives microseconds for each. */
  talk(): Promise<number>
  close(): Promise<unknown>
}

/** A supervisor with so many tasks, each watched by one consumer. */
async function watch(watchers: number): Promise<Watched> {
  const supervisor = createBenchSupervisor(variant as Variant, { graceMs: 1 })
  const session = supervisor.session({ owner: 'bench' })
  const contexts: TaskContext[] = []
  const work = (_: unknown, ctx: TaskContext): Promise<never> => {
    contexts.push(ctx)
    return new Promise(() => undefined)
  }
  let heard = 0
  for (let n = 0; n < watchers; n += 1) (await session.spawn(work)).events$.subscribe(() => (heard += 1))
  while (contexts.length < watchers) await new Promise((resolve) => setImmediate(resolve))
  const context = contexts[watchers >> 1]
  if (context === undefined) throw new Error('there is no task')
  return {
    async talk() {
      collectGarbage()
      heard = 0
      const startedMs = performance.now()
      for (let n = 0; n < count; n += 1) context.emit('tick', n)
      const tookMs = performance.now() - startedMs
      if (heard !== count) throw new Error(`${heard} events were heard, not ${count}`)
      return (tookMs * 1_000) / count
    },
    close: () => supervisor.shutdown({ graceMs: 1 }),
  }
}

const few = await watch(1)
const crowd = await watch(Number(many))
for (let warm = 0; warm < 2; warm += 1) {
  await few.talk()
  await crowd.talk()
}
const fewUs: number[] = []
const manyUs: number[] = []
for (let round = 0; round < Number(rounds); round += 1) {
  fewUs.push(await few.talk())
  manyUs.push(await crowd.talk())
}
report({ growth: paired(manyUs, fewUs, (crowded, alone) => crowded / alone), fewUs, manyUs })
await few.close()
await crowd.close()
