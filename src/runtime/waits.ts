/**
 * Waiting for the end of tasks.
 *
 * 1. A wait listens before it looks, so an end cannot fall in between. While the task lives in this process nobody looks.
 * 2. Giving up, for whatever reason, ends the wait alone and leaves nothing behind.
 * 3. A task's code cannot wait for itself, for a task above it, or for one that waits for it.
 * 4. While a task's code waits, its slot is lent.
 * 5. A store that fails while a wait goes on does not end it: it looks again every `RECONCILE_MS`.
 */
import { onAbort } from '../abort-listeners.ts'
import { mayPass, TaskError, TaskNotFoundError, WaitTimeoutError } from '../errors.ts'
import type { Departure, Hub } from '../events/hub.ts'
import { RECONCILE_MS, type News } from '../events/news.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { dependsOn } from './turns/depends-on.ts'
import type { LiveTask } from './live-task.ts'
import type { Turns } from './turns/turns.ts'

export interface Wait {
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
  /** The task whose code waits, if it is one's. */
  readonly waiter: LiveTask | undefined
}

export interface Waits {
  /** The code of `waiter`, if it is a task's, waits for these tasks until the undo is called. @throws `wait_cycle` */
  enter(tasks: readonly LiveTask[], waiter: LiveTask | undefined): () => void
  /**
   * The ends, as soon as `count` of the tasks have ended.
   * @throws `wait_timeout`, `wait_cycle`, `task_not_found`, or the reason of the signal
   */
  whenEnded(taskIds: readonly string[], count: number, wait: Wait): Promise<EndOfTask[]>
  /** The end of one task, likewise. */
  whenOneEnded(taskId: string, wait: Wait): Promise<EndOfTask>
}

export interface EndOfTask {
  /** Final. */
  readonly record: StoredRecord
  /** Whether the store has it; if not, it did not answer in time. */
  readonly isSaved: boolean
}

interface WaitParts {
  readonly store: TaskStore
  readonly hub: Hub
  readonly news: News
  readonly deadlines: Deadlines
  readonly live: ReadonlyMap<string, LiveTask>
}

/** One wait that goes on. A class, because a host may have very many: each holds what it needs, and no closure it can do without. */
class EndWait {
  readonly parts: WaitParts
  readonly taskIds: readonly string[]
  readonly count: number
  readonly waitMs: number
  readonly onEnds: (ends: EndOfTask[]) => void
  readonly onError: (error: Error) => void
  /** Undone when it is over. */
  readonly undo: (() => void)[] = []
  /** Of those that have ended, while others have not. */
  ended: Map<string, EndOfTask> | undefined
  patience: Moment | undefined
  isOver = false

  constructor(
    parts: WaitParts,
    taskIds: readonly string[],
    count: number,
    { waitMs, signal }: Wait,
    onEnds: (ends: EndOfTask[]) => void,
    onError: (error: Error) => void,
  ) {
    this.parts = parts
    this.taskIds = taskIds
    this.count = count
    this.waitMs = waitMs
    this.onEnds = onEnds
    this.onError = onError
    const { hub, deadlines, live } = parts
    const hear = (departure: Departure): void => this.hear(departure)
    for (const taskId of taskIds) this.undo.push(hub.onDeparture(taskId, hear))
    if (signal !== undefined) this.undo.push(onAbort(signal, (reason) => this.giveUp(reason)))
    if (waitMs !== Infinity) this.patience = deadlines.after(waitMs, runOut, this)
    // A live task will be heard of; the store may not have it yet.
    for (const taskId of taskIds) {
      if (!live.has(taskId)) this.look(taskId, false).catch((error: unknown) => this.giveUp(error))
    }
  }

  hear(departure: Departure): void {
    if (departure.kind === 'ended') this.take(departure.record, departure.isSaved)
    else if (!this.isOver && this.ended?.has(departure.taskId) !== true)
      this.follow(departure.taskId, departure.owner).lookAgain()
  }

  leave(): void {
    this.isOver = true
    this.patience?.disarm()
    for (const off of this.undo) off()
  }

  giveUp(error: unknown): void {
    if (this.isOver) return
    this.leave()
    this.onError(toError(error))
  }

