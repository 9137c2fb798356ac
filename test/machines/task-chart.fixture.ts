/**
 * Every state of the task chart × every event, reviewed by hand against `design.md` §3.
 *
 * The head of a table says where the caller is, its columns name the work states (the last table: the finals). A cell
 * says what the event does there: `·` it is ignored, `self` it is accepted and changes nothing, else the name of what
 * the task moves to: a work state, a caller state, both, or a final. A region that is not named stays where it is.
 */
import type { CallerState, FinalStatus, TaskChartEventType, TaskStateValue, WorkState } from '../../machines/index.ts'
import { TASK_CHART_EVENTS } from '../../machines/index.ts'

const TABLES = `
| attached                   | queued    | running            | waiting      | retrying  |
|----------------------------|-----------|--------------------|--------------|-----------|
| work.started               | running   | ·                  | ·            | running   |
| work.completed             | ·         | completed          | completed    | ·         |
| work.completedWithChildren | ·         | finishing          | finishing    | ·         |
| work.failed                | ·         | failed             | failed       | ·         |
| work.failedWithChildren    | ·         | failing            | failing      | ·         |
| work.retry                 | ·         | retrying           | retrying     | ·         |
| question.asked             | detached  | waiting + detached | detached     | detached  |
| question.answered          | ·         | ·                  | self         | ·         |
| questions.settled          | ·         | ·                  | running      | ·         |
| child.failed               | ·         | failing            | failing      | ·         |
| children.settled           | ·         | ·                  | ·            | ·         |
| teardown.finished          | ·         | ·                  | ·            | ·         |
| grace.expired              | ·         | ·                  | ·            | ·         |
| task.cancel                | cancelled | cancelling         | cancelling   | cancelled |
| task.interrupt             | failed    | interrupting       | interrupting | failed    |
| deadline.queue             | failed    | ·                  | ·            | ·         |
| deadline.hard              | ·         | timingOut          | ·            | ·         |
| deadline.attempt           | ·         | failing            | ·            | ·         |
| deadline.inline            | detached  | detached           | detached     | detached  |
| task.background            | detached  | detached           | detached     | detached  |
| task.redirect              | detached  | detached           | detached     | detached  |
| task.attach                | ·         | ·                  | ·            | ·         |

| attached                   | finishing    | failing  | cancelling | timingOut | interrupting |
|----------------------------|--------------|----------|------------|-----------|--------------|
| work.started               | ·            | ·        | ·          | ·         | ·            |
| work.completed             | ·            | ·        | ·          | ·         | ·            |
| work.completedWithChildren | ·            | ·        | ·          | ·         | ·            |
| work.failed                | ·            | ·        | ·          | ·         | ·            |
| work.failedWithChildren    | ·            | ·        | ·          | ·         | ·            |
| work.retry                 | ·            | retrying | ·          | ·         | ·            |
| question.asked             | detached     | detached | detached   | detached  | detached     |
| question.answered          | ·            | ·        | ·          | ·         | ·            |
| questions.settled          | ·            | ·        | ·          | ·         | ·            |
| child.failed               | failing      | ·        | ·          | ·         | ·            |
| children.settled           | completed    | ·        | ·          | ·         | ·            |
| teardown.finished          | ·            | failed   | cancelled  | failed    | failed       |
| grace.expired              | ·            | failed   | cancelled  | failed    | failed       |
| task.cancel                | cancelling   | ·        | ·          | ·         | ·            |
| task.interrupt             | interrupting | ·        | ·          | ·         | ·            |
| deadline.queue             | ·            | ·        | ·          | ·         | ·            |
| deadline.hard              | timingOut    | ·        | ·          | ·         | ·            |
| deadline.attempt           | ·            | ·        | ·          | ·         | ·            |
| deadline.inline            | detached     | detached | detached   | detached  | detached     |
| task.background            | detached     | detached | detached   | detached  | detached     |
| task.redirect              | detached     | detached | detached   | detached  | detached     |
| task.attach                | ·            | ·        | ·          | ·         | ·            |

| detached                   | queued    | running      | waiting      | retrying  |
|----------------------------|-----------|--------------|--------------|-----------|
| work.started               | running   | ·            | ·            | running   |
| work.completed             | ·         | completed    | completed    | ·         |
| work.completedWithChildren | ·         | finishing    | finishing    | ·         |
| work.failed                | ·         | failed       | failed       | ·         |
| work.failedWithChildren    | ·         | failing      | failing      | ·         |
| work.retry                 | ·         | retrying     | retrying     | ·         |
| question.asked             | ·         | waiting      | self         | ·         |
| question.answered          | ·         | ·            | self         | ·         |
| questions.settled          | ·         | ·            | running      | ·         |
| child.failed               | ·         | failing      | failing      | ·         |
| children.settled           | ·         | ·            | ·            | ·         |
| teardown.finished          | ·         | ·            | ·            | ·         |
| grace.expired              | ·         | ·            | ·            | ·         |
| task.cancel                | cancelled | cancelling   | cancelling   | cancelled |
| task.interrupt             | failed    | interrupting | interrupting | failed    |
| deadline.queue             | failed    | ·            | ·            | ·         |
| deadline.hard              | ·         | timingOut    | ·            | ·         |
| deadline.attempt           | ·         | failing      | ·            | ·         |
| deadline.inline            | ·         | ·            | ·            | ·         |
| task.background            | ·         | ·            | ·            | ·         |
| task.redirect              | self      | self         | self         | self      |
| task.attach                | attached  | attached     | attached     | attached  |

| detached                   | finishing    | failing  | cancelling | timingOut | interrupting |
|----------------------------|--------------|----------|------------|-----------|--------------|
| work.started               | ·            | ·        | ·          | ·         | ·            |
| work.completed             | ·            | ·        | ·          | ·         | ·            |
| work.completedWithChildren | ·            | ·        | ·          | ·         | ·            |
| work.failed                | ·            | ·        | ·          | ·         | ·            |
| work.failedWithChildren    | ·            | ·        | ·          | ·         | ·            |
| work.retry                 | ·            | retrying | ·          | ·         | ·            |
| question.asked             | ·            | ·        | ·          | ·         | ·            |
| question.answered          | ·            | ·        | ·          | ·         | ·            |
| questions.settled          | ·            | ·        | ·          | ·         | ·            |
| child.failed               | failing      | ·        | ·          | ·         | ·            |
| children.settled           | completed    | ·        | ·          | ·         | ·            |
| teardown.finished          | ·            | failed   | cancelled  | failed    | failed       |
| grace.expired              | ·            | failed   | cancelled  | failed    | failed       |
| task.cancel                | cancelling   | ·        | ·          | ·         | ·            |
| task.interrupt             | interrupting | ·        | ·          | ·         | ·            |
| deadline.queue             | ·            | ·        | ·          | ·         | ·            |
| deadline.hard              | timingOut    | ·        | ·          | ·         | ·            |
| deadline.attempt           | ·            | ·        | ·          | ·         | ·            |
| deadline.inline            | ·            | ·        | ·          | ·         | ·            |
| task.background            | ·            | ·        | ·          | ·         | ·            |
| task.redirect              | self         | self     | self       | self      | self         |
| task.attach                | attached     | attached | attached   | attached  | attached     |

| final                      | completed | failed | cancelled |
|----------------------------|-----------|--------|-----------|
| work.started               | ·         | ·      | ·         |
| work.completed             | ·         | ·      | ·         |
| work.completedWithChildren | ·         | ·      | ·         |
| work.failed                | ·         | ·      | ·         |
| work.failedWithChildren    | ·         | ·      | ·         |
| work.retry                 | ·         | ·      | ·         |
| question.asked             | ·         | ·      | ·         |
| question.answered          | ·         | ·      | ·         |
| questions.settled          | ·         | ·      | ·         |
| child.failed               | ·         | ·      | ·         |
| children.settled           | ·         | ·      | ·         |
| teardown.finished          | ·         | ·      | ·         |
| grace.expired              | ·         | ·      | ·         |
| task.cancel                | ·         | ·      | ·         |
| task.interrupt             | ·         | ·      | ·         |
| deadline.queue             | ·         | ·      | ·         |
| deadline.hard              | ·         | ·      | ·         |
| deadline.attempt           | ·         | ·      | ·         |
| deadline.inline            | ·         | ·      | ·         |
| task.background            | ·         | ·      | ·         |
| task.redirect              | ·         | ·      | ·         |
| task.attach                | ·         | ·      | ·         |
`

