/**
 * The inboxes of tasks. Each is made when it is first used.
 *
 * A message goes into the inbox of live code, is read once, or bounces when its task is final: then it is a dead letter
 * of whoever sent it. The log of the task says which.
 *
 * 1. What was accepted is read or bounced: nothing in between.
 * 2. A message is given to one reader, the oldest first. A reader that has left gets none.
 * 3. A stop releases those who wait at once, and so does the end of the code.
 * 4. While code waits here its slot is lent.
 */
import { hasRoom, type InboxLimits } from '../../../machines/policies/inbox.ts'
import { TaskError, TaskStoppedError } from '../../errors.ts'
import { checkWaitOptions } from '../../options.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { TaskInbox } from '../../ports/inbox.ts'
import type { TaskMessage } from '../../ports/message.ts'
import type { WaitOptions } from '../../ports/task-handle.ts'
import type { Journal } from '../journal/journal.ts'
import { rareOf, type LiveTask } from '../live-task.ts'
import type { LiveInbox } from '../task-state.ts'
import { currentCauseOf, hasEnded, isStopping } from '../task-status.ts'
import type { Turns } from '../turns/turns.ts'
import { waitForMessage } from './wait-for-message.ts'

/** A hint for senders who found an inbox full, in milliseconds. */
const RETRY_AFTER_MS = 1_000
/** What an event of a message counts for among the bounded events of a task: about what it takes. */
const EVENT_CHARS = 100

/** A message that is kept, with what it weighs. */
export interface Letter {
  readonly message: TaskMessage
  /** The bytes of its JSON. */
  readonly bytes: number
}

export interface Inboxes {
  /** The inbox as the task's code sees it, until `isOver`: then that code, an earlier attempt's, gets nothing more. */
  of(task: LiveTask, isOver: () => boolean): TaskInbox
  /** @throws `task_final` when its code has ended, `inbox_full` */
  put(task: LiveTask, letter: Letter): void
  /** Releases those who wait, because the code has ended or is stopped. */
  release(task: LiveTask): void
  /** Takes what was not read, because the task is final or never came to be. */
  bounce(task: LiveTask): void
}

/** Its accessor stands on a prototype: V8 keeps those of object literals, and what they know, until a full collection. */
class Sized {
  readonly #size: () => number

  constructor(size: () => number) {
    this.#size = size
  }

  get size(): number {
    return this.#size()
  }
}

