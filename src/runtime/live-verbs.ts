/** What is done to tasks that live here. Whoever asks was allowed to: no owner is checked. */
import type { StopCause } from '../../machines/vocabulary.ts'
import { ParentStoppingError } from '../errors.ts'
import { checkKey } from '../options.ts'
import type { CancelReport, Ticket } from '../ports/task-handle.ts'
import type { Callers } from './callers.ts'
import type { Journal } from './journal/journal.ts'
import type { Stopping } from './life/stopping.ts'
import { onEnd } from './end-listeners.ts'
import type { LiveTask } from './live-task.ts'
import type { SendToChart } from './send-to-chart.ts'
import { isAttached, statusOf } from './task-status.ts'
import type { Keys } from './turns/keys.ts'

export interface LiveVerbs {
  /** Makes an ephemeral call one of record. */
  promote(task: LiveTask): void
  /** @throws `key_busy`, `key_held_by_ancestor`, `parent_stopping` */
  holdKey(task: LiveTask, key: string): Promise<void>
  /** `from`: the task whose code asks. Inside what it cancels, it hears of the signals only, not of its own end. */
  cancel(roots: readonly LiveTask[], cause: StopCause, from: LiveTask | undefined): Promise<CancelReport>
  /** Resolves once all of them are final and their ends are public. */
  whenAllEnded(tasks: readonly LiveTask[]): Promise<void>
  background(task: LiveTask): Promise<Ticket>
  redirect(task: LiveTask, target: string): Promise<void>
}

export function createLiveVerbs(parts: {
  readonly live: ReadonlyMap<string, LiveTask>
  readonly journal: Journal
  readonly keys: Keys
  readonly callers: Callers
  readonly stopping: Stopping
  readonly send: SendToChart
}): LiveVerbs {
  const { live, journal, keys, callers, stopping, send } = parts

  const promote = (task: LiveTask): void => {
    if (task.log !== undefined) return
    journal.promote(task)
    journal.save(task)
  }

  const holdKey = async (task: LiveTask, key: string): Promise<void> => {
    checkKey('key', key)
    if (task.finalStatus !== undefined) throw new ParentStoppingError(task.taskId)
    promote(task)
    await keys.hold(task, key)
  }

  const whenAllEnded = (tasks: readonly LiveTask[]): Promise<void> =>
    new Promise((resolve) => {
      let index = 0
      /** One after the other: when all have ended, each of them has, in whatever order. */
      const waitForNext = (): void => {
        for (; index < tasks.length; index += 1) {
          const task = tasks[index]
          if (task === undefined || !live.has(task.taskId)) continue
          onEnd(task, waitForNext)
          return
        }
        resolve()
      }
      waitForNext()
    })

  const cancel = async (
    roots: readonly LiveTask[],
    cause: StopCause,
    from: LiveTask | undefined,
  ): Promise<CancelReport> => {
    const accepted = stopping.accept({ roots, cause, rootEvent: 'task.cancel' })
    const { members } = accepted
    if (from !== undefined && members.includes(from)) {
      await new Promise<void>((done) => accepted.whenSignalled(done))
      // It goes on among tasks that are stopping, and what it reads of them says so.
      for (const member of members) journal.save(member)
    } else await whenAllEnded(roots)
    return {
      count: members.length,
      tasks: members.map((task) => ({
        taskId: task.spec.shadowOf ?? task.taskId,
        status: task.finalStatus ?? statusOf(task),
      })),
    }
  }

  const background = (task: LiveTask): Promise<Ticket> =>
    new Promise((resolve) => {
      callers.detach(task, 'request')
      callers.whenTicket(task, resolve)
    })

  const redirect = (task: LiveTask, target: string): Promise<void> =>
    new Promise((resolve) => {
      task.targets = Object.freeze([target])
      task.hasExplicitTarget = true
      if (isAttached(task)) callers.detach(task, 'redirect')
      else send(task, 'task.redirect')
      journal.append(task, 'task.redirected', { target })
      journal.whenKnown(task, () => resolve())
    })

  return { promote, holdKey, cancel, whenAllEnded, background, redirect }
}