/** A state of the task chart in one word: `running/attached`, `failed`. */
export type ChartStateName = `${WorkState}/${CallerState}` | FinalStatus

/** What an event does in a state. */
export type ChartOutcome = 'ignored' | 'self' | `accepted -> ${ChartStateName}`

export type ChartRow = Readonly<Record<TaskChartEventType, ChartOutcome>>

const WORK_STATES = [
  'queued',
  'running',
  'waiting',
  'retrying',
  'finishing',
  'failing',
  'cancelling',
  'timingOut',
  'interrupting',
] as const satisfies readonly WorkState[]
const CALLER_STATES = ['attached', 'detached'] as const satisfies readonly CallerState[]
const FINALS = ['completed', 'failed', 'cancelled'] as const satisfies readonly FinalStatus[]

/** All states the chart is meant to have, spelt out here and not taken from the chart. */
export const CHART_STATES: readonly ChartStateName[] = [
  ...WORK_STATES.flatMap((work) => CALLER_STATES.map((caller) => `${work}/${caller}` as const)),
  ...FINALS,
]

export function toStateName(value: TaskStateValue): ChartStateName {
  return typeof value === 'string' ? value : `${value.live.work}/${value.live.caller}`
}

/** The reviewed chart: what each event does in each state. */
export const TASK_CHART: Readonly<Record<ChartStateName, ChartRow>> = readTables(TABLES)

