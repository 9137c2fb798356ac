/** A chart as the properties see it: its states by name, its events by type, and one step at a time. */
import { createActor, initialTransition, transition, type AnyMachineSnapshot, type AnyStateMachine } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import type { TaskChartEvent } from '../../../machines/index.ts'

/** An event of a chart: a type, and whatever a guard of yours reads. */
export interface ChartEvent {
  readonly type: string
  readonly [field: string]: unknown
}

/** What is tested: something that takes the events of a task and says in which state it is. */
export interface ChartUnderTest {
  send(event: TaskChartEvent): void
  /** The value of its state, as XState gives it. */
  value(): unknown
}

/** A state a chart is in after a step. */
export interface ChartState {
  readonly value: unknown
}

interface Step {
  readonly event: ChartEvent
  readonly state: ChartState
}

/** A machine that runs, as something to be tested. */
export function startChart(machine: AnyStateMachine): ChartUnderTest {
  const actor = createActor(machine).start()
  return {
    send(event) {
      // XState itself warns of an event that comes after the end, and drops it.
      if (actor.getSnapshot().status === 'active') actor.send(event)
    },
    value: () => (actor.getSnapshot() as ChartState).value,
  }
}

/** The name of a state: `running/attached`, the values of all regions. */
export function nameOfState(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.values(value).map(nameOfState).join('/')
}

export function firstState(machine: AnyStateMachine): ChartState {
  return initialTransition(machine)[0] as ChartState
}

/** The state after an event. Actions are not carried out. */
export function nextState(machine: AnyStateMachine, from: ChartState, event: ChartEvent): ChartState {
  return transition(machine, from as AnyMachineSnapshot, event)[0] as ChartState
}

/** The events of a machine that need nothing besides their type. */
export function eventsOf(machine: AnyStateMachine): ChartEvent[] {
  return (machine.events as readonly string[]).filter((type) => !type.includes('*')).map((type) => ({ type }))
}

/** Every state that the events can reach, by name, with the state that each event leads to from there. */
export function walkChart(
  machine: AnyStateMachine,
  events: readonly ChartEvent[],
): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const map = getAdjacencyMap(machine, {
    events: events as never[],
    serializeState: (snapshot) => nameOfState((snapshot as ChartState).value),
  })
  return new Map(
    Object.entries(map).map(([name, { transitions }]) => [
      name,
      new Map(
        Object.values(transitions as Readonly<Record<string, Step>>).map(({ event, state }) => [
          event.type,
          nameOfState(state.value),
        ]),
      ),
    ]),
  )
}
