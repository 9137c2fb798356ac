/** Which event the chart gets when a task's own code has ended, or when a child of it has. */
import type { TaskChartEventType, WorkState } from '../vocabulary.ts'
import type { OnChildFailure } from './lineage.ts'

/** The event for the end of a task's own code while no stop has been decided. */
export function decideWorkEnd(end: {
  readonly succeeded: boolean
  readonly ownsLiveChildren: boolean
  /** Another attempt follows. */
  readonly isRetried: boolean
}): TaskChartEventType {
  if (end.succeeded) return end.ownsLiveChildren ? 'work.completedWithChildren' : 'work.completed'
  if (end.ownsLiveChildren) return 'work.failedWithChildren'
  return end.isRetried ? 'work.retry' : 'work.failed'
}

/**
 * The event for a parent one of whose children has ended, or nothing when the parent goes on as it is.
 * In `finishing` only children are awaited; in a stopping state the parent's own code is awaited as well.
 */
export function decideChildEnd(end: {
  readonly work: WorkState
  readonly childFailed: boolean
  readonly onChildFailure: OnChildFailure
  readonly ownsLiveChildren: boolean
  readonly ownCodeEnded: boolean
}): TaskChartEventType | undefined {
  switch (end.work) {
    case 'queued':
    case 'retrying':
      return undefined
    case 'running':
    case 'waiting':
      return end.childFailed && end.onChildFailure === 'fail' ? 'child.failed' : undefined
    case 'finishing':
      if (end.childFailed && end.onChildFailure === 'fail') return 'child.failed'
      return end.ownsLiveChildren ? undefined : 'children.settled'
    case 'failing':
    case 'cancelling':
    case 'timingOut':
    case 'interrupting':
      return end.ownCodeEnded && !end.ownsLiveChildren ? 'teardown.finished' : undefined
  }
}
