/**
 * Waiting for the end of tasks.
 *
 * 1. A wait listens before it looks, so an end cannot fall in between.
 * 2. Giving up, for whatever reason, ends the wait alone and leaves nothing behind.
 * 3. A task's code cannot wait for itself, for a task above it, or for one that waits for it.
 * 4. While a task's code waits, its slot is lent.
 * 5. A store that fails while a wait goes on does not end it: it looks again every `RECONCILE_MS`.
 */
import { onAbort } from '../abort-listeners.ts'
import { mayPass, TaskError, TaskNotFoundError, WaitTimeoutError } from '../errors.ts'
import type { Hub } from '../events/hub.ts'
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
}

export interface EndOfTask {
  /** Final. */
  readonly record: StoredRecord
  /** Whether the store has it; if not, it did not answer in time. */
  readonly isSaved: boolean
}

export function createWaits(parts: {
  readonly store: TaskStore
  readonly hub: Hub
  readonly news: News
  readonly deadlines: Deadlines
  readonly live: ReadonlyMap<string, LiveTask>
  readonly turns: Turns
}): Waits {
  const { store, hub, news, deadlines, live, turns } = parts

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

  return {
    enter,

    whenEnded(taskIds, count, { waitMs, signal, waiter }) {
      if (signal?.aborted === true) return Promise.reject(toError(signal.reason))
      const awaited = taskIds.flatMap((taskId) => live.get(taskId) ?? [])
      return new Promise((resolve, reject) => {
        const ended = new Map<string, EndOfTask>()
        const isFollowed = new Set<string>()
        const undo = [enter(awaited, waiter)]
        let isOver = false

        const leave = (): void => {
          isOver = true
          for (const off of undo) off()
        }
        const giveUp = (error: unknown): void => {
          if (isOver) return
          leave()
          reject(toError(error))
        }
        const take = (record: StoredRecord, isSaved: boolean): void => {
          if (isOver) return
          ended.set(record.taskId, { record, isSaved })
          if (ended.size < count) return
          leave()
          resolve(taskIds.flatMap((taskId) => ended.get(taskId) ?? []))
        }
        const look = async (taskId: string): Promise<void> => {
          const record = await store.read(taskId)
          if (record === undefined) giveUp(new TaskNotFoundError())
          else if (record.endedAt !== undefined) take(record, true)
          else if (!isOver && !isFollowed.has(taskId)) follow(taskId, record.owner)
        }
        /** Another process may run it, now or later. */
        const follow = (taskId: string, owner: string): void => {
          isFollowed.add(taskId)
          const isOpen = (): boolean => !isOver && !live.has(taskId) && !ended.has(taskId)
          let again: Moment | undefined
          const lookAgain = (): void => {
            again?.disarm()
            if (isOpen()) look(taskId).catch(lookLater)
          }
          /** An outage ends no wait. */
          const lookLater = (error: unknown): void => {
            if (!mayPass(error)) return giveUp(error)
            if (isOpen()) again = deadlines.after(RECONCILE_MS, lookAgain, undefined)
          }
          undo.push(() => again?.disarm())
          undo.push(news.watch(owner, lookAgain))
        }

        for (const taskId of taskIds) undo.push(hub.onEnd(taskId, take))
        undo.push(onAbort(signal, giveUp))
        if (waitMs !== Infinity) {
          const patience = deadlines.after(waitMs, () => giveUp(new WaitTimeoutError(waitMs)), undefined)
          undo.push(() => patience.disarm())
        }
        // A live task will be heard of; the store may not have it yet.
        for (const taskId of taskIds) {
          const task = live.get(taskId)
          if (task === undefined) look(taskId).catch(giveUp)
          else if (news.isNeeded) follow(taskId, task.spec.owner)
        }
      })
    },
  }
}

function toError(reason: unknown): Error {
  // An abort reason may be anything; what is thrown on is what the caller gave.
  return reason as Error
}
