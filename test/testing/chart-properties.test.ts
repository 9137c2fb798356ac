import { memoise, taskMachine, TASK_CHART_EVENTS, toTaskStatus, type TaskStatus } from 'outlive/machines'
import { chartPaths, chartRun, createChartCoverage, taskCommands, taskEvents } from 'outlive/testing/properties'
import { describe, expect, test } from 'vitest'
import { createActor, createMachine, type AnyStateMachine } from 'xstate'
import { CHART_STATES } from '../machines/task-chart.fixture.ts'
import { fc } from '../support/properties.ts'

/** A chart of one's own: other states, a counter, and the events of a task as far as it needs them. */
const own = createMachine({
  id: 'own',
  initial: 'new',
  context: { started: 0 },
  states: {
    new: {
      on: { 'work.started': 'busy', 'task.cancel': 'dropped', 'task.interrupt': 'broken', 'deadline.queue': 'broken' },
    },
    busy: { on: { 'work.completed': 'done', 'work.failed': 'broken' } },
    done: { type: 'final' },
    broken: { type: 'final' },
    dropped: { type: 'final' },
  },
})
const OWN_STATUS: Readonly<Record<string, TaskStatus>> = {
  new: 'queued',
  busy: 'running',
  done: 'completed',
  broken: 'failed',
  dropped: 'cancelled',
}
const OWN_TYPES = ['work.started', 'work.completed', 'work.failed', 'deadline.queue'] as const

/** The message of a property that fails. */
function failureOf(machine: AnyStateMachine): string {
  const property = fc.property(taskCommands(), (commands) => fc.modelRun(chartRun(machine), commands))
  const { counterexample, errorInstance } = fc.check(property, { numRuns: 3_000, seed: 1 })
  const [commands] = (counterexample ?? []) as readonly { toString(): string }[]
  return `${commands?.toString()}: ${String(errorInstance)}`
}

describe('commands over the task chart', () => {
  test('the table agrees with the chart, and every state and transition is seen', () => {
    const coverage = createChartCoverage(taskMachine)
    const table = memoise(taskMachine)
    fc.assert(
      fc.property(taskCommands({ coverage }), (commands) => fc.modelRun(chartRun(table), commands)),
      { numRuns: 2_000, seed: 7 },
    )
    const { states, transitions } = coverage.report()
    expect(states).toEqual({ seen: 21, all: 21, missing: [] })
    expect(transitions.missing).toEqual([])
    expect(transitions.all).toBe(126)
  })

  test('what was not seen is named', () => {
    const coverage = createChartCoverage(taskMachine)
    const types = ['work.started', 'work.completed'] as const
    fc.assert(
      fc.property(taskCommands({ coverage, types }), (commands) => fc.modelRun(chartRun(taskMachine), commands)),
    )
    const { states, transitions } = coverage.report()
    expect(states.seen).toBe(3)
    expect(states.missing).toContain('running/detached')
    expect(transitions.missing).toContain('running/attached on task.cancel')
    expect(transitions.missing).not.toContain('queued/attached on work.started')
  })

  test('a chart that leaves a final state, or takes another way than the reference, is told with the shortest commands', () => {
    const reopened = createMachine({
      ...taskMachine.config,
      states: { ...taskMachine.config.states, failed: { on: { 'work.retry': 'live' } } },
    } as never) as unknown as AnyStateMachine
    expect(failureOf(reopened)).toMatch(
      /^\S+,work\.retry.*: Error: work\.retry in failed leads to queued\/attached: it leaves the final status failed$/,
    )
    expect(failureOf(own as unknown as AnyStateMachine)).toMatch('Error')
  })

  test('a chart of one’s own is tested with its own words for the statuses', () => {
    const coverage = createChartCoverage(own)
    const commands = taskCommands({
      types: OWN_TYPES,
      coverage,
      statusOf: (value) => OWN_STATUS[String(value)] ?? 'queued',
    })
    fc.assert(
      fc.property(commands, (given) => fc.modelRun(chartRun(own as unknown as AnyStateMachine), given)),
      { seed: 3 },
    )
    expect(coverage.report().states.missing).toEqual(['dropped'])
  })
})

describe('events and paths', () => {
  test('arrays of events are of the vocabulary, and no longer than asked', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(taskEvents({ maxLength: 12 }), (events) => {
        for (const { type } of events) seen.add(type)
        expect(events.length).toBeLessThanOrEqual(12)
      }),
    )
    expect([...seen].sort()).toEqual([...TASK_CHART_EVENTS].sort())
  })

  test('there is a path to each state of the chart, it leads there, and no shorter one does', () => {
    const paths = chartPaths(taskMachine)
    expect(paths.map(({ state }) => state).sort()).toEqual([...CHART_STATES].sort())
    for (const { state, events } of paths) {
      const actor = createActor(taskMachine).start()
      for (const event of events) actor.send(event as never)
      const { value } = actor.getSnapshot()
      expect(state.split('/').length === 1 ? toTaskStatus(value) : state).toContain(state)
      expect(JSON.stringify(value)).toContain(state.split('/')[0])
    }
    expect(paths[0]).toEqual({ state: 'queued/attached', events: [] })
    expect(paths.find(({ state }) => state === 'failed')?.events).toHaveLength(1)
    expect(paths.find(({ state }) => state === 'finishing/detached')?.events).toHaveLength(3)
  })
})
