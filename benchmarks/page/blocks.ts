/** The generated parts of docs/benchmarks.md, by the names that stand in its markers. */
import type { SectionName } from '../cases/case.ts'
import { allCases } from '../cases/index.ts'
import type { ProcessResult, RunFacts, SectionResult } from '../runner/results.ts'
import { hasValue, renderSides, renderTable, type Column } from './tables.ts'

export type Blocks = Readonly<Record<string, string>>

export function renderBlocks(results: readonly SectionResult[]): Blocks {
  const [first] = results
  if (first === undefined) throw new Error('there are no results')
  const { run } = first
  const processesOf = (name: string): readonly ProcessResult[] => {
    for (const { cases } of results) for (const one of cases) if (one.name === name) return one.processes
    throw new Error(`the results have no case ${name}`)
  }
  const known = allCases(run.effort).filter(hasValue)
  const own = (section: SectionName): string =>
    renderTable(
      known.filter((one) => one.section === section).map((one) => ({ one, processes: processesOf(one.name) })),
    )
  const sides = (name: string, columns: readonly Column[], toName?: (name: string) => string): string =>
    renderSides(processesOf(name), columns, toName)

  return {
    run: describeRun(run),
    calls: sides('calls, everyone', CALL_COLUMNS),
    'calls-own': own('calls'),
    background: sides('background, everyone', BACKGROUND_COLUMNS),
    live: sides('live, everyone', LIVE_COLUMNS),
    'live-own': own('live'),
    'fan-out': sides('fan-out', FAN_OUT_COLUMNS, toWatchers),
    'late-join': sides('late join', LATE_COLUMNS),
    'watchers-own': own('watchers'),
    trees: sides('trees, everyone', TREE_COLUMNS),
    'trees-own': own('trees'),
    loop: own('loop'),
    stores: own('stores'),
  }
}

function describeRun({ startedAt, minutes, effort, node, machine, load, versions }: RunFacts): string {
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const how = effort.isQuick
    ? 'A quick run: one process for each case, and rounds so short that much of the code is not warm; a hint, no more.'
    : 'A full run.'
  const isBusy = Math.max(load.before, load.after) > Number.parseInt(machine.processors, 10)
  return [
    how,
    `${startedAt.slice(0, 10)}, ${Math.round(minutes)} minutes, Node ${node}, ${machine.processors}, ${machine.gib} GiB,`,
    `${machine.system}; load ${load.before} before and ${load.after} after.`,
    ...(isBusy ? ['The machine was busy: what is said of the processors counts more than the clock.'] : []),
    `Versions: ${list.join(', ')}.`,
  ].join('\n')
}

const call = (head: string, way: string): Column => ({ head, figure: `${way} us`, unit: 'µs', ratio: `${way} ratio` })

const CALL_COLUMNS: readonly Column[] = [
  call('one by one', 'now one'),
  { head: 'the same on the processors', figure: 'now one cpuRatio', unit: '×' },
  call('batches of 1,000', 'now batch'),
  call('a turn of the loop, batches', 'later batch'),
  call('signal read, one by one', 'reading one'),
  { head: 'without', of: 'lacks' },
]

const BACKGROUND_COLUMNS: readonly Column[] = [
  { head: 'start', figure: 'startUs', unit: 'µs', ratio: 'startRatio' },
  { head: 'finish', figure: 'finishUs', unit: 'µs', ratio: 'finishRatio' },
  { head: 'fetch', figure: 'fetchUs', unit: 'µs', ratio: 'fetchRatio' },
  { head: 'without', of: 'lacks' },
]

const LIVE_COLUMNS: readonly Column[] = [
  { head: 'bytes each', figure: 'bytes', unit: 'B' },
  ...[0, 1_000, 10_000, 100_000, 200_000].map((level): Column => ({
    head: `at ${level.toLocaleString('en')}`,
    figure: `at ${level} us`,
    unit: 'µs',
  })),
  { head: 'most : 1,000', figure: 'growth', unit: '×' },
]

const FAN_OUT_COLUMNS: readonly Column[] = [
  { head: 'an event', figure: 'us', unit: 'µs' },
  { head: 'for each watcher', figure: 'nsEach', unit: 'ns' },
  { head: 'EventEmitter; times as long', figure: 'emitterUs', unit: 'µs', ratio: 'ratio' },
]

function toWatchers(name: string): string {
  const [scope = '', watchers = ''] = name.split(' ')
  return `${Number(watchers).toLocaleString('en')} of ${scope === 'task' ? 'one task' : 'all tasks'}`
}

const LATE_COLUMNS: readonly Column[] = [
  { head: 'events', figure: 'events' },
  { head: 'an event', figure: 'usEach', unit: 'µs' },
  { head: 'until the first', figure: 'firstUs', unit: 'µs' },
]

const SHAPES = { wide: 'wide', deep: 'a chain', tenAry: '10-ary' } as const

const TREE_COLUMNS: readonly Column[] = Object.entries(SHAPES).flatMap(([shape, head]) =>
  [10_000, 100_000].map((count): Column => ({
    head: `${head}, ${count.toLocaleString('en')}`,
    figure: `${shape} ${count} ms`,
    unit: 'ms',
  })),
)
