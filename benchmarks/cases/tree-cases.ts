/** What it costs to stop a tree, and what the event loop feels of bursts. */
import type { Case, Effort } from './case.ts'

export function treeCases({ isQuick }: Effort): Case[] {
  /** The goal is for the quiet machine on which goals were set; what takes four times as long is broken anywhere. */
  const cancel = (name: string, ...given: readonly string[]): Case => ({
    name,
    section: 'trees',
    file: 'cancel.bench.js',
    arguments: given,
    value: 'ms',
    unit: 'ms',
    goal: 450,
    gate: 2_000,
    processes: 1,
  })
  return [
    cancel('cancel 100,000 inline calls, wide', 'shape=wide', 'kind=run'),
    cancel('cancel 100,000, wide', 'shape=wide'),
    cancel('cancel 100,000, chain', 'shape=deep'),
    cancel('cancel 100,000, 10-ary', 'shape=tenAry'),
    {
      name: 'cancel 100,000, 10-ary, real machine',
      section: 'trees',
      file: 'cancel.bench.js',
      arguments: ['shape=tenAry', 'variant=machine'],
      value: 'ms',
      unit: 'ms',
      processes: 1,
    },
    {
      name: 'trees, everyone',
      section: 'trees',
      file: 'trees.bench.js',
      arguments: isQuick ? ['rounds=1', 'limit=5', 'sizes=10000'] : ['rounds=1', 'limit=4'],
      processes: 1,
    },
  ]
}

export function loopCases(): Case[] {
  const loop = (name: string, burst: string): Case => ({
    name,
    section: 'loop',
    file: 'loop.bench.js',
    arguments: [`burst=${burst}`],
    value: 'ms',
    unit: 'ms',
    goal: 50,
    processes: 2,
  })
  return [
    loop('100,000 start, 500 a turn', 'gentle'),
    loop('100,000 start in one turn', 'start'),
    loop('100,000 end in one turn', 'complete'),
    loop('100,000 come due inline in one turn', 'softDeadline'),
    loop('100,000 come due in one turn', 'hardDeadline'),
    loop('100,000 are cancelled in one turn', 'cancel'),
    {
      name: '100,000 live and quiet: time on the processors',
      section: 'loop',
      file: 'loop.bench.js',
      arguments: ['burst=quiet'],
      value: 'percent',
      unit: '%',
      goal: 2,
      processes: 1,
    },
  ]
}
