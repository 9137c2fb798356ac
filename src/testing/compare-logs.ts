/** Where two logs part: of one program before and after a change, of a recorded run and a run in a test. */
import { isTaskEvent, type StreamItem } from '../ports/task-event.ts'

export interface CompareOptions {
  /**
   * `whole`: the events of all tasks have to come in one order. `perTask`: each task has to live the same life, whatever the
   * others do meanwhile.
   * @defaultValue 'whole'
   */
  readonly order?: 'whole' | 'perTask'
  /**
   * Fields of events that may differ, besides moments, durations and cursors, which always may.
   * @defaultValue none
   */
  readonly ignore?: readonly string[]
}

/** The first place at which two logs are not the same. An absent side has ended before. */
export interface LogDifference {
  /** How many items are the same before it: in the whole log, or in that of the task. */
  readonly index: number
  /** The task by its place among the tasks of the log, in the order in which they appear: `task 1`. */
  readonly task?: string
  readonly expected?: StreamItem
  readonly actual?: StreamItem
}

/** What tells of when something happened, or where it lies, never of what it is. */
const ALWAYS_IGNORED = ['at', 'cursor', 'durationMs', 'dueAt', 'answerBy']
/** Fields that hold the id of a task. */
const TASK_IDS = ['taskId', 'parentId', 'rootId', 'actor']

/**
 * Compares two logs. Ids of tasks are told apart by the order in which they appear, so that two runs with random ids are
 * alike. Gives nothing when the logs are the same.
 *
 * @example
 * ```ts
 * import type { StreamItem } from 'outlive'
 * import { compareLogs } from 'outlive/testing'
 *
 * const base = { epoch: 1, owner: 'ann', tool: 'work', depth: 0, at: 0 }
 * const queued = (taskId: string): StreamItem => ({ ...base, type: 'task.queued', taskId, rootId: taskId, seq: 1 })
 * const ended = (taskId: string): StreamItem => ({ ...base, type: 'task.completed', taskId, rootId: taskId, seq: 2, durationMs: 5 })
 * console.log(compareLogs([queued('a'), ended('a')], [queued('b'), ended('b')])) // undefined
 * console.log(compareLogs([queued('a'), ended('a')], [queued('b')])?.index) // 1
 * ```
 */
export function compareLogs(
  expected: readonly StreamItem[],
  actual: readonly StreamItem[],
  { order = 'whole', ignore = [] }: CompareOptions = {},
): LogDifference | undefined {
  const left = toComparable(expected, ignore)
  const right = toComparable(actual, ignore)
  if (order === 'whole') return firstDifference(left, right)
  const tasks = new Set([...left, ...right].flatMap(({ task }) => (task === undefined ? [] : [task])))
  for (const task of tasks) {
    const ofTask = (items: readonly Comparable[]): Comparable[] => items.filter((item) => item.task === task)
    const difference = firstDifference(ofTask(left), ofTask(right))
    if (difference !== undefined) return { task, ...difference }
  }
  return undefined
}

interface Comparable {
  readonly item: StreamItem
  readonly task: string | undefined
  readonly text: string
}

function toComparable(items: readonly StreamItem[], ignore: readonly string[]): Comparable[] {
  const names = new Map<string, string>()
  const nameOf = (taskId: string): string => {
    const known = names.get(taskId) ?? `task ${names.size + 1}`
    names.set(taskId, known)
    return known
  }
  for (const item of items) if (isTaskEvent(item)) nameOf(item.taskId)
  const dropped = new Set([...ALWAYS_IGNORED, ...ignore])
  const renamed = (key: string, value: unknown): unknown => {
    if (dropped.has(key)) return undefined
    return TASK_IDS.includes(key) && typeof value === 'string' ? (names.get(value) ?? value) : sorted(value)
  }
  return items.map((item) => ({
    item,
    task: isTaskEvent(item) ? nameOf(item.taskId) : undefined,
    text: JSON.stringify(item, renamed),
  }))
}

/** The same fields in another order are the same. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function firstDifference(left: readonly Comparable[], right: readonly Comparable[]): LogDifference | undefined {
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const [expected, actual] = [left[index], right[index]]
    if (expected?.text === actual?.text) continue
    return {
      index,
      ...(expected === undefined ? {} : { expected: expected.item }),
      ...(actual === undefined ? {} : { actual: actual.item }),
    }
  }
  return undefined
}
