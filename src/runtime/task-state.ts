/** What changes while a task lives, as far as it names no other task. */
import type { FreshEvent } from '../../machines/policies/retention.ts'
import type { StopCause, TaskChartEventType } from '../../machines/vocabulary.ts'
import type { Moment } from '../ports/deadlines.ts'
import type { TaskMessage } from '../ports/message.ts'
import type { StoredEvent } from '../ports/task-event.ts'
import type { OpenQuestion, TaskProgress, TaskUsage } from '../ports/task-record.ts'

/** How a task's code ended. */
export type CodeOutcome = { readonly value: unknown } | { readonly thrown: unknown }

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

/** Hears whether the store has granted a claim; if not, who holds it, where that is known. */
export type OnClaim = (isGranted: boolean, holderId?: string) => void

/** What a task's code has said besides its outcome. */
export interface Reported {
  /** Events of an ephemeral call, kept in case it is promoted. */
  draft: StoredEvent[] | undefined
  fresh: { events: FreshEvent[]; chars: number } | undefined
  progress: TaskProgress | undefined
  progressPacing: { lastAtMs: number; held: TaskProgress | undefined; flush: Moment | undefined } | undefined
  usage: TaskUsage | undefined
}

/** What waits for a task's code to read it, and the code that waits for more. */
export interface LiveInbox {
  readonly letters: { readonly message: TaskMessage; readonly bytes: number }[]
  /** The sum of the letters'. */
  bytes: number
  readonly readers: Set<{ give(message: TaskMessage): void; refuse(error: Error): void }>
}

/** What is known of a task that may run again when its process is gone. */
export interface LiveRecovery {
  /** What it was called with, until that is on its way to the store. */
  inputJson: string | undefined
  readonly interruptions: number
  /** How much its epoch is ahead of its attempt. */
  readonly epochsAhead: number
  /** Questions that were open when its process was lost, with what was shown of them. */
  readonly carried: Map<string, OpenQuestion>
  /** It has not had its turn to run in this process. */
  needsTurn: boolean
}
