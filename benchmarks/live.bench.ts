/**
 * What live tasks cost, done by everyone: the heap that one holds, and what a quick call takes while many live. Each level has
 * a few rounds; who cannot bear a level says so.
 */
import { BATCH } from './measuring.ts'
import { readArguments, reportRows, type Row } from './reporting.ts'
import { factsOf, startSide, whyNotHere, type Side, type SideName } from './sides/start-side.ts'
import { countFor } from './sides/taking-turns.ts'
import { median } from './statistics.ts'

const {
  rounds = '2',
  tasks = '20000',
  levels: givenLevels = '0,1000,10000,100000,200000',
  weighed = '100000',
  peers = '',
} = readArguments()

const ALL: readonly SideName[] = [
  'outlive',
  'floor',
  'pQueueTimeout',
  'effectTimeout',
  'effectFork',
  'mcpTaskStore',
  'betterAll',
  'effection',
  'effectionRace',
  'xstateActors',
  'xstateSupervisor',
  'stargazer',
  'outliveMachine',
]
const LEVELS = givenLevels.split(',').map(Number)
const WEIGHED = Number(weighed)
const MOST = 200_000
/** Who takes longer for a call is not warmed up further. */
const SLOW_US = 300

/** The first tasks pay for what is made once: they are a fiftieth of those that are weighed. */
async function weigh(side: Side, most: number): Promise<number> {
  const count = Math.min(WEIGHED, most)
  const { heap: before } = await side.ask({ kind: 'live', count: count / 50, isWeighed: true })
  const { heap: after } = await side.ask({ kind: 'live', count, isWeighed: true })
  return (after - before) / (count - count / 50)
}

/** By the clock or on the processors, whichever is less. */
async function time(side: Side, count: number): Promise<number> {
  const { us, cpuUs } = await side.ask({ kind: 'calls', work: 'now', order: 'one', count })
  return Math.min(us, cpuUs)
}

async function timeLevel(side: Side, count: number): Promise<number[]> {
  // After what was just made, the collector is still at work when the first round begins.
  await time(side, count)
  const taken: number[] = []
  for (let round = 0; round < Number(rounds); round += 1) taken.push(await time(side, count))
  return taken
}

/** In a process of its own, which ends whatever happens. */
async function withSide<Result>(name: SideName, use: (side: Side) => Promise<Result>): Promise<Result> {
  const side = startSide(name)
  try {
    return await use(side)
  } finally {
    side.close()
  }
}

async function measure(name: SideName): Promise<Row> {
  const { title, maxLive: most = MOST, lacks } = factsOf(name)
  const why = whyNotHere(name)
  if (why !== undefined) return { name: title, figures: {}, notes: { '': why } }
  const figures: Record<string, readonly number[]> = {}
  const notes: Record<string, string> = {}
  figures['bytes'] = [await withSide(name, (side) => weigh(side, most))]
  await withSide(name, async (side) => {
    const first = await time(side, BATCH)
    const count = countFor(first > SLOW_US ? first : await time(side, 10 * BATCH), Number(tasks))
    for (const level of LEVELS) {
      if (level > most) notes[`at ${level} us`] = `not tried above ${most.toLocaleString('en')}`
      else {
        await side.ask({ kind: 'live', count: level, isWeighed: false })
        figures[`at ${level} us`] = await timeLevel(side, count)
      }
    }
  })
  const atFew = median(figures['at 1000 us'] ?? [])
  const highest = LEVELS.findLast((level) => level <= most && level > 1_000)
  if (highest !== undefined) figures['growth'] = [median(figures[`at ${highest} us`] ?? []) / atFew]
  return { name: title, figures, notes, ...(lacks === undefined ? {} : { lacks }) }
}

const rows: Row[] = []
for (const name of ALL) {
  if (peers === '' || name === 'outlive' || peers.split(',').includes(name)) rows.push(await measure(name))
}
reportRows(rows)
