/**
 * What may not get worse unnoticed: ratios only, so that they mean the same on any machine, and with room for a machine that
 * others use: a gate is one and a half to two times the goal or what is usual. It catches what is broken, not what is slower.
 */
import type { Case } from './case.ts'

const SHORT = ['rounds=5', 'tasks=10000']

export const GATE_CASES: readonly Case[] = [
  gate('inline, one by one : the floor', 'inline.bench.js', ['order=one', ...SHORT], 'ratio', { goal: 2.2, gate: 4 }),
  gate('inline, batches of 1,000 : the floor', 'inline.bench.js', ['order=batch', ...SHORT], 'ratio', {
    goal: 2.8,
    gate: 5.5,
  }),
  gate('inline, the signal is read : the floor', 'inline.bench.js', ['work=reading', ...SHORT], 'ratio', { gate: 5.5 }),
  gate('quick call at 100,000 live : at 1,000', 'growth.bench.js', ['rounds=3', 'tasks=20000'], 'growth', {
    goal: 1.5,
    gate: 2.5,
  }),
  gate('an event while 999 watch other tasks : none', 'watchers.bench.js', ['rounds=5', 'events=10000'], 'growth', {
    goal: 5,
    gate: 8,
  }),
  gate('cancel of 20,000, wide : the floor of as many calls', 'cancel.bench.js', tree('wide'), 'overFloor', {
    gate: 5.5,
  }),
  gate('cancel of 20,000, chain : the floor of as many calls', 'cancel.bench.js', tree('deep'), 'overFloor', {
    gate: 5.5,
  }),
  gate('cancel of 20,000, 10-ary : the floor of as many calls', 'cancel.bench.js', tree('tenAry'), 'overFloor', {
    gate: 5.5,
  }),
  gate('heap of a live inline call : the floor', 'memory.bench.js', ['kind=run'], 'ratio', { goal: 1.25, gate: 1.6 }),
  gate('heap of a kept finished task : the floor', 'memory.bench.js', ['kind=finished'], 'ratio', { gate: 0.2 }),
]

function tree(shape: string): readonly string[] {
  return [`shape=${shape}`, 'descendants=20000']
}

function gate(
  name: string,
  file: string,
  given: readonly string[],
  value: string,
  limits: { readonly goal?: number; readonly gate: number },
): Case {
  return { name, section: 'calls', file, arguments: given, value, unit: '×', processes: 1, ...limits }
}
