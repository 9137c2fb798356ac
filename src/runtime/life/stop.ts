import type { StopCause, TaskChartEventType } from '../../../machines/vocabulary.ts'
import type { Moment } from '../../ports/deadlines.ts'

/** A stop as one of its tasks has it. Its roots share one of these, and all tasks below them another. */
export interface Stop {
  readonly isRoot: boolean
  readonly ofTrees: StopOfTrees
}

/** An accepted stop of one or more trees. */
export interface StopOfTrees {
  readonly cause: StopCause
  /** What the charts of the roots are told; everything below is cancelled. */
  readonly rootEvent: TaskChartEventType
  /** Work that has not settled is let go from now on. */
  isGraceOver: boolean
  /** Tasks it reached that still live. */
  liveCount: number
  /** The cause of the child that was signalled last: its siblings, which follow, share it. */
  causeBelow: StopCause | undefined
  grace: Moment | undefined
  abandonedCount: number
}
