/**
 * Which states and transitions of a chart a test has seen. A transition is a state and an event that leads to another one;
 * what a state ignores is no transition.
 */
import type { AnyStateMachine } from 'xstate'
import { eventsOf, nameOfState, walkChart, type ChartEvent } from './chart.ts'

export interface CoverageReport {
  readonly states: CoverageCount
  readonly transitions: CoverageCount
}

export interface CoverageCount {
  readonly seen: number
  readonly all: number
  /** What was not seen: `running/attached`, or `running/attached on task.cancel`. */
  readonly missing: readonly string[]
}

export interface ChartCoverage {
  /** One step: from the value of a state, with an event, to the value of a state. */
  note(from: unknown, type: string, to: unknown): void
  report(): CoverageReport
}

/**
 * Counts against what the events of the machine can reach. Of a machine with guards give the `events` that open them.
 *
 * @example
 * ```ts
 * import { supervisorMachine } from 'outlive/machines'
 * import { createChartCoverage } from 'outlive/testing/properties'
 *
 * const coverage = createChartCoverage(supervisorMachine)
 * coverage.note('accepting', 'supervisor.drain', 'draining')
 * console.log(coverage.report().transitions) // { seen: 1, all: 3, missing: ['accepting on supervisor.stop', …] }
 * ```
 */
export function createChartCoverage(
  machine: AnyStateMachine,
  events: readonly ChartEvent[] = eventsOf(machine),
): ChartCoverage {
  const chart = walkChart(machine, events)
  const transitions = [...chart].flatMap(([state, steps]) =>
    [...steps].flatMap(([type, to]) => (to === state ? [] : [`${state} on ${type}`])),
  )
  const seen = new Set<string>()
  const count = (all: readonly string[]): CoverageCount => {
    const missing = all.filter((name) => !seen.has(name))
    return { seen: all.length - missing.length, all: all.length, missing }
  }
  return {
    note(from, type, to) {
      const [before, after] = [nameOfState(from), nameOfState(to)]
      seen.add(before).add(after)
      if (before !== after) seen.add(`${before} on ${type}`)
    },
    report: () => ({ states: count([...chart.keys()]), transitions: count(transitions) }),
  }
}
