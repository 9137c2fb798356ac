/**
 * What a channel rejects with when it knows why a message was not taken.
 *
 * @example
 * ```ts
 * import { ChannelError, createTaskSupervisor } from 'outlive'
 *
 * const full = {
 *   send: () => {
 *     throw new ChannelError('retry', 'the mailbox is full', { retryAfterMs: 60_000 })
 *   },
 * }
 * const tasks = createTaskSupervisor({ channels: { full } })
 * await tasks.shutdown()
 * ```
 */
export class ChannelError extends Error {
  /**
   * `retry`: it may be taken later. `refused`: it never will be. `gone`: nothing sent to this target ever will be.
   */
  readonly kind: 'retry' | 'refused' | 'gone'
  /** When to try again, as the receiver says, in milliseconds from now. */
  readonly retryAfterMs?: number
  /** The status of the answer, where the channel speaks HTTP. */
  readonly status?: number

  constructor(
    kind: ChannelError['kind'],
    message: string,
    fields: { readonly retryAfterMs?: number; readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'ChannelError'
    this.kind = kind
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs
    if (fields.status !== undefined) this.status = fields.status
  }
}
