/**
 * Keeps the host's ledger up to date with what the store has.
 *
 * in step: every change that was committed here is in the ledger, or on its way.
 * degraded: the ledger has refused something. That is tried again, ever more slowly; other tasks do not wait for it.
 *
 * 1. The changes of one task are synced in their order, one at a time.
 * 2. What waits is bounded: of one task the latest `MAX_CHANGES` changes, of all `MAX_TASKS` tasks. Beyond that changes are
 *    left out and counted, and `reconcile` repairs what is missing.
 * 3. Nothing a ledger does reaches a task.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../machines/policies/backoff.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { Logger } from '../ports/logger.ts'
import type { Projection, ReconcileReport } from '../ports/projection.ts'
import type { StoredRecord, TaskRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { Counters } from './counters.ts'

const BACKOFF: BackoffPolicy = { baseMs: 500, factor: 2, maxMs: 30_000, jitter: 'full' }
const MAX_CHANGES = 16
const MAX_TASKS = 10_000
const PAGE = 500

export interface Projector {
  /** A record was committed. */
  note(record: StoredRecord): void
  /** Compares the ledger with the store, and syncs what differs. */
  reconcile(): Promise<ReconcileReport>
  /** How many tasks the ledger is behind by. */
  behind(): number
  isDegraded(): boolean
  whenInStep(): Promise<void>
  /** Tries nothing any more. Says how many tasks the ledger is behind by. */
  close(): number
}

interface Lane {
  changes: StoredRecord[]
  failedAttempts: number
  retry: Moment | undefined
}

export function createProjector(parts: {
  readonly projection: Projection
  readonly store: TaskStore
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly counters: Counters
  readonly random01: () => number
  readonly runOutside: (work: () => void) => void
  readonly view: (record: StoredRecord) => TaskRecord
}): Projector {
  const { projection, store, deadlines, logger, counters } = parts
  const lanes = new Map<string, Lane>()
  /** What was noted last of tasks that have not ended. */
  const noted = new Map<string, string>()
  let waiting: (() => void)[] = []
  let isClosed = false

  const tellIfInStep = (): void => {
    if (lanes.size > 0) return
    const told = waiting
    waiting = []
    for (const tell of told) tell()
  }

  const syncNext = async (taskId: string, lane: Lane): Promise<void> => {
    for (let record = lane.changes[0]; record !== undefined; record = lane.changes[0]) {
      await projection.sync(parts.view(record))
      lane.changes = lane.changes.filter((change) => change !== record)
      lane.failedAttempts = 0
      if (isClosed) return
    }
    lanes.delete(taskId)
    tellIfInStep()
  }

  const run = (taskId: string, lane: Lane): void => {
    if (isClosed) return
    parts.runOutside(() => {
      syncNext(taskId, lane).catch((error: unknown) => {
        counters.projectionErrors += 1
        lane.failedAttempts += 1
        if (lane.failedAttempts === 1) logger.error({ error, taskId }, 'the ledger has refused a task; trying again')
        const delayMs = backoffDelayMs(BACKOFF, { failedAttempts: lane.failedAttempts, random01: parts.random01() })
        lane.retry = deadlines.idleAfter(Math.max(1, delayMs), () => run(taskId, lane), undefined)
      })
    })
  }

  const enqueue = (record: StoredRecord): void => {
    const { taskId } = record
    const lane = lanes.get(taskId)
    if (lane === undefined) {
      if (lanes.size >= MAX_TASKS) {
        counters.projectionErrors += 1
        return
      }
      const opened: Lane = { changes: [record], failedAttempts: 0, retry: undefined }
      lanes.set(taskId, opened)
      return run(taskId, opened)
    }
    lane.changes.push(record)
    // The first may be on its way.
    if (lane.changes.length > MAX_CHANGES) {
      counters.projectionErrors += 1
      lane.changes.splice(1, 1)
    }
  }

  const isBehind = async (record: StoredRecord): Promise<boolean> =>
    projection.statusOf === undefined || (await projection.statusOf(record.taskId)) !== record.status

  const repair = async (record: StoredRecord): Promise<'same' | 'repaired' | 'failed'> => {
    try {
      if (!(await isBehind(record))) return 'same'
      await projection.sync(parts.view(record))
      return 'repaired'
    } catch (error) {
      counters.projectionErrors += 1
      logger.error({ error, taskId: record.taskId }, 'the ledger has refused a task; it stays as it is there')
      return 'failed'
    }
  }

  return {
    note(record) {
      const { taskId, status, attempt, endedAt } = record
      const change = `${status}:${attempt}`
      if (isClosed || noted.get(taskId) === change) return
      if (endedAt === undefined) noted.set(taskId, change)
      else noted.delete(taskId)
      enqueue(record)
    },

    async reconcile() {
      const counts = { same: 0, repaired: 0, failed: 0 }
      for (let after: number | undefined = 0; after !== undefined;) {
        const page = await store.list({ limit: PAGE, after })
        for (const record of page.records) {
          // What is on its way brings the ledger there by itself.
          if (!lanes.has(record.taskId)) counts[await repair(record)] += 1
          else counts.same += 1
        }
        after = page.next
      }
      const { same, repaired, failed } = counts
      return { checked: same + repaired + failed, repaired, failed }
    },

    behind: () => lanes.size,
    isDegraded: () => [...lanes.values()].some(({ failedAttempts }) => failedAttempts > 0),
    whenInStep: () => (lanes.size === 0 ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve))),
    close() {
      isClosed = true
      for (const { retry } of lanes.values()) retry?.disarm()
      return lanes.size
    },
  }
}
