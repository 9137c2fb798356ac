/** What tasks and their owner say to each other. */
import type { OpenQuestion, TaskRecord } from './task-record.ts'

/** Who sent a message: the owner, from outside, or the code of one of his tasks. */
export interface MessageSender {
  readonly kind: 'owner' | 'task'
  /** Set for a task. */
  readonly taskId?: string
  /** The name of that task, if it has one. */
  readonly name?: string
}

interface Delivered {
  /** The same for as long as the message exists, in whatever hands. */
  readonly messageId: string
  readonly from: MessageSender
  readonly at: number
}

/** What somebody sent: JSON, frozen. */
export interface SentMessage extends Delivered {
  readonly kind: 'message'
  readonly payload: unknown
}

/** A task asks. Answer it with `ctx.answer` or `session.answer`, and the id of the task in `from`. */
export interface QuestionMessage extends Delivered {
  readonly kind: 'question'
  readonly payload: Pick<OpenQuestion, 'key' | 'question' | 'answerBy' | 'schema'>
}

/** A background task has ended. */
export interface EndMessage extends Delivered {
  readonly kind: 'end'
  readonly payload: {
    readonly record: TaskRecord
    /** The result of a task that has completed. */
    readonly value?: unknown
  }
}

/** What a task finds in its inbox. */
export type TaskMessage = SentMessage | QuestionMessage
/** What an owner finds in his. */
export type OwnerMessage = TaskMessage | EndMessage

/** What a sender knows: the message is in an inbox. */
export interface SendReceipt {
  readonly messageId: string
}

/**
 * Whom a task writes to, inside its own tree: its parent, a child by its name or id, or another child of its parent. The
 * parent of a root is the owner.
 */
export type Recipient = 'parent' | 'owner' | (string & {}) | { readonly sibling: string }

/** A message that nobody read, because its task ended before. */
export interface DeadLetter {
  readonly messageId: string
  /** The task it was sent to. */
  readonly taskId: string
  readonly from: MessageSender
  readonly at: number
  readonly payload: unknown
  readonly bouncedAt: number
}
