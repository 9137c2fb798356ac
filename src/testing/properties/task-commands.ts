/**
 * Arbitraries of fast-check over charts that understand the events of a task: the one of `outlive/machines`, faster or
 * richer ones, yours.
 *
 * 1. Any event may come in any state: what a state does not know it has to ignore.
 * 2. A run begins with the shortest path to some state of the reference, so that all of them are reached alike often.
 * 3. After each command the status has to be that of the reference, which is the chart of the library unless you give
 *    another one. A final status is never left.
 */
import fc from 'fast-check'
import type { AnyStateMachine } from 'xstate'
import {
  isFinalStatus,
  TASK_CHART_EVENTS,
  taskMachine,
  toTaskStatus,
  type TaskChartEvent,
  type TaskChartEventType,
  type TaskStateValue,
  type TaskStatus,
} from '../../../machines/index.ts'
import { chartPaths } from './chart-paths.ts'
import { firstState, nameOfState, nextState, startChart, type ChartState, type ChartUnderTest } from './chart.ts'
import type { ChartCoverage } from './chart-coverage.ts'

/** What should be the case, as fast-check keeps it beside what is. */
export interface ChartModel {
  state: ChartState
}

export type TaskCommand = fc.Command<ChartModel, ChartUnderTest>

export interface TaskEventsOptions {
  /** Which events may come. @defaultValue all that the vocabulary has */
  readonly types?: readonly TaskChartEventType[]
  /** @defaultValue 30 */
  readonly maxLength?: number
}

export interface TaskCommandsOptions extends TaskEventsOptions {
  /** What the status has to agree with. @defaultValue `taskMachine` */
  readonly reference?: AnyStateMachine
  /** The status of a value of the chart under test. @defaultValue `toTaskStatus` of `outlive/machines` */
  readonly statusOf?: (value: unknown) => TaskStatus
  /** Counts the states and transitions that were seen. */
  readonly coverage?: ChartCoverage
}

/** Plain events, one after the other. */
export function taskEvents({ types = TASK_CHART_EVENTS, maxLength = 30 }: TaskEventsOptions = {}): fc.Arbitrary<
  TaskChartEvent[]
> {
  return fc.array(
    fc.constantFrom(...types).map((type) => ({ type })),
    { maxLength, size: 'max' },
  )
}

/**
 * Commands for `fc.modelRun`, over what `chartRun` makes of a machine.
 *
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { memoise, taskMachine } from 'outlive/machines'
 * import { chartRun, createChartCoverage, taskCommands } from 'outlive/testing/properties'
 *
 * const coverage = createChartCoverage(taskMachine)
 * const run = chartRun(memoise(taskMachine))
 * fc.assert(
 *   fc.property(taskCommands({ coverage }), (commands) => fc.modelRun(run, commands)),
 *   { numRuns: 500 },
 * )
 * console.log(coverage.report().states) // { seen: 21, all: 21, missing: [] }
 * ```
 */
export function taskCommands(options: TaskCommandsOptions = {}): fc.Arbitrary<Iterable<TaskCommand>> {
  const { types = TASK_CHART_EVENTS, maxLength = 30, reference = taskMachine } = options
  const commands = new Map(types.map((type) => [type, commandOf(type, options)]))
  const paths = chartPaths(reference).map(({ events }) =>
    events.flatMap(({ type }) => commands.get(type as never) ?? []),
  )
  const others = fc.commands(
    [...commands.values()].map((command) => fc.constant(command)),
    { maxCommands: maxLength, size: 'max' },
  )
  return fc.tuple(fc.constantFrom(...paths), others).map(([path, rest]) => ({
    *[Symbol.iterator]() {
      yield* path
      yield* rest
    },
    toString: () => [...path, rest as { toString(): string }].map((part) => part.toString()).join(','),
  }))
}

/** A machine that has just started, beside its reference, each time it is called. */
export function chartRun(
  machine: AnyStateMachine,
  reference: AnyStateMachine = taskMachine,
): () => { readonly model: ChartModel; readonly real: ChartUnderTest } {
  return () => ({ model: { state: firstState(reference) }, real: startChart(machine) })
}

function commandOf(type: TaskChartEventType, options: TaskCommandsOptions): TaskCommand {
  const { reference = taskMachine, statusOf = (value) => toTaskStatus(value as TaskStateValue), coverage } = options
  return {
    check: () => true,
    run(model, real) {
      const before = real.value()
      const status = statusOf(before)
      real.send({ type })
      const after = real.value()
      coverage?.note(before, type, after)
      model.state = nextState(reference, model.state, { type })
      const [found, expected] = [statusOf(after), toTaskStatus(model.state.value as TaskStateValue)]
      const step = `${type} in ${nameOfState(before)} leads to ${nameOfState(after)}`
      if (isFinalStatus(status) && found !== status) throw new Error(`${step}: it leaves the final status ${status}`)
      if (found !== expected) throw new Error(`${step}: the status is ${found}, and should be ${expected}`)
    },
    toString: () => type,
  }
}
