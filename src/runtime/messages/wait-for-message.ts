/** One wait for a message: it ends with the message, with an error, after its time, or with its signal. */
import { onAbort } from '../../abort-listeners.ts'
import { WaitTimeoutError } from '../../errors.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'

export interface WaitLimits {
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

/** Begins to read: calls one of the two, once, unless the undo is called before. */
type BeginRead<Message> = (give: (message: Message) => void, refuse: (error: Error) => void) => () => void

/** @throws `wait_timeout`, the reason of the signal, or what the read refuses with. Nothing is left of a wait that is over. */
export function waitForMessage<Message>(
  deadlines: Deadlines,
  { waitMs, signal }: WaitLimits,
  beginRead: BeginRead<Message>,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    let isOver = false
    let patience: Moment | undefined
    let stopListening = (): void => undefined
    const end = (): void => {
      isOver = true
      patience?.disarm()
      stopListening()
    }
    const leave = beginRead(
      (message) => {
        end()
        resolve(message)
      },
      (error) => {
        end()
        reject(error)
      },
    )
    // A reader that has closed refuses at once.
    if (isOver) return
    const giveUp = (reason: unknown): void => {
      end()
      leave()
      reject(reason as Error)
    }
    stopListening = onAbort(signal, giveUp)
    if (waitMs !== Infinity) patience = deadlines.after(waitMs, () => giveUp(new WaitTimeoutError(waitMs)), undefined)
  })
}
