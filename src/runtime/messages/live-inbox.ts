import type { TaskMessage } from '../../ports/message.ts'

/** What waits for a task's code to read it, and the code that waits for more. */
export interface LiveInbox {
  readonly letters: { readonly message: TaskMessage; readonly bytes: number }[]
  /** The sum of the letters'. */
  bytes: number
  readonly readers: Set<{ give(message: TaskMessage): void; refuse(error: Error): void }>
}
