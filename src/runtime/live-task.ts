/**
 * One live task as the runtime holds it: the data beside its chart. Plain fields, all set at birth, because a host may
 * hold a hundred thousand of these. What the call asked for is in `task-spec`, where the task stands is read by `task-status`.
 *
 * 1. `log` is absent while the call is ephemeral and never goes away again once it is there.
 * 2. `stop` is set when a stop is accepted, `cause` when it is signalled; neither is ever replaced.
 * 3. After the chart is final nothing but the journal touches the task.
 * 4. `failure`, `thrown`, `value`, `result` and `controller` are those of the last attempt.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { ActorRefFrom } from 'xstate'
import type { BudgetAmounts, BudgetGrant } from '../../machines/policies/budget.ts'
import type { Correlation } from '../../machines/policies/lineage.ts'
import type { QuestionState } from '../../machines/policies/questions.ts'
import type { ExhaustedLimit } from '../../machines/policies/retry.ts'
import type { TaskMachine } from '../../machines/task.machine.ts'
import type { CallerState, FinalStatus, StopCause, TaskFailure } from '../../machines/vocabulary.ts'
import type { Moment } from '../ports/deadlines.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { StoredEvent } from '../ports/task-event.ts'
import type { RunOutcome } from '../ports/task-handle.ts'
import type { OpenQuestion, StoredRecord } from '../ports/task-record.ts'
import type { Attachment, Claim, CommitReply } from '../ports/task-store.ts'
import type { TaskSpec } from './task-spec.ts'
import type { CodeOutcome, LiveInbox, LiveRecovery, OnClaim, Place, Reported, Stop } from './task-state.ts'
import type { KeptResult } from './values/cut-result.ts'

/** A place in the index of live tasks: an owner, or a task. */
export interface TreeNode {
  readonly kind: 'owner' | 'task'
  firstChild: LiveTask | undefined
  childCount: number
}

/** An owner with its live root tasks below it. */
export interface OwnerNode extends TreeNode {
  readonly kind: 'owner'
  readonly owner: string
}

/** What one task and everything below it may spend. Tasks below that have none of their own share it. */
export interface Budget {
  readonly holder: LiveTask
  /** What it draws on as well. */
  readonly above: Budget | undefined
  readonly granted: BudgetGrant
  spent: BudgetAmounts
}

/** One call of the code of a task that has attempts. */
export interface Attempt {
  readonly kind: 'attempt'
  readonly task: LiveTask
  /** From 1. */
  readonly number: number
  /** Nothing it does counts any more. */
  isOver: boolean
  /** Why its code was told to stop, if only the attempt was. */
  cause: StopCause | undefined
  /** Its signal, once it is over and if anybody has read that. */
  controller: AbortController | undefined
}

/** What is known of the attempts of a task. */
export interface TaskAttempts {
  current: Attempt
  firstStartedAtMs: number
  /** What is left of the time of the current attempt, while that stands still. */
  leftMs: number
  /** The limit of the attempt, the end of its grace, or the start of the next one: whatever comes next. */
  moment: Moment | undefined
  /** What the record says is due next; Infinity when nothing is. */
  dueAt: number
  /** When the next attempt is due, once one is decided on and the last is not over yet. */
  nextAtMs: number | undefined
  /** Code of the current attempt that has not settled is let go. */
  isGraceOver: boolean
  /** Why there is no further attempt. */
  exhausted: ExhaustedLimit | undefined
  /** Begins the next attempt, in the async context of the call. */
  readonly beginNext: (() => void) | undefined
  /** When its children were tried again, as far back as that counts. */
  restartsAtMs: readonly number[]
}

/** Somebody who awaits the call inline. */
export interface Caller {
  readonly task: LiveTask
  readonly resolve: (outcome: RunOutcome<unknown>) => void
  readonly reject: (error: unknown) => void
  /** The moment the caller stops waiting and takes a ticket. */
  patience: Moment | undefined
  /** Its ticket is on the way. */
  isLeaving: boolean
  next: Caller | undefined
}

/** Writing a task of record: what is numbered, what is on its way, what is known to be kept. */
export interface TaskLog {
  /** Who runs the task, where several processes have the store. */
  readonly node: string | undefined
  version: number
  isInFlight: boolean
  /** The start is pending, for a moment: an end that comes now goes with it. */
  isStarting: boolean
  /** What the next commit will hold; absent rather than empty. */
  pending: StoredEvent[] | undefined
  outbox: readonly OutboxEntry[]
  claims: readonly Claim[]
  attachments: readonly Attachment[]
  /** Told whether the store has granted the `concurrency` claim on its way. Without it, a claim that is taken is the
   * end of the task. */
  onClaim: OnClaim | undefined
  /** Why the store will not have this task any more. */
  refusal: Exclude<CommitReply, { kind: 'committed' }> | undefined
  trimTo: number
  committed: StoredRecord | undefined
  committedSeq: number
  /** Tasks below whose ends are not kept yet: until they are, the end of this one is not written. */
  heldBy: number
  /** Tasks above that this one holds. */
  holds: readonly LiveTask[]
  waiting: { readonly seq: number; readonly onKnown: (isSaved: boolean) => void; patience: Moment | undefined }[]
}

/** A question that waits for its answer. */
export interface LiveQuestion {
  readonly task: LiveTask
  /** What others see of it. */
  readonly shown: OpenQuestion
  readonly schema: StandardSchemaV1 | undefined
  /** What is taken when its time is over. */
  readonly fallback: { readonly value: unknown } | undefined
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
  patience: Moment | undefined
  /** The code of the parent was told, and the owner was not. */
  isForParent: boolean
  /** Those who have answered and whose answers are being checked: each is refused when the question closes. */
  readonly checking: Set<(error: Error) => void>
}