export function createInboxes(parts: {
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly turns: Pick<Turns, 'lend' | 'takeBack'>
  readonly limits: InboxLimits
  readonly waitMs: number
  readonly promote: (task: LiveTask) => void
  /** Takes a message that nobody read. */
  readonly takeBounced: (task: LiveTask, letter: Letter) => void
}): Inboxes {
  const { deadlines, journal, turns, limits } = parts

  const noteRead = (task: LiveTask, { messageId, from }: TaskMessage): void =>
    journal.append(task, 'task.message', { messageId, from, state: 'read' }, EVENT_CHARS)

  /** Takes the oldest message out. */
  const take = (task: LiveTask): TaskMessage | undefined => {
    const inbox = task.rare?.inbox
    const letter = inbox?.letters.shift()
    if (inbox === undefined || letter === undefined) return undefined
    inbox.bytes -= letter.bytes
    noteRead(task, letter.message)
    return letter.message
  }

  /** Waits for a message. One of the two is called, once, unless the undo is called before. */
  const wait = (task: LiveTask, give: (message: TaskMessage) => void, refuse: (error: Error) => void): (() => void) => {
    const { readers } = requireInbox(task)
    const lent = turns.lend(task)
    const leave = (): void => {
      if (readers.delete(reader)) turns.takeBack(task, lent)
    }
    const reader: LiveInbox['readers'] extends Set<infer Reader> ? Reader : never = {
      give(message) {
        leave()
        give(message)
      },
      refuse(error) {
        leave()
        refuse(error)
      },
    }
    readers.add(reader)
    return leave
  }

  const receive = async (
    task: LiveTask,
    options: WaitOptions | undefined,
    isOver: () => boolean,
  ): Promise<TaskMessage> => {
    const limits = checkWaitOptions(options, parts.waitMs)
    limits.signal?.throwIfAborted()
    const closed = closedError(task, isOver())
    if (closed !== undefined) throw closed
    return take(task) ?? waitForMessage(deadlines, limits, (give, refuse) => wait(task, give, refuse))
  }

  const iterate = (task: LiveTask, isOver: () => boolean): AsyncIterableIterator<TaskMessage> => {
    const done = { done: true, value: undefined } as const
    let hasLeft = false
    const leaving = new Set<() => void>()
    return {
      next: () =>
        new Promise((resolve) => {
          if (hasLeft || closedError(task, isOver()) !== undefined) return resolve(done)
          const ready = take(task)
          if (ready !== undefined) return resolve({ done: false, value: ready })
          const end = (): void => {
            leave()
            leaving.delete(end)
            resolve(done)
          }
          const leave = wait(
            task,
            (value) => {
              leaving.delete(end)
              resolve({ done: false, value })
            },
            end,
          )
          leaving.add(end)
        }),
      async return() {
        hasLeft = true
        for (const end of leaving) end()
        return done
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  const requireInbox = (task: LiveTask): LiveInbox => {
    const rare = rareOf(task)
    return (rare.inbox ??= { letters: [], bytes: 0, readers: new Set() })
  }

  const faceOf = (task: LiveTask, isOver: () => boolean): TaskInbox => {
    const size = (): number => (isOver() ? 0 : (task.rare?.inbox?.letters.length ?? 0))
    return Object.freeze(
      Object.assign(new Sized(size), {
        receive: (options?: WaitOptions) => receive(task, options, isOver),
        drain() {
          const messages: TaskMessage[] = []
          if (isOver()) return messages
          // Of a task that is final nothing is left: it has bounced.
          for (let message = take(task); message !== undefined; message = take(task)) messages.push(message)
          return messages
        },
        [Symbol.asyncIterator]: () => iterate(task, isOver),
      }),
    )
  }

  return {
    of: faceOf,

    put(task, letter) {
      const { taskId } = task
      if (hasEnded(task)) throw endedError(task)
      const inbox = requireInbox(task)
      const { letters, bytes, readers } = inbox
      if (!hasRoom(limits, { count: letters.length, bytes }, letter.bytes)) {
        throw new TaskError('inbox_full', 'The inbox of the task is full.', { taskId, retryAfterMs: RETRY_AFTER_MS })
      }
      parts.promote(task)
      // A subscriber may have ended it on hearing of that.
      if (hasEnded(task)) throw endedError(task)
      const [reader] = readers
      if (reader === undefined) {
        letters.push(letter)
        inbox.bytes += letter.bytes
        return
      }
      // It has the message before anybody hears that it has.
      reader.give(letter.message)
      noteRead(task, letter.message)
    },

    release(task) {
      const readers = task.rare?.inbox?.readers
      if (readers === undefined || readers.size === 0) return
      const error = closedError(task, false) ?? endedError(task)
      for (const reader of readers) reader.refuse(error)
    },

    bounce(task) {
      const inbox = task.rare?.inbox
      if (inbox === undefined) return
      inbox.bytes = 0
      for (const letter of inbox.letters.splice(0)) {
        const { messageId, from, kind } = letter.message
        // A question is with its task, whoever was told of it.
        if (kind === 'question') continue
        journal.append(task, 'task.message', { messageId, from, state: 'bounced' }, EVENT_CHARS)
        parts.takeBounced(task, letter)
      }
    },
  }
}

/** Why nothing can be waited for any more. */
function closedError(task: LiveTask, isOver: boolean): TaskError | undefined {
  const { taskId } = task
  if (isOver) return new TaskError('not_allowed', 'The attempt is over.', { taskId })
  const cause = currentCauseOf(task)
  if (cause !== undefined && isStopping(task)) return new TaskStoppedError(taskId, cause)
  return hasEnded(task) ? endedError(task) : undefined
}

function endedError({ taskId }: LiveTask): TaskError {
  return new TaskError('task_final', 'The code of the task has ended.', { taskId })
}
