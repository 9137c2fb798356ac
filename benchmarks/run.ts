/**
 * Runs every case in fresh processes, in turns, and compares what they measured with the gates.
 *
 * `--quick`: one process per case and shorter rounds, for CI. `--only=NAME`: the cases whose names contain it. `--long`: the
 * stores get a million tasks to forget, instead of 100,000.
 * The exit code is 1 when a gate is missed.
 */
import { fork } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { median, type Measurements } from './measuring.ts'

interface Case {
  readonly name: string
  readonly file: string
  readonly arguments: readonly string[]
  /** The measurement that counts, with its unit. */
  readonly value: string
  readonly unit: '×' | 'B' | 'ms' | '%'
  /** The case fails above this. Absent: reported only. */
  readonly gate?: number
  /** What is hoped for, where that is less than what is asked for. */
  readonly goal?: number
  /** A case that is long by itself runs in fewer processes. */
  readonly processes?: number
}

const isLong = process.argv.includes('--long')
const isQuick = process.argv.includes('--quick')
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length) ?? ''
const processes = isQuick ? 1 : 3
const rounds = isQuick ? ['rounds=3', 'tasks=10000'] : ['rounds=5', 'tasks=20000']

const inline = (name: string, variant: string, order: string, gate?: number): Case => ({
  name,
  file: 'inline.bench.js',
  arguments: [`variant=${variant}`, `order=${order}`, ...rounds],
  value: 'ratio',
  unit: '×',
  ...(gate === undefined ? {} : { gate }),
})

const memory = (name: string, kind: string, gate?: number): Case => ({
  name,
  file: 'memory.bench.js',
  arguments: [`kind=${kind}`],
  value: 'bytes',
  unit: 'B',
  ...(gate === undefined ? {} : { gate }),
})

/** A second of work by the clock of a machine nobody knows is no gate; twice that is broken anywhere. */
const cancel = (name: string, ...given: readonly string[]): Case => ({
  name,
  file: 'cancel.bench.js',
  arguments: given,
  value: 'ms',
  unit: 'ms',
  goal: 1_000,
  gate: 2_000,
})

/** As with `cancel`, the gate is for what is broken anywhere. */
const loop = (name: string, burst: string): Case => ({
  name: `longest block: 100,000 ${name} in one turn`,
  file: 'loop.bench.js',
  arguments: [`burst=${burst}`],
  value: 'ms',
  unit: 'ms',
  goal: 50,
})

const STORES = {
  redis: 'Redis',
  redisAof: 'Redis with a log on disk',
  sqlite: 'SQLite',
  postgres: 'PostgreSQL',
} as const

/**
 * How much longer commits take than the least that writes the same rows. A goal says what share of its speed is asked for; at
 * half of that something is broken.
 */
const commits = (store: keyof typeof STORES, order: 'one' | 'groups', goal?: number): Case => {
  const few = store.startsWith('redis') ? 500 : 100
  const many = store.startsWith('redis') ? 3_000 : 1_000
  return {
    name: `store: ${STORES[store]}, commits ${order === 'one' ? 'one by one' : 'in groups of 100'} : its driver`,
    file: 'store-commits.bench.js',
    arguments: [
      `store=${store}`,
      `order=${order}`,
      isQuick ? 'rounds=3' : 'rounds=5',
      `tasks=${order === 'one' ? few : many}`,
    ],
    value: 'ratio',
    unit: '×',
    ...(goal === undefined ? {} : { goal, gate: 2 * goal }),
    processes: 1,
  }
}

const latency = (store: 'redis' | 'sqlite' | 'postgres', through: string): Case => ({
  name: `store: ${STORES[store]}, event to a watcher in another process${through}`,
  file: 'store-latency.bench.js',
  arguments: [`store=${store}`],
  value: 'watcherMs',
  unit: 'ms',
  processes: 1,
})

/** What is asked for is not reached yet (docs/benchmarks.md); the gate is for what is broken. */
const jobs = (store: 'redis' | 'postgres', peer: string, goal?: number): Case => ({
  name: `store: ${STORES[store]}, time of a persisted job : ${peer}`,
  file: 'store-jobs.bench.js',
  arguments: [`store=${store}`, isQuick ? 'rounds=2' : 'rounds=4'],
  value: 'ratio',
  unit: '×',
  ...(goal === undefined ? {} : { goal, gate: 2 }),
  processes: 1,
})

const churn = (store: 'redis' | 'sqlite'): Case => ({
  name: `store: ${STORES[store]}, what is there after ${isQuick ? '10,000' : isLong ? '1,000,000' : '100,000'} tasks : before`,
  file: 'store-churn.bench.js',
  arguments: [`store=${store}`, `tasks=${isQuick ? 10_000 : isLong ? 1_000_000 : 100_000}`],
  value: 'ratio',
  unit: '×',
  gate: 1.05,
  processes: 1,
})

