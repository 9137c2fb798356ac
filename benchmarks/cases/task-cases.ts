/** What a task costs: ours beside the floor, everyone's beside each other, and what live tasks hold and slow down. */
import type { Case, Effort } from './case.ts'

export function taskCases({ isQuick }: Effort): Case[] {
  const rounds = isQuick ? ['rounds=3', 'tasks=10000'] : ['rounds=5', 'tasks=20000']
  const inline = (name: string, given: readonly string[], limits: Pick<Case, 'goal' | 'gate'> = {}): Case => ({
    name,
    section: 'calls',
    file: 'inline.bench.js',
    arguments: [...given, ...rounds],
    value: 'ratio',
    unit: '×',
    // What is asked for is measured in more processes than what is told beside it.
    processes: limits.gate === undefined ? 1 : 3,
    ...limits,
  })
  const memory = (name: string, kind: string, limits: Pick<Case, 'goal' | 'gate'> = {}): Case => ({
    name,
    section: 'live',
    file: 'memory.bench.js',
    arguments: [`kind=${kind}`],
    value: 'bytes',
    unit: 'B',
    processes: 1,
    ...limits,
  })
  return [
    inline('inline, one by one', ['order=one'], { goal: 2.2, gate: 3 }),
    inline('inline, batches of 1,000', ['order=batch'], { goal: 2.8, gate: 4 }),
    inline('inline, work of a turn of the loop, batches', ['order=batch', 'work=later']),
    inline('inline, the signal is read, one by one', ['order=one', 'work=reading']),
    inline('inline, one by one, explicit lineage', ['order=one', 'peer=explicit']),
    inline('inline, batches of 1,000, explicit lineage', ['order=batch', 'peer=explicit']),
    inline('inline, one by one, real machine', ['order=one', 'peer=machine']),
    inline('inline, batches of 1,000, real machine', ['order=batch', 'peer=machine']),
    inline('inline, one by one, everything a call can ask for', ['order=one', 'peer=everything', 'work=reading']),
    {
      name: 'calls, everyone',
      section: 'calls',
      file: 'calls.bench.js',
      arguments: isQuick ? ['rounds=3', 'tasks=10000'] : ['rounds=3', 'tasks=20000'],
      processes: 1,
    },
    {
      name: 'background, everyone',
      section: 'calls',
      file: 'background.bench.js',
      arguments: isQuick ? ['rounds=3', 'tasks=5000'] : ['rounds=3', 'tasks=5000'],
      processes: 1,
    },
    memory('heap of a live inline call', 'run', { goal: 2_500, gate: 3_000 }),
    memory('heap of a live background task', 'spawn'),
    memory('heap of a kept finished task, besides its result', 'finished', { goal: 300, gate: 450 }),
    {
      name: 'quick call at 100,000 live : at 1,000',
      section: 'live',
      file: 'growth.bench.js',
      // Long rounds: the collector is still sweeping the large heap when a round begins.
      arguments: [isQuick ? 'rounds=3' : 'rounds=5', 'tasks=40000'],
      value: 'growth',
      unit: '×',
      goal: 1.5,
      gate: 2.5,
      processes: 2,
    },
    {
      name: `heap that is left of a task, over ${isQuick ? '200,000' : 'a million'} of them`,
      section: 'live',
      file: 'churn.bench.js',
      arguments: isQuick ? ['tasks=200000', 'laps=4'] : ['tasks=1000000', 'laps=10'],
      value: 'bytes',
      unit: 'B',
      gate: 10,
      processes: 1,
    },
    {
      name: 'live, everyone',
      section: 'live',
      file: 'live.bench.js',
      arguments: isQuick
        ? ['rounds=1', 'tasks=10000', 'levels=0,1000,10000,100000', 'weighed=20000']
        : ['rounds=1', 'tasks=10000', 'weighed=50000'],
      processes: 1,
    },
  ]
}