  take(record: StoredRecord, isSaved: boolean): void {
    if (this.isOver) return
    const end = { record, isSaved }
    if (this.count === 1) {
      this.leave()
      return this.onEnds([end])
    }
    const ended = (this.ended ??= new Map<string, EndOfTask>())
    ended.set(record.taskId, end)
    if (ended.size < this.count) return
    this.leave()
    this.onEnds(this.taskIds.flatMap((taskId) => ended.get(taskId) ?? []))
  }

  async look(taskId: string, isFollowed: boolean): Promise<void> {
    const record = await this.parts.store.read(taskId)
    if (record === undefined) this.giveUp(new TaskNotFoundError())
    else if (record.endedAt !== undefined) this.take(record, true)
    else if (!isFollowed && !this.isOver) this.follow(taskId, record.owner)
  }

  /** Another process may run it, now or later. */
  follow(taskId: string, owner: string): Followed {
    const followed = new Followed(this, taskId)
    const leave = this.parts.news.watch(owner, () => followed.lookAgain())
    this.undo.push(() => {
      leave()
      followed.again?.disarm()
    })
    return followed
  }
}

/** A task that a wait looks at again whenever its owner has news. */
class Followed {
  readonly wait: EndWait
  readonly taskId: string
  again: Moment | undefined

  constructor(wait: EndWait, taskId: string) {
    this.wait = wait
    this.taskId = taskId
  }

  isOpen(): boolean {
    const { isOver, ended, parts } = this.wait
    return !isOver && !parts.live.has(this.taskId) && ended?.has(this.taskId) !== true
  }

  lookAgain(): void {
    this.again?.disarm()
    if (this.isOpen()) this.wait.look(this.taskId, true).catch((error: unknown) => this.lookLater(error))
  }

  /** An outage ends no wait. */
  lookLater(error: unknown): void {
    if (!mayPass(error)) return this.wait.giveUp(error)
    if (this.isOpen()) this.again = this.wait.parts.deadlines.after(RECONCILE_MS, lookAgain, this)
  }
}

const lookAgain = (followed: Followed): void => followed.lookAgain()
const runOut = (wait: EndWait): void => wait.giveUp(new WaitTimeoutError(wait.waitMs))

export function createWaits(parts: WaitParts & { readonly turns: Turns }): Waits {
  const { live, turns } = parts

  const enter: Waits['enter'] = (tasks, waiter) => {
    if (waiter === undefined) return () => undefined
    if (tasks.some((task) => dependsOn(task, waiter, turns.waitingForKeysOf))) {
      throw new TaskError('wait_cycle', 'The task would wait for its own end.', { taskId: waiter.taskId })
    }
    for (const task of tasks) (task.awaitedBy ??= new Set()).add(waiter)
    const lent = turns.lend(waiter)
    return () => {
      turns.takeBack(waiter, lent)
      for (const task of tasks) task.awaitedBy?.delete(waiter)
    }
  }

  const begin = (
    taskIds: readonly string[],
    count: number,
    wait: Wait,
    onEnds: (ends: EndOfTask[]) => void,
    onError: (error: Error) => void,
  ): void => {
    const { signal, waiter } = wait
    if (signal?.aborted === true) return onError(toError(signal.reason))
    if (waiter === undefined) return void new EndWait(parts, taskIds, count, wait, onEnds, onError)
    const leave = enter(
      taskIds.flatMap((taskId) => live.get(taskId) ?? []),
      waiter,
    )
    const after =
      <Answer>(answer: (given: Answer) => void) =>
      (given: Answer): void => {
        leave()
        answer(given)
      }
    void new EndWait(parts, taskIds, count, wait, after(onEnds), after(onError))
  }

  return {
    enter,
    whenEnded: (taskIds, count, wait) => new Promise((resolve, reject) => begin(taskIds, count, wait, resolve, reject)),
    whenOneEnded: (taskId, wait) =>
      new Promise((resolve, reject) => begin([taskId], 1, wait, ([end]) => resolve(end as EndOfTask), reject)),
  }
}

function toError(reason: unknown): Error {
  // An abort reason may be anything; what is thrown on is what the caller gave.
  return reason as Error
}