const CASES: readonly Case[] = [
  inline('inline, one by one', 'memoised', 'one', 3),
  inline('inline, batches of 1,000', 'memoised', 'batch', 4),
  inline('inline, one by one, explicit lineage', 'explicit', 'one'),
  inline('inline, batches of 1,000, explicit lineage', 'explicit', 'batch'),
  inline('inline, one by one, real machine', 'machine', 'one'),
  inline('inline, batches of 1,000, real machine', 'machine', 'batch'),
  memory('heap of a live inline call', 'run', 3_000),
  memory('heap of a live background task', 'spawn'),
  { ...memory('heap of a kept finished task, besides its result', 'finished', 1_000), goal: 300 },
  memory('heap of the floor', 'floor'),
  {
    name: 'quick call at 100,000 live : at 1,000',
    file: 'growth.bench.js',
    // Long rounds: the collector is still sweeping the large heap when a round begins.
    arguments: [isQuick ? 'rounds=3' : 'rounds=5', 'tasks=40000'],
    value: 'growth',
    unit: '×',
    gate: 1.5,
  },
  {
    name: 'event to a one-task watcher while 999 watch other tasks : none',
    file: 'watchers.bench.js',
    arguments: isQuick ? ['rounds=3', 'events=10000'] : ['rounds=5', 'events=20000'],
    value: 'growth',
    unit: '×',
    gate: 5,
  },
  {
    name: `heap that is left of a task, over ${isQuick ? '200,000' : 'a million'} of them`,
    file: 'churn.bench.js',
    arguments: isQuick ? ['tasks=200000', 'laps=4'] : ['tasks=1000000', 'laps=10'],
    value: 'bytes',
    unit: 'B',
    gate: 10,
    processes: 1,
  },
  cancel('cancel 100,000 inline calls, wide', 'shape=wide', 'kind=run'),
  cancel('cancel 100,000, wide', 'shape=wide'),
  cancel('cancel 100,000, chain', 'shape=deep'),
  cancel('cancel 100,000, 10-ary', 'shape=tenAry'),
  loop('start', 'start'),
  loop('end', 'complete'),
  loop('come due inline', 'softDeadline'),
  loop('come due', 'hardDeadline'),
  loop('are cancelled', 'cancel'),
  {
    name: 'processor time of 100,000 live and quiet',
    file: 'loop.bench.js',
    arguments: ['burst=quiet'],
    value: 'percent',
    unit: '%',
    goal: 2,
  },
  {
    name: 'cancel 100,000, 10-ary, real machine',
    file: 'cancel.bench.js',
    arguments: ['shape=tenAry', 'variant=machine'],
    value: 'ms',
    unit: 'ms',
  },
  commits('redis', 'groups', 1 / 0.6),
  commits('redisAof', 'groups', 1 / 0.6),
  commits('sqlite', 'groups', 1 / 0.5),
  commits('postgres', 'groups', 1 / 0.5),
  commits('redis', 'one'),
  commits('redisAof', 'one'),
  commits('sqlite', 'one'),
  commits('postgres', 'one'),
  latency('redis', ', 1 ms away'),
  latency('postgres', ', 1 ms away'),
  latency('sqlite', ''),
  jobs('redis', 'BullMQ', 1 / 3),
  jobs('postgres', 'pg-boss'),
  churn('redis'),
  churn('sqlite'),
]

function runCase({ file, arguments: given }: Case): Promise<Measurements> {
  return new Promise((resolve, reject) => {
    let measured: Measurements | undefined
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), given, { execArgv: ['--expose-gc'] })
    child.once('message', (message) => {
      measured = message as Measurements
    })
    child.once('error', reject)
    child.once('exit', (code) => {
      if (measured !== undefined && code === 0) resolve(measured)
      else reject(new Error(`${file} ${given.join(' ')} ended with ${code} and without measurements`))
    })
  })
}

const selected = CASES.filter(({ name }) => name.includes(only))
const results = new Map<string, Measurements[]>(selected.map(({ name }) => [name, []]))
const processesOf = (one: Case): number => Math.min(processes, one.processes ?? processes)
const total = selected.reduce((sum, one) => sum + processesOf(one), 0)
let done = 0
const tellProgress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
  else if (text !== '') process.stderr.write(`${text}\n`)
}
for (let turn = 0; turn < processes; turn += 1) {
  for (const one of selected.filter((one) => turn < processesOf(one))) {
    done += 1
    tellProgress(`${done}/${total} ${one.name} …`)
    const measured = await runCase(one)
    results.get(one.name)?.push(measured)
    tellProgress(`${done}/${total} ${one.name}: ${format(measured[one.value] ?? Number.NaN, one.unit)}`)
  }
}
tellProgress('')

const [load = 0] = loadavg()
const lines = selected.map((one) => {
  const measured = results.get(one.name) ?? []
  const middle = (name: string): number => median(measured.map((measurements) => measurements[name] ?? Number.NaN))
  const value = middle(one.value)
  const isMissed = one.gate !== undefined && !(value <= one.gate)
  const others = Object.keys(measured[0] ?? {}).filter((name) => name !== one.value)
  const limit = one.goal ?? one.gate
  return {
    isMissed,
    cells: [
      one.name,
      format(value, one.unit),
      limit === undefined ? '' : `≤ ${format(limit, one.unit)}`,
      one.gate === undefined
        ? ''
        : isMissed
          ? 'MISSED'
          : limit !== undefined && value > limit
            ? 'over, within the gate'
            : 'met',
      others.map((name) => `${name} ${round(middle(name))}`).join(', '),
    ],
  }
})

function format(value: number, unit: Case['unit']): string {
  return unit === '×' ? `${value.toFixed(2)} ×` : `${Math.round(value).toLocaleString('en')} ${unit}`
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}

console.log(
  `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}; ${processes} process${processes === 1 ? '' : 'es'} per case\n`,
)
console.log('| case | measured | limit | | besides |')
console.log('| --- | --- | --- | --- | --- |')
for (const { cells } of lines) console.log(`| ${cells.join(' | ')} |`)
if (load > cpus().length) {
  console.log(
    `\nThe machine was busy (load ${load.toFixed(1)}): times by the clock say little; look at cpuRatio and cpuMs.`,
  )
}
if (lines.length === 0) throw new Error(`no case is called ${only}`)
if (lines.some(({ isMissed }) => isMissed)) process.exitCode = 1
