/** The record of a live task as a store keeps it. */
import type { OpenQuestion, StoredRecord, StoredRecovery, TaskBudget } from '../ports/task-record.ts'
import type { Budget, LiveTask } from './live-task.ts'
import { attemptOf, currentCauseOf, epochOf, hardDeadlineAt, isAttached, statusOf } from './task-status.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

export function toStoredRecord(task: LiveTask, version: number): StoredRecord {
  const { spec } = task
  const record: Mutable<StoredRecord> = {
    taskId: task.taskId,
    tool: spec.tool,
    owner: spec.owner,
    rootId: task.rootId,
    depth: task.depth,
    status: statusOf(task),
    caller: isAttached(task) ? 'attached' : 'detached',
    attempt: attemptOf(task),
    epoch: epochOf(task),
    createdAt: task.createdAt,
    targets: task.targets,
    version,
    lastSeq: task.lastSeq,
    policy: spec.policy,
  }
  if (spec.name !== undefined) record.name = spec.name
  if (spec.description !== undefined) record.description = spec.description
  if (spec.metadata !== undefined) record.metadata = spec.metadata
  if (spec.conversation !== undefined) record.conversation = spec.conversation
  if (spec.origin !== undefined) record.origin = spec.origin
  if (task.correlation !== undefined) record.correlation = task.correlation
  if (task.parentId !== undefined) record.parentId = task.parentId
  if (task.startedAt !== undefined) record.startedAt = task.startedAt
  const questions = openQuestionsOf(task)
  if (questions !== undefined) record.questions = questions
  if (task.endedAt !== undefined) record.endedAt = task.endedAt
  else {
    const dueAt = nextDeadlineOf(task, questions)
    if (dueAt !== Infinity) record.dueAt = dueAt
  }
  const budget = task.rare?.budget
  if (budget?.holder === task) record.budget = toBudgetRecord(budget)
  if (spec.priority !== 0) record.priority = spec.priority
  if (spec.concurrency !== undefined) record.concurrencyKey = spec.concurrency.key
  if (spec.dedupe !== undefined) {
    record.dedupeKey = spec.dedupe.key
    record.inputDigest = spec.dedupe.digest
  }
  if (task.reported?.progress !== undefined) record.progress = task.reported.progress
  if (task.reported?.usage !== undefined) record.usage = task.reported.usage
  const cause = currentCauseOf(task)
  if (cause !== undefined) record.cause = cause
  if (task.failure !== undefined) record.failure = task.failure
  if (task.result !== undefined) {
    if (task.result.isSpilled) record.isSpilled = true
    else record.resultJson = task.result.json
    record.resultBytes = task.result.bytes
    if (task.result.isCut) record.truncated = true
  }
  if (task.abandoned) record.abandoned = true
  if (spec.retryOf !== undefined) record.retryOf = spec.retryOf
  const node = task.log?.node
  if (node !== undefined) record.node = node
  if (spec.recovery !== undefined) record.recovery = toStoredRecovery(task, spec.recovery.maxInterruptions)
  return Object.freeze(record)
}

/** What the task waits for, oldest first. */
export function openQuestionsOf(task: LiveTask): readonly OpenQuestion[] | undefined {
  const open = task.rare?.questions?.open
  if (open === undefined || open.size === 0) return undefined
  return Object.freeze(Array.from(open.values(), ({ shown }) => shown))
}

/** The moment of the next deadline of all, `Infinity` when there is none. */
function nextDeadlineOf(task: LiveTask, questions: readonly OpenQuestion[] | undefined): number {
  const { createdAt, startedAt, attempts, spec } = task
  if (startedAt === undefined) return createdAt + (spec.policy.queueMs ?? Infinity)
  if (questions !== undefined) return Math.min(...questions.map(({ answerBy }) => answerBy))
  return attempts === undefined ? hardDeadlineAt(task, startedAt) : attempts.dueAt
}

function toStoredRecovery(task: LiveTask, maxInterruptions: number): StoredRecovery {
  const { startedAt, endedAt, rare, spec } = task
  const recovery: Mutable<StoredRecovery> = {
    interruptions: rare?.recovery?.interruptions ?? 0,
    maxInterruptions,
  }
  if (endedAt !== undefined) return recovery
  if (spec.budget !== undefined) recovery.budgetReserve = spec.budget.reserve
  const hardAt = startedAt === undefined ? Infinity : hardDeadlineAt(task, startedAt)
  if (hardAt !== Infinity) recovery.hardAt = hardAt
  else if (spec.policy.timeoutMs !== Infinity) recovery.leftMs = rare?.stood?.leftMs ?? spec.policy.timeoutMs
  return recovery
}

function toBudgetRecord({ granted, spent }: Budget): TaskBudget {
  const finite: Mutable<TaskBudget['granted']> = {}
  if (granted.tokens !== Infinity) finite.tokens = granted.tokens
  if (granted.cost !== Infinity) finite.cost = granted.cost
  if (granted.spawns !== Infinity) finite.spawns = granted.spawns
  return Object.freeze({ granted: Object.freeze(finite), spent: Object.freeze({ ...spent }) })
}
