/** Where a task stands that needs a slot to run. */
export interface Place {
  state: 'queued' | 'held' | 'lent' | 'gone'
  /** Starts the task's code, once that may be started. */
  start: (() => void) | undefined
  /** Takes it out of the queue. */
  leaveQueue: (() => void) | undefined
  /** For how many reasons its slot is lent. */
  reasons: number
  /** It runs although the queue was full: its caller waits for it, however long. */
  readonly isOverdraft: boolean
}
