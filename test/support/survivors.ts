/** What the process of a test itself is beside its workers: a node that takes over, and a reader who checks the log. */
import {
  callbackChannel,
  createTaskSupervisor,
  isTaskEvent,
  type Session,
  type StreamItem,
  type TaskRecord,
  type TaskSupervisor,
  type TaskSupervisorOptions,
} from 'outlive'
import { verifyLog } from 'outlive/testing'
import { expect, onTestFinished } from 'vitest'
import { openTestStore, type StorePlace } from '../programs/worker-stores.ts'
import { createTestTools, type TestTools } from '../programs/worker-tools.ts'
import { startStopwatch } from './stopwatch.ts'

export interface Survivor {
  readonly tasks: TaskSupervisor
  readonly ann: Session
  readonly tools: TestTools
  /** What its own tools went through, as `started id attempt`. */
  readonly ran: string[]
  /** The tasks whose end came to the channel `mail` of this process. */
  readonly mailed: string[]
  readonly logged: { readonly message: string; readonly atMs: number }[]
}

/** A supervisor of this process over a store that others have. It is shut down with the test. */
export function openSurvivor(
  place: StorePlace,
  options: Omit<TaskSupervisorOptions, 'store' | 'tools'> = {},
): Survivor {
  const ran: string[] = []
  const mailed: string[] = []
  const logged: { message: string; atMs: number }[] = []
  const log = (_fields: object, message: string): void => void logged.push({ message, atMs: Date.now() })
  const tools = createTestTools((what, { taskId, attempt }) => void ran.push(`${what} ${taskId} ${attempt}`))
  const tasks = createTaskSupervisor({
    retention: { maxFinished: 1_000_000 },
    maxBufferedEvents: 1_000_000,
    graceMs: 500,
    logger: { warn: log, error: log },
    ...options,
    store: openTestStore(place),
    channels: {
      ...options.channels,
      mail: callbackChannel(({ message }) => void (message.kind === 'end' && mailed.push(message.taskId))),
    },
    tools: [tools.again, tools.deadly, tools.tree],
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  return { tasks, ann: tasks.session({ owner: 'ann' }), tools, ran, mailed, logged }
}

/** All that is kept of an owner's tasks. */
export async function listAll(session: Session): Promise<TaskRecord[]> {
  const records: TaskRecord[] = []
  for (let after: string | undefined, isLast = false; !isLast;) {
    const page = await session.list({ limit: 1_000, ...(after === undefined ? {} : { after }) })
    records.push(...page.tasks)
    after = page.next
    isLast = after === undefined
  }
  return records
}

/**
 * Reads the owner's whole log, which is complete once it holds so many terminal events, as a process of its own would: with
 * a store and a supervisor that have seen nothing. The log has to keep all laws.
 */
export async function readSoundLog(place: StorePlace, ends: number): Promise<StreamItem[]> {
  const reader = openSurvivor(place)
  const items: StreamItem[] = []
  let seen = 0
  const reading = new AbortController()
  try {
    for await (const item of reader.ann.events({ signal: reading.signal })) {
      items.push(item)
      if (isTaskEvent(item) && isEnd(item.type)) seen += 1
      if (seen === ends) break
    }
  } finally {
    reading.abort()
    await reader.tasks.shutdown({ graceMs: 1 })
  }
  expect(verifyLog(items)).toEqual([])
  return items
}

export function isEnd(type: string): boolean {
  return type === 'task.completed' || type === 'task.failed' || type === 'task.cancelled'
}

/** The value at a part of all values. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN
}

/** Looks again and again until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>, limitMs = 20_000): Promise<number> {
  const tookMs = startStopwatch()
  while (!(await isSo())) {
    if (tookMs() > limitMs) throw new Error(`it was not so within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return tookMs()
}