/** Throws at any cell, row or column that is missing, surplus, double or misspelt. */
function readTables(text: string): Record<ChartStateName, ChartRow> {
  const rows = new Map<ChartStateName, Map<TaskChartEventType, ChartOutcome>>()
  for (const table of text.trim().split('\n\n')) {
    const [head = [], , ...lines] = table.split('\n').map(toCells)
    const [corner, ...columns] = head
    for (const [event, ...cells] of lines) {
      const type = requireOneOf(TASK_CHART_EVENTS, event)
      if (cells.length !== columns.length) throw new Error(`${type} has ${cells.length} cells in the table ${corner}`)
      for (const [index, cell] of cells.entries()) {
        const from = corner === 'final' ? columns[index] : `${columns[index]}/${corner}`
        const state = requireOneOf(CHART_STATES, from)
        const row = rows.get(state) ?? new Map<TaskChartEventType, ChartOutcome>()
        if (row.has(type)) throw new Error(`${state} × ${type} is there twice`)
        rows.set(state, row.set(type, toOutcome(state, cell)))
      }
    }
  }
  for (const state of CHART_STATES) {
    const missing = TASK_CHART_EVENTS.filter((type) => rows.get(state)?.has(type) !== true)
    if (missing.length > 0) throw new Error(`${state} lacks ${missing.join(', ')}`)
  }
  return Object.fromEntries([...rows].map(([state, row]) => [state, Object.fromEntries(row)])) as Record<
    ChartStateName,
    ChartRow
  >
}

function toCells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

function toOutcome(from: ChartStateName, cell: string): ChartOutcome {
  if (cell === '·') return 'ignored'
  if (cell === 'self') return 'self'
  const final = FINALS.find((name) => name === cell)
  if (final !== undefined) return `accepted -> ${final}`
  let [work, caller] = from.split('/')
  for (const name of cell.split(' + ')) {
    if (CALLER_STATES.some((state) => state === name)) caller = name
    else work = requireOneOf(WORK_STATES, name)
  }
  return `accepted -> ${requireOneOf(WORK_STATES, work)}/${requireOneOf(CALLER_STATES, caller)}`
}

function requireOneOf<Name extends string>(known: readonly Name[], name: string | undefined): Name {
  const found = known.find((candidate) => candidate === name)
  if (found === undefined) throw new Error(`the table says ${name}; known are ${known.join(', ')}`)
  return found
}
