/** What a call asked for besides its input, checked and complete. Nothing of it changes while the task lives. */
import type { OnBusy } from '../../machines/policies/busy-key.ts'
import type { BudgetRequest } from '../../machines/policies/budget.ts'
import type { Correlation, Lineage } from '../../machines/policies/lineage.ts'
import type { RestartIntensity } from '../../machines/policies/restarts.ts'
import type { StoredPolicy } from '../ports/task-record.ts'
import type { ToolFunction } from '../ports/tool.ts'
import type { CheckedRetry } from '../tool.ts'

/** Calls that ask for the same may share it. */
export interface TaskSpec {
  readonly tool: string
  readonly run: ToolFunction<never, unknown>
  readonly owner: string
  readonly conversation: string | undefined
  readonly origin: string | undefined
  readonly name: string | undefined
  readonly description: string | undefined
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly correlation: Correlation | undefined
  readonly inlineMs: number
  readonly policy: StoredPolicy
  /** Absent when the call says nothing of its attempts: it has one, and fails with it. */
  readonly attempts: AttemptPolicy | undefined
  /** Absent when the task fails with its process. */
  readonly recovery: { readonly maxInterruptions: number } | undefined
  readonly budget: BudgetRequest | undefined
  readonly durable: boolean
  /** Among the queued tasks of its owner, the highest goes first. */
  readonly priority: number
  readonly concurrency: KeyWish | undefined
  readonly dedupe: DedupeWish | undefined
  /** Where the result goes if nobody redirects it. */
  readonly targets: readonly string[]
  readonly hasExplicitTarget: boolean
  /** The task only stands for this one, which runs in another process. */
  readonly shadowOf: string | undefined
  /** The task that has ended and whose call this is once more. */
  readonly retryOf: string | undefined
}

/** What a call says of its attempts, complete. */
export interface AttemptPolicy {
  /** Infinity: as long as the task may run. */
  readonly attemptTimeoutMs: number
  readonly retry: CheckedRetry | undefined
  /** How often the children may be tried again. */
  readonly restarts: RestartIntensity | undefined
  /** Nobody knows whether what a schema made can be copied: all attempts get the same. */
  readonly sharesInput: boolean
}

/** A parent that runs in another process, as its child knows it. */
export interface RemoteParent extends Lineage {
  readonly taskId: string
  /** Of the parent when it adopted the child. */
  readonly epoch: number
}

/** A checked call, before there is a task. */
export interface CheckedCall extends CallSignals {
  readonly spec: TaskSpec
  readonly input: unknown
  /** What was given, of a call that may be made again in another process. */
  readonly inputJson: string | undefined
  /** Given by the host's ledger, or to a parent in another process; `undefined` where nobody has given one. */
  readonly taskId: string | undefined
  /** Its parent, which has adopted it in another process. */
  readonly above: RemoteParent | undefined
}

export interface CallSignals {
  readonly signal: AbortSignal | undefined
  readonly cancelSignal: AbortSignal | undefined
}

/** The concurrency key a task asks for before it starts. */
export interface KeyWish {
  readonly key: string
  readonly onBusy: OnBusy
}

/** The key under which calls with the same tool and input are one task. */
export interface DedupeWish {
  readonly key: string
  /** Tells the tool and the input from others. */
  readonly digest: string
}
