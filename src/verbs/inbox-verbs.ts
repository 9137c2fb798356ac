/** What a session can do with messages: its owner's inbox, dead letters, and waiting until nothing runs. */
import { TaskError } from '../errors.ts'
import { checkDuration, checkFunction, checkOptionNames, checkText, checkWaitOptions } from '../options.ts'
import type { DeadLetters, OwnerInbox } from '../ports/inbox.ts'
import type { DeadLetter, OwnerMessage } from '../ports/message.ts'
import type { Session } from '../ports/session.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import type { TaskRuntime } from '../runtime/task-runtime.ts'
import { refuseEnded } from './steering.ts'
import type { TaskPlaces } from '../task-places.ts'

const QUIET_MS = 1_000
const MAX_ID_CHARS = 512

export interface InboxVerbParts {
  readonly runtime: TaskRuntime
  readonly owner: string
  readonly waitMs: number
  readonly places: TaskPlaces
  readonly runningTask: () => LiveTask | undefined
}

export function createInboxVerbs(parts: InboxVerbParts): Pick<Session, 'inbox' | 'deadLetters' | 'whenIdle'> {
  const { runtime, owner, places, runningTask } = parts
  const { desks, messages, ownerInboxes } = runtime

  const iterate = (): AsyncIterableIterator<OwnerMessage> => {
    const done = { done: true, value: undefined } as const
    const ends = new Set<() => void>()
    let isOver = false
    return {
      next: () =>
        new Promise((resolve) => {
          if (isOver) return resolve(done)
          let leave = (): void => undefined
          const end = (): void => {
            leave()
            ends.delete(end)
            resolve(done)
          }
          ends.add(end)
          leave = ownerInboxes.read(
            owner,
            (value) => {
              ends.delete(end)
              resolve({ done: false, value })
            },
            end,
          )
        }),
      async return() {
        isOver = true
        for (const end of ends) end()
        return done
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  const findDead = (messageId: string): DeadLetter => {
    const found = desks.find(owner)?.dead.items.find(({ item }) => item.messageId === messageId)
    if (found === undefined) throw new TaskError('not_allowed', 'There is no dead letter with this id.')
    return found.item
  }

  const inbox: OwnerInbox = Object.freeze({
    receive: async (options?: unknown) => {
      const wait = checkWaitOptions(options, parts.waitMs)
      return ownerInboxes.receive(owner, { waiter: runningTask(), ...wait })
    },
    drain: () => ownerInboxes.drain(owner),
    wake: (callback: Parameters<OwnerInbox['wake']>[0], options?: unknown) => {
      const { quietMs } = checkOptionNames('options', options, ['quietMs'])
      const quiet = quietMs === undefined ? QUIET_MS : checkDuration('quietMs', quietMs)
      return ownerInboxes.wake(owner, checkFunction('callback', callback), quiet)
    },
    [Symbol.asyncIterator]: iterate,
  })

  const deadLetters: DeadLetters = Object.freeze({
    list: () => desks.find(owner)?.dead.items.map(({ item }) => item) ?? [],
    replay: async (messageId: string, options?: unknown) => {
      const { to } = checkOptionNames('options', options, ['to'])
      const letter = findDead(checkText('messageId', messageId, MAX_ID_CHARS))
      const taskId = to === undefined ? letter.taskId : checkText('to', to, MAX_ID_CHARS)
      return places.act(taskId, {
        here: (live) => messages.replay(owner, messageId, live),
        elsewhere: () => {
          throw new TaskError('not_allowed', 'The task runs in another process: send the message anew.', { taskId })
        },
        ended: refuseEnded,
      })
    },
    clear(messageId?: string) {
      const desk = desks.find(owner)
      const checked = messageId === undefined ? undefined : checkText('messageId', messageId, MAX_ID_CHARS)
      return desk === undefined ? 0 : desks.unbury(desk, checked).length
    },
  })

  return {
    inbox,
    deadLetters,

    async whenIdle(options) {
      const wait = checkWaitOptions(options, parts.waitMs)
      await runtime.whenIdle(owner, { waiter: runningTask(), ...wait })
    },
  }
}
