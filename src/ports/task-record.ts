/** What is known of a task: the state beside the log of its events. */
import type { Correlation, OnChildFailure, OnParentEnd } from '../../machines/policies/lineage.ts'
import type { CallerState, StopCause, TaskFailure, TaskStatus } from '../../machines/vocabulary.ts'

/** How far the task is, as it last said. */
export interface TaskProgress {
  /** Between 0 and 1; absent when the total is unknown. */
  readonly fraction?: number
  readonly done?: number
  readonly total?: number
  readonly note?: string
}

/** What the task has used, summed over all its reports. */
export interface TaskUsage {
  readonly tokens: number
  readonly cost: number
}

/** A question of a task that waits for its answer. */
export interface OpenQuestion {
  /** What an answer names. Never used twice in one task. */
  readonly key: string
  /** A text, or anything else that is JSON. */
  readonly question: unknown
  readonly askedAt: number
  /** The moment at which its time is over. */
  readonly answerBy: number
  /** Whether an answer is taken by itself then. */
  readonly hasDefault: boolean
  /** What an answer has to look like, as JSON Schema, where that is known. */
  readonly schema?: Readonly<Record<string, unknown>>
}

/** What a task and everything below it was granted, and what all of it has spent. */
export interface TaskBudget {
  /** Absent where nothing is limited. */
  readonly granted: { readonly tokens?: number; readonly cost?: number; readonly spawns?: number }
  readonly spent: { readonly tokens: number; readonly cost: number; readonly spawns: number }
}

/** How a store keeps what it was given: in memory, past the end of the process, past a loss of power. */
export type Durability = 'memory' | 'process' | 'power'

/** A copy of what is known of one task. */
export interface TaskRecord {
  readonly taskId: string
  /** The name of the tool. */
  readonly tool: string
  readonly name?: string
  readonly description?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly owner: string
  readonly conversation?: string
  readonly origin?: string
  readonly correlation?: Correlation
  readonly parentId?: string
  readonly rootId: string
  /** 0 for a root. */
  readonly depth: number
  readonly status: TaskStatus
  readonly caller: CallerState
  /** The last attempt that has begun, from 1. */
  readonly attempt: number
  readonly epoch: number
  /** Epoch milliseconds, as all moments here. */
  readonly createdAt: number
  /** Set once the tool's code was called. */
  readonly startedAt?: number
  /** Set once the status is final. */
  readonly endedAt?: number
  /** The moment of the next deadline, while there is one; of the next attempt while the status is `retrying`. */
  readonly dueAt?: number
  /** What the task waits for, oldest first; absent when nothing is open. */
  readonly questions?: readonly OpenQuestion[]
  readonly progress?: TaskProgress
  readonly usage?: TaskUsage
  /** Of a task that was given a budget. What is spent is that of the last event of this task; at its end it is all. */
  readonly budget?: TaskBudget
  /** Set from the moment a stop was signalled; gone again if only an attempt was stopped. */
  readonly cause?: StopCause
  /** Set when the status is `failed`; before that, why the last attempt has failed, until the next one begins. */
  readonly failure?: TaskFailure
  /** What the code returned although it had been stopped. */
  readonly partial?: unknown
  /** The size of the kept result, or of the partial one, in bytes of JSON; absent when there is none. */
  readonly resultBytes?: number
  /** That result is the beginning of a longer text: `retention.oversizeResult` is `'truncate'`. */
  readonly truncated?: boolean
  /** The code ignored its signal and was let go; it may still be running. */
  readonly abandoned?: boolean
  /** The task that had ended, and that was called once more as this one. */
  readonly retryOf?: string
  /** Set when the call had one that is not 0. */
  readonly priority?: number
  readonly concurrencyKey?: string
  readonly dedupeKey?: string
  /** Where the result goes, or went. */
  readonly targets: readonly string[]
  /** Whether the store that has this record keeps it past the end of the process. */
  readonly persisted: boolean
}

/** The record as a store keeps it: plain JSON, frozen. */
export interface StoredRecord extends Omit<TaskRecord, 'persisted' | 'partial'> {
  /** Rises with each commit, from 1. */
  readonly version: number
  /** The sequence number of the last event. */
  readonly lastSeq: number
  /** Who runs it, or ran it at its end; absent where one process at a time has the store. */
  readonly node?: string
  /** The result or the partial result, as JSON; absent when there is no value, or when it is attached. */
  readonly resultJson?: string
  /** The result is attached: it is larger than a record may be. */
  readonly isSpilled?: boolean
  /** Of a call with a dedupe key: tells its tool and input from others. */
  readonly inputDigest?: string
  readonly policy: StoredPolicy
  /** Of a task that may run again when its process is gone. */
  readonly recovery?: StoredRecovery
}

export interface StoredRecovery {
  /** How often its process was lost while its code ran. */
  readonly interruptions: number
  readonly maxInterruptions: number
  /** The moment of its hard deadline, while its running time goes on. */
  readonly hardAt?: number
  /** What is left of its running time while that stands still, in milliseconds. */
  readonly leftMs?: number
  /** The part of its budget that is kept for handing back. */
  readonly budgetReserve?: number
}

export interface StoredPolicy {
  readonly timeoutMs: number
  /** Absent: without limit. */
  readonly queueMs?: number
  readonly onParentEnd: OnParentEnd
  readonly onChildFailure: OnChildFailure
}
