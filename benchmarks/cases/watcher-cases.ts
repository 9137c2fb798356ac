/** What it costs that many watch, and that some come late. */
import type { Case, Effort } from './case.ts'

export function watcherCases({ isQuick }: Effort): Case[] {
  return [
    {
      name: 'event to a one-task watcher while 999 watch other tasks : none',
      section: 'watchers',
      file: 'watchers.bench.js',
      arguments: isQuick ? ['rounds=3', 'events=10000'] : ['rounds=5', 'events=20000'],
      value: 'growth',
      unit: '×',
      gate: 5,
    },
    {
      name: 'fan-out',
      section: 'watchers',
      file: 'fan-out.bench.js',
      arguments: isQuick ? ['rounds=3', 'deliveries=50000'] : ['rounds=5', 'deliveries=200000'],
      processes: 1,
    },
    {
      name: 'late join',
      section: 'watchers',
      file: 'late-join.bench.js',
      arguments: [isQuick ? 'rounds=10' : 'rounds=30'],
      processes: 1,
    },
  ]
}
