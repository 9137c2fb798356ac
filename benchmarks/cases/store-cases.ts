/** What durable stores cost, beside their drivers and beside queues that have the same servers. */
import type { Case, Effort } from './case.ts'

const STORES = {
  redis: 'Redis',
  redisAof: 'Redis with a log on disk',
  sqlite: 'SQLite',
  postgres: 'PostgreSQL',
} as const

type StoreName = keyof typeof STORES

export function storeCases(effort: Effort): Case[] {
  return [
    commits(effort, 'redis', 'groups', 1 / 0.6),
    commits(effort, 'redisAof', 'groups', 1 / 0.6),
    commits(effort, 'sqlite', 'groups', 1 / 0.5),
    commits(effort, 'postgres', 'groups', 1 / 0.5),
    commits(effort, 'redis', 'one'),
    commits(effort, 'redisAof', 'one'),
    commits(effort, 'sqlite', 'one'),
    commits(effort, 'postgres', 'one'),
    latency('redis', ', 1 ms away'),
    latency('postgres', ', 1 ms away'),
    latency('sqlite', ''),
    jobs(effort, { store: 'redis', peer: 'BullMQ', callers: 100, goal: 1 / 3 }),
    jobs(effort, { store: 'redis', peer: 'BullMQ', goal: 1 / 3 }),
    jobs(effort, { store: 'postgres', peer: 'pg-boss' }),
    churn(effort, 'redis'),
    churn(effort, 'sqlite'),
    webhooks(effort),
  ]
}

/**
 * How much longer commits take than the least that writes the same rows. A goal says what share of its speed is asked for; at
 * half of that something is broken.
 */
function commits({ isQuick }: Effort, store: StoreName, order: 'one' | 'groups', goal?: number): Case {
  const few = store.startsWith('redis') ? 500 : 100
  const many = store.startsWith('redis') ? 3_000 : 1_000
  const rounds = isQuick ? 'rounds=3' : 'rounds=5'
  return {
    name: `store: ${STORES[store]}, commits ${order === 'one' ? 'one by one' : 'in groups of 100'} : its driver`,
    section: 'stores',
    file: 'store-commits.bench.js',
    arguments: [`store=${store}`, `order=${order}`, rounds, `tasks=${order === 'one' ? few : many}`],
    value: 'ratio',
    unit: '×',
    ...(goal === undefined ? {} : { goal, gate: 2 * goal }),
    processes: 1,
  }
}

function latency(store: StoreName, through: string): Case {
  return {
    name: `store: ${STORES[store]}, event to a watcher in another process${through}`,
    section: 'stores',
    file: 'store-latency.bench.js',
    arguments: [`store=${store}`],
    value: 'watcherMs',
    unit: 'ms',
    processes: 1,
  }
}

/** What is asked for is not reached yet (docs/benchmarks.md); the gate is for what is broken. */
function jobs(
  { isQuick }: Effort,
  {
    store,
    peer,
    callers,
    goal,
  }: { readonly store: StoreName; readonly peer: string; readonly callers?: number; readonly goal?: number },
): Case {
  const what = callers === undefined ? 'all there at once' : `by ${callers} callers who wait`
  return {
    name: `store: ${STORES[store]}, time of a persisted job, ${what} : ${peer}`,
    section: 'stores',
    file: 'store-jobs.bench.js',
    arguments: [
      `store=${store}`,
      isQuick ? 'rounds=2' : 'rounds=4',
      ...(callers === undefined ? [] : [`callers=${callers}`, 'jobs=6000']),
    ],
    value: 'ratio',
    unit: '×',
    ...(goal === undefined ? {} : { goal, gate: 2 }),
    processes: 1,
  }
}

/** One endpoint of twenty is dead. What the others notice of it is lost in the noise of most machines, so there is no gate. */
function webhooks({ isQuick }: Effort): Case {
  return {
    name: 'deliveries: p99 of 200 webhooks a second, with a dead endpoint : without one',
    section: 'stores',
    file: 'webhooks.bench.js',
    arguments: isQuick ? ['rounds=4', 'seconds=3'] : ['rounds=4', 'seconds=3'],
    value: 'ratio',
    unit: '×',
    goal: 1.1,
    processes: 1,
  }
}

function churn({ isQuick, isLong }: Effort, store: StoreName): Case {
  const tasks = isQuick ? 5_000 : isLong ? 1_000_000 : 20_000
  return {
    name: `store: ${STORES[store]}, what is there after ${tasks.toLocaleString('en')} tasks : before`,
    section: 'stores',
    file: 'store-churn.bench.js',
    arguments: [`store=${store}`, `tasks=${tasks}`],
    value: 'ratio',
    unit: '×',
    gate: 1.05,
    processes: 1,
  }
}
