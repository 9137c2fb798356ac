/**
 * The birth of tasks: who may be born, below whom, and what the store has to say first.
 *
 * 1. A refused task leaves nothing behind: no actor, no place in the tree, no claim.
 * 2. A task of record is in the store before it has an actor.
 */
import { decideAdmission, type AdmissionRefusal } from '../../machines/policies/admission.ts'
import { decideBusyKey } from '../../machines/policies/busy-key.ts'
import { decideLineage } from '../../machines/policies/lineage.ts'
import type { CallerState } from '../../machines/vocabulary.ts'
import { ParentStoppingError, TaskError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { Clock } from '../ports/clock.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { Claim } from '../ports/task-store.ts'
import type { Journal } from './journal/journal.ts'
import type { Keys } from './turns/keys.ts'
import { budgetExceeded, findShortBudget, type Budgets } from './budgets.ts'
import { createLiveTask, rareOf, type LiveTask } from './live-task.ts'
import type { CallSignals, CheckedCall, TaskSpec } from './task-spec.ts'
import { statusOf } from './task-status.ts'
import type { SupervisorActor } from './supervisor-actor.ts'
import type { TreeIndex } from './tree-index.ts'
import type { Turns } from './turns/turns.ts'

/** A hint for callers who were refused for want of room, in milliseconds. */
const RETRY_AFTER_MS = 1_000
const NO_CLAIMS: readonly Claim[] = Object.freeze([])

export interface AdmissionAnswers {
  onAdmitted(): void
  onTwin(taskId: string): void
  onRefused(error: TaskError): void
}

export interface Admission {
  /** Gives the task its place. Nothing has started and nothing is written. @throws the refusal */
  create(call: Omit<CheckedCall, keyof CallSignals>, parent: LiveTask | undefined, caller: CallerState): LiveTask
  /**
   * Has a task of record admitted by the store, then calls back; or calls back with the refusal. A task that has a twin,
   * which holds its dedupe key, is dropped.
   */
  record(task: LiveTask, then: AdmissionAnswers): void
  /** Refuses everything under this run from now on. */
  closeRun(owner: string, runId: string): void
}

export function createAdmission(parts: {
  readonly clock: Clock
  readonly createId: IdSource
  readonly settings: Settings
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly journal: Journal
  readonly keys: Keys
  readonly turns: Turns
  readonly budgets: Budgets
  readonly closedRuns: { add(key: string): void; has(key: string): boolean }
  readonly endUnstarted: (task: LiveTask) => void
  readonly endInLog: (task: LiveTask) => void
  readonly dropUnstarted: (task: LiveTask) => void
}): Admission {
  const { supervisor, tree, journal, settings, closedRuns, keys, turns, budgets } = parts

  /** The store has taken a task after it was refused: it is ended, as a task that nobody owns any more. */
  const endLate = (task: LiveTask): void => {
    if (supervisor.phase() === 'stopped') return parts.endInLog(task)
    task.above = tree.requireOwner(task.spec.owner)
    tree.link(task)
    supervisor.register(task)
    parts.endUnstarted(task)
  }

  return {
    create({ spec, input, inputJson, taskId = parts.createId(), above }, parent, caller) {
      if (supervisor.live.has(taskId)) throw idTaken(taskId)
      const lineage = decideLineage(taskId, parent ?? above, spec.correlation)
      const runId = lineage.correlation?.runId
      const isShadow = spec.shadowOf !== undefined
      const waitsFor = isShadow ? undefined : turns.wouldWaitFor(spec, parent)
      const queuedBefore = waitsFor === undefined ? undefined : turns.queuedCount()
      const isOverdraft =
        queuedBefore !== undefined &&
        queuedBefore >= settings.limits.maxQueued &&
        settings.whenQueueFull === 'inline' &&
        caller === 'attached' &&
        waitsFor === 'slot'
      const refusal = decideAdmission(settings.limits, {
        phase: supervisor.phase(),
        liveCount: supervisor.live.size,
        parent: parent && {
          status: statusOf(parent),
          depth: parent.depth,
          liveChildren: parent.childCount,
          isStopping: parent.stop !== undefined || parent.ownCodeEnded,
          shortage: budgets.shortageBelow(parent),
        },
        runIsCancelled: runId !== undefined && closedRuns.has(runKey(spec.owner, runId)),
        queuedBefore: isOverdraft ? undefined : queuedBefore,
      })
      if (refusal !== undefined) throw toError(refusal, parent)
      if (journal.isFull()) throw storeFull()
      const task = createLiveTask({
        taskId,
        spec,
        input,
        ...lineage,
        above: parent ?? tree.requireOwner(spec.owner),
        createdAt: parts.clock.now(),
        caller,
      })
      if (inputJson !== undefined) {
        rareOf(task).recovery = {
          inputJson,
          interruptions: 0,
          epochsAhead: 0,
          carried: new Map(),
          needsTurn: false,
        }
      }
      tree.link(task)
      supervisor.register(task)
      // Its slot is in the process that runs it.
      if (!isShadow) turns.enter(task, isOverdraft)
      budgets.enter(task, parent)
      return task
    },

    record(task, { onAdmitted, onTwin, onRefused }) {
      if (journal.isPaused()) {
        parts.dropUnstarted(task)
        onRefused(storeUnavailable())
        return
      }
      const { concurrency } = task.spec
      const keyClaim = keys.claimOf(task)
      const mayWait = concurrency !== undefined && decideBusyKey(concurrency.onBusy).mayWait
      journal.admit(
        task,
        keyClaim === undefined ? claimsOf(task.spec) : [...claimsOf(task.spec), keyClaim],
        keyClaim !== undefined && mayWait
          ? (isGranted, holderId) => keys.noteAdmission(task, isGranted, holderId)
          : undefined,
        (answer) => {
          if (answer.kind === 'admitted') {
            if (!mayWait) keys.noteAdmission(task, true)
            return onAdmitted()
          }
          parts.dropUnstarted(task)
          if (answer.kind !== 'claimed') return onRefused(storeUnavailable())
          if (answer.claim.kind === 'dedupe') onTwin(answer.taskId)
          else onRefused(answer.claim.kind === 'name' ? nameTaken() : keyBusy(answer.taskId))
        },
        (late) => void (late.kind === 'admitted' && endLate(task)),
      )
    },

    closeRun: (owner, runId) => closedRuns.add(runKey(owner, runId)),
  }
}

function runKey(owner: string, runId: string): string {
  return `${owner}\u0000${runId}`
}

function claimsOf({ owner, name, dedupe }: TaskSpec): readonly Claim[] {
  if (name === undefined && dedupe === undefined) return NO_CLAIMS
  return [
    ...(name === undefined ? [] : [{ owner, kind: 'name', key: name } as const]),
    ...(dedupe === undefined ? [] : [{ owner, kind: 'dedupe', key: dedupe.key } as const]),
  ]
}

function nameTaken(): TaskError {
  return new TaskError('name_taken', 'Another live task has this name.')
}

function keyBusy(taskId: string): TaskError {
  return new TaskError('key_busy', 'Another live task of this owner holds the key.', { taskId })
}

function storeUnavailable(): TaskError {
  return new TaskError('store_unavailable', 'The store does not answer; nothing was started.', {
    retryAfterMs: RETRY_AFTER_MS,
  })
}

export function idTaken(taskId: string): TaskError {
  return new TaskError('not_allowed', 'A task has this id already; nothing was started.', { taskId })
}

function storeFull(): TaskError {
  return new TaskError('store_full', 'Too much waits to be written to the store; nothing was started.', {
    retryAfterMs: RETRY_AFTER_MS,
  })
}

function toError(refusal: AdmissionRefusal, parent: LiveTask | undefined): TaskError {
  switch (refusal.code) {
    case 'parent_stopping':
      return new ParentStoppingError(parent?.taskId)
    case 'parent_idle':
      return new TaskError('not_allowed', 'Nothing can start below a task whose code does not run yet.', {
        taskId: parent?.taskId,
      })
    case 'supervisor_closed':
      return new TaskError('supervisor_closed', 'The supervisor takes no new work.')
    case 'capacity_exceeded':
      return new TaskError('capacity_exceeded', `There are ${refusal.limit} live tasks, which is the limit.`, {
        retryAfterMs: RETRY_AFTER_MS,
      })
    case 'depth_exceeded':
      return new TaskError('depth_exceeded', `Tasks may be ${refusal.limit} deep.`)
    case 'queue_full':
      return new TaskError('queue_full', `There are ${refusal.limit} tasks in the queue, which is the limit.`, {
        retryAfterMs: RETRY_AFTER_MS,
      })
    case 'budget_exceeded': {
      const budget = parent && findShortBudget(parent, refusal.what)
      return budget === undefined
        ? new TaskError('budget_exceeded', `The budget is used up: there are no ${refusal.what} left.`)
        : budgetExceeded(budget, refusal.what)
    }
    case 'children_exceeded':
      return new TaskError('children_exceeded', `A task may have ${refusal.limit} live children.`, {
        retryAfterMs: RETRY_AFTER_MS,
      })
  }
}
