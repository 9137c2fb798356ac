/** The shortest way to each state of a chart, as XState finds it. */
import type { AnyStateMachine } from 'xstate'
import { getShortestPaths } from 'xstate/graph'
import { eventsOf, nameOfState, type ChartEvent, type ChartState } from './chart.ts'

export interface ChartPath {
  /** The state it leads to: `running/attached`, the values of all regions. */
  readonly state: string
  readonly events: readonly ChartEvent[]
}

/**
 * The shortest path to every state that a machine can reach, shortest first. States are told apart by their value alone:
 * of a machine with guards give the `events` that open them.
 *
 * @example
 * ```ts
 * import { taskMachine } from 'outlive/machines'
 * import { chartPaths } from 'outlive/testing/properties'
 *
 * const paths = chartPaths(taskMachine)
 * console.log(paths.length) // 21
 * console.log(paths.find(({ state }) => state === 'completed')?.events.map(({ type }) => type)) // ['work.started', 'work.completed']
 * ```
 */
export function chartPaths(machine: AnyStateMachine, events: readonly ChartEvent[] = eventsOf(machine)): ChartPath[] {
  const paths = getShortestPaths(machine, {
    events: events as never[],
    serializeState: (snapshot) => nameOfState((snapshot as ChartState).value),
  })
  return paths
    .map(({ state, steps }) => ({
      state: nameOfState((state as ChartState).value),
      // The first step of a path is the start of the machine itself.
      events: steps.map(({ event }) => event as ChartEvent).filter(({ type }) => type !== 'xstate.init'),
    }))
    .sort((a, b) => a.events.length - b.events.length)
}
