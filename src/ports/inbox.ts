/** Where messages wait to be read. */
import type { DeadLetter, OwnerMessage, SendReceipt, TaskMessage } from './message.ts'
import type { WaitOptions } from './task-handle.ts'

/**
 * The inbox of a task, in the hands of its code. Each message is read once. Iterating gives messages as they come, and ends
 * by itself when the task is stopped or its code has ended.
 */
export interface TaskInbox extends AsyncIterable<TaskMessage> {
  /** How many messages wait to be read. */
  readonly size: number
  /**
   * The next message, or the first that comes.
   * @throws `wait_timeout`, the reason of `signal`; `task_stopped` when the task is stopped, at once; `task_final` when its
   * code has ended
   */
  receive(options?: WaitOptions): Promise<TaskMessage>
  /** All that wait to be read, the oldest first. Never waits: made for the edges of steps. */
  drain(): readonly TaskMessage[]
}

/** How long a digest may be. */
export interface DigestOptions {
  /** An estimate: four letters of English are one token, any other character is one. @defaultValue 2 000 */
  readonly maxTokens?: number
}

/** What has come since the owner was woken last. */
export interface OwnerNews {
  readonly messages: readonly OwnerMessage[]
  /** All of it as one text for a model. Results and messages of tasks are fenced and marked as data. */
  digest(options?: DigestOptions): string
}

export interface WakeOptions {
  /**
   * How long nothing has to come before the callback is called, in milliseconds. It is called after ten times as long at
   * the latest.
   * @defaultValue 1 000
   */
  readonly quietMs?: number
}

/**
 * The inbox of an owner: the ends of his background tasks, the questions they ask, and what they send him. It is one for
 * all his sessions, and each message is read once. Iterating gives messages as they come, and ends when the supervisor
 * stops.
 */
export interface OwnerInbox extends AsyncIterable<OwnerMessage> {
  /** The next message, or the first that comes. @throws `wait_timeout`, the reason of `signal`, `supervisor_closed` */
  receive(options?: WaitOptions): Promise<OwnerMessage>
  /** All that is there, the oldest first, at most 1 000. */
  drain(): Promise<readonly OwnerMessage[]>
  /**
   * Calls back once for all that has come, when nothing more has come for `quietMs`. What it was called with counts as
   * read when it has returned, or when its promise has resolved; what comes meanwhile waits for the next call. If it throws,
   * all of it stays in the inbox until something new comes. An owner has one callback: a later one takes its place.
   * @returns its undo
   */
  wake(callback: (news: OwnerNews) => void | Promise<void>, options?: WakeOptions): () => void
}

/** What was sent in vain, by the owner and by his tasks. Bounded as an inbox is; the oldest go first. */
export interface DeadLetters {
  /** The oldest first. */
  list(): readonly DeadLetter[]
  /**
   * Sends one again, with its id: to the task it was meant for, or to `to`.
   * @throws as `send`, and it stays a dead letter; `not_allowed` when there is none with this id
   */
  replay(messageId: string, options?: { readonly to?: string }): Promise<SendReceipt>
  /** Drops all, or one of them. Gives how many went. */
  clear(messageId?: string): number
}
