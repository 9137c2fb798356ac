/**
 * What an earlier process has left in a store that one process at a time has for itself.
 *
 * found: read before the store is used, so nothing of this process is taken for it.
 * left: what is owed comes first, then tasks, the deepest first. What fails, or cannot be done just now, is tried again.
 * taken up: it has ended, or lives here.
 *
 * 1. Nothing is said of a task that is left: whoever asks waits until it is taken up.
 */
import { backoffDelayMs, type BackoffPolicy } from '../../../machines/policies/backoff.ts'
import { TaskError } from '../../errors.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import { within } from '../../within.ts'
import type { Counters } from '../counters.ts'
import { findOrphans, recoverAll } from './orphans.ts'
import { findOverdue, type Overdue } from './overdue.ts'
import type { Recover } from './recovery.ts'

const BACKOFF: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 5_000, jitter: 'full' }
/** As long as it takes at most to reach a task in another process. */
const PATIENCE_MS = 60_000

export interface Leftovers {
  /** Finds what was left, in a store that is not open to others yet. @throws what the store throws */
  find(store: TaskStore): Promise<void>
  /** Begins to take it up. */
  begin(): void
  /** Tasks of an owner, or of one run, that are not taken up yet. Of a store that is not open yet it is known once it is. */
  tasksOf(whose: { readonly owner: string; readonly runId: string | undefined }): Promise<readonly StoredRecord[]>
  /** Resolves once a task is taken up; nothing for one that is not left. @throws `task_unreachable` */
  whenTakenUp(taskId: string): Promise<void> | undefined
  /** Takes up nothing more. */
  stop(): void
}

/** A task that is left, with those who wait for it. */
interface Left {
  readonly record: StoredRecord
  readonly waiting: ((isTakenUp: boolean) => void)[]
}

export function createLeftovers(parts: {
  readonly store: TaskStore
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly counters: Counters
  readonly random01: () => number
  readonly recover: Recover
  readonly overdue: Overdue
}): Leftovers {
  const { store, deadlines, logger, counters } = parts
  const tasks = new Map<string, Left>()
  let owed: readonly OutboxEntry[] = []
  let isFound = false
  let rounds = 0
  let next: Moment | undefined
  let isStopped = false
  let isFailing = false

  const mayGoOn = (): boolean => !isStopped

  const note = ({ taskId }: StoredRecord): void => {
    const waiting = tasks.get(taskId)?.waiting ?? []
    tasks.delete(taskId)
    for (const tell of waiting) tell(true)
  }

  /** Its commit may have been answered since it was tried the last time. */
  const isTakenUp = async ({ taskId, epoch }: StoredRecord): Promise<boolean> =>
    rounds > 1 && (await store.read(taskId))?.epoch !== epoch

  const takeUp = async (record: StoredRecord): ReturnType<Recover> => {
    // Nobody else will come who knows its tool.
    const outcome = (await isTakenUp(record)) ? 'done' : await parts.recover(record, -Infinity)
    if (outcome === 'done') note(record)
    return outcome
  }

  /** What is not this process's when that is done will be, a moment later. */
  const takeUpOwed = async (): Promise<void> => {
    const isOfLeft = ({ taskId }: OutboxEntry): boolean => tasks.has(taskId)
    const later = owed.filter(isOfLeft)
    await parts.overdue.takeUp(
      owed.filter((entry) => !isOfLeft(entry)),
      mayGoOn,
    )
    owed = later
  }

  const takeUpAll = async (): Promise<void> => {
    rounds += 1
    // What is recovered owes anew, and sees to that itself. What was told of it while it ran is over if it is closed.
    await takeUpOwed()
    const left = [...tasks.values()].map(({ record }) => record)
    await recoverAll(left, takeUp, mayGoOn)
    await takeUpOwed()
  }

  const round = async (): Promise<void> => {
    try {
      await takeUpAll()
      isFailing = false
    } catch (error) {
      counters.storeErrors += 1
      if (!isFailing) logger.error({ error }, 'what an earlier process left could not be recovered; trying again')
      isFailing = true
    }
    if (isStopped || (tasks.size === 0 && owed.length === 0)) return
    const delayMs = backoffDelayMs(BACKOFF, { failedAttempts: rounds, random01: parts.random01() })
    next = deadlines.idleAfter(delayMs, () => void round(), undefined)
  }

  const whenNoted = (left: Left): Promise<boolean> =>
    isStopped ? Promise.resolve(false) : new Promise((resolve) => void left.waiting.push(resolve))

  return {
    async find(direct) {
      // Whoever owes it, and had he a name: this process is alone with the store.
      owed = await findOverdue(direct, () => true)
      for (const record of await findOrphans(direct, undefined, () => false)) {
        tasks.set(record.taskId, { record, waiting: [] })
      }
      isFound = true
    },

    begin: () => void round(),

    async tasksOf({ owner, runId }) {
      // Any call opens it.
      if (!isFound) await store.lastPosition(owner)
      const isMeant = (record: StoredRecord): boolean =>
        record.owner === owner && (runId === undefined || record.correlation?.runId === runId)
      return [...tasks.values()].map(({ record }) => record).filter(isMeant)
    },

    whenTakenUp(taskId) {
      const left = tasks.get(taskId)
      if (left === undefined) return undefined
      return within({ deadlines, limitMs: PATIENCE_MS }, whenNoted(left), () => false).then((isDone) => {
        if (!isDone)
          throw new TaskError('task_unreachable', 'What an earlier process left is not recovered yet.', { taskId })
      })
    },

    stop() {
      isStopped = true
      next?.disarm()
      for (const { waiting } of tasks.values()) for (const tell of waiting.splice(0)) tell(false)
    },
  }
}