/** What a task's code has asked. */
export interface Questions {
  readonly open: Map<string, LiveQuestion>
  /** What became of each, by its key. A key stays here for good. */
  readonly states: Map<string, QuestionState>
}

/** What few tasks ever need. */
export interface Rare {
  /** Its running time has stood still: how much of it is left, and since when it goes on again. */
  stood: { readonly leftMs: number; wentOnAt: number | undefined } | undefined
  questions: Questions | undefined
  /** What it draws on: its own budget, or the nearest above. */
  budget: Budget | undefined
  inbox: LiveInbox | undefined
  recovery: LiveRecovery | undefined
}

export interface LiveTask extends TreeNode {
  readonly kind: 'task'
  readonly taskId: string
  readonly spec: TaskSpec
  /** A copy of what the caller gave; let go with the end of the code, or of the task when that may be tried again. */
  input: unknown
  readonly parentId: string | undefined
  readonly rootId: string
  readonly depth: number
  readonly correlation: Correlation | undefined
  readonly createdAt: number

  /** The task's chart; absent until the store has admitted a task of record. */
  actor: ActorRefFrom<TaskMachine> | undefined
  /** Set when the chart is final; the actor is let go then. */
  finalStatus: FinalStatus | undefined
  /** The caller region before the last order to the chart: how the task ended for its caller once it is final. */
  lastCaller: CallerState

  /** Where the task hangs while it lives: below its parent, or below its owner when it is a root or detached. */
  above: TreeNode
  nextSibling: LiveTask | undefined
  previousSibling: LiveTask | undefined

  startedAt: number | undefined
  endedAt: number | undefined
  /** The limit of its time in the queue, and then of its running time while that goes on. */
  deadline: Moment | undefined
  /** Its slot or its place in the queue, where their number is limited. */
  place: Place | undefined
  /** Made with the first attempt, for tasks whose spec says something of them. */
  attempts: TaskAttempts | undefined
  callers: Caller | undefined
  controller: AbortController | undefined
  stop: Stop | undefined
  cause: StopCause | undefined
  failure: TaskFailure | undefined
  /** What the code threw, as it is, for a caller who is still attached. */
  thrown: unknown
  /** What the code returned, as it is, for a caller who is still attached. */
  value: unknown
  /** What is kept of `value`, or of what stopped code returned. */
  result: KeptResult | undefined
  /** How its code ended, while that waits for its turn. */
  outcome: CodeOutcome | undefined
  ownCodeEnded: boolean
  abandoned: boolean
  targets: readonly string[]
  /** Somebody named the target, so the result goes there and never inline. */
  hasExplicitTarget: boolean

  lastSeq: number
  log: TaskLog | undefined
  /** Made when its code first says something. */
  reported: Reported | undefined
  /** Made when the first of it is needed. */
  rare: Rare | undefined
  /** Tasks whose code waits for the end of this one. */
  awaitedBy: Set<LiveTask> | undefined
  /** Called once the task is final and its end is public. */
  endListeners: (() => void)[] | undefined
}

export interface Birth {
  readonly taskId: string
  readonly spec: TaskSpec
  readonly input: unknown
  readonly above: TreeNode
  readonly parentId: string | undefined
  readonly rootId: string
  readonly depth: number
  readonly correlation: Correlation | undefined
  readonly createdAt: number
  readonly caller: CallerState
}

export function createLiveTask(birth: Birth): LiveTask {
  return {
    kind: 'task',
    taskId: birth.taskId,
    spec: birth.spec,
    input: birth.input,
    parentId: birth.parentId,
    rootId: birth.rootId,
    depth: birth.depth,
    correlation: birth.correlation,
    createdAt: birth.createdAt,
    actor: undefined,
    finalStatus: undefined,
    lastCaller: birth.caller,
    above: birth.above,
    firstChild: undefined,
    childCount: 0,
    nextSibling: undefined,
    previousSibling: undefined,
    startedAt: undefined,
    endedAt: undefined,
    deadline: undefined,
    place: undefined,
    attempts: undefined,
    callers: undefined,
    controller: undefined,
    stop: undefined,
    cause: undefined,
    failure: undefined,
    thrown: undefined,
    value: undefined,
    result: undefined,
    outcome: undefined,
    ownCodeEnded: false,
    abandoned: false,
    targets: birth.spec.targets,
    hasExplicitTarget: birth.spec.hasExplicitTarget,
    lastSeq: 0,
    log: undefined,
    reported: undefined,
    rare: undefined,
    awaitedBy: undefined,
    endListeners: undefined,
  }
}

/**
 * Forgets what a task got late in its life, once its end is kept and public. A task that has lived for long lies among the old
 * things of the heap, and until those are collected a young collection keeps, and copies, whatever they point to.
 */
export function letGoOf(task: LiveTask): void {
  task.failure = undefined
  task.thrown = undefined
  task.value = undefined
  task.result = undefined
  if (task.log !== undefined) task.log.committed = undefined
}

export function reportedOf(task: LiveTask): Reported {
  return (task.reported ??= {
    draft: undefined,
    fresh: undefined,
    progress: undefined,
    progressPacing: undefined,
    usage: undefined,
  })
}

export function rareOf(task: LiveTask): Rare {
  return (task.rare ??= {
    stood: undefined,
    questions: undefined,
    inbox: undefined,
    budget: undefined,
    recovery: undefined,
  })
}
