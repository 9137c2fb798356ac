/** Whether a new task may start to exist. Pure: everything it weighs is an argument. */
import type { SupervisorPhase, TaskStatus } from '../vocabulary.ts'
import { isFinalStatus } from '../vocabulary.ts'
import type { BudgetShortage } from './budget.ts'

export interface AdmissionLimits {
  /** Live tasks in one supervisor. */
  readonly maxLive: number
  /** The depth of the deepest task; a root has depth 0. */
  readonly maxDepth: number
  /** Live children of one task. */
  readonly maxChildren: number
  /** Tasks that run at the same time. */
  readonly maxRunning: number
  /** Tasks of one owner that run at the same time. */
  readonly maxRunningPerOwner: number
  /** Tasks that wait for their turn to run. */
  readonly maxQueued: number
}

export interface AdmissionRequest {
  readonly phase: SupervisorPhase
  readonly liveCount: number
  readonly parent: AdmissionParent | undefined
  /** Whether everything under the request's run was cancelled before. */
  readonly runIsCancelled: boolean
  /** How many tasks wait for their turn, if this one would have to wait as well. */
  readonly queuedBefore: number | undefined
}

export interface AdmissionParent {
  readonly status: TaskStatus
  readonly depth: number
  readonly liveChildren: number
  /** Whether a stop has been accepted for the parent or for anything above it. */
  readonly isStopping: boolean
  /** What the budgets above have not enough of for anything to start. */
  readonly shortage: BudgetShortage | undefined
}

export type AdmissionRefusal =
  | { readonly code: 'supervisor_closed' }
  | { readonly code: 'parent_stopping' }
  | { readonly code: 'parent_idle' }
  | { readonly code: 'capacity_exceeded'; readonly limit: number }
  | { readonly code: 'depth_exceeded'; readonly limit: number }
  | { readonly code: 'children_exceeded'; readonly limit: number }
  | { readonly code: 'queue_full'; readonly limit: number }
  | { readonly code: 'budget_exceeded'; readonly what: BudgetShortage }

/** Gives the first reason to refuse, or nothing when the task may be admitted. */
export function decideAdmission(limits: AdmissionLimits, request: AdmissionRequest): AdmissionRefusal | undefined {
  const { phase, liveCount, parent, runIsCancelled, queuedBefore } = request
  if (runIsCancelled) return { code: 'parent_stopping' }
  if (parent !== undefined) {
    const { shortage } = parent
    // Why the parent is stopping, or is about to.
    if (shortage !== undefined && shortage !== 'spawns') return { code: 'budget_exceeded', what: shortage }
    if (parent.isStopping || parent.status === 'stopping' || isFinalStatus(parent.status))
      return { code: 'parent_stopping' }
    // Nobody is inside of a task whose code does not run. It may end without a look at what it owns.
    if (parent.status === 'queued' || parent.status === 'retrying') return { code: 'parent_idle' }
    if (phase === 'stopped') return { code: 'supervisor_closed' }
    if (shortage !== undefined) return { code: 'budget_exceeded', what: shortage }
    if (parent.depth + 1 > limits.maxDepth) return { code: 'depth_exceeded', limit: limits.maxDepth }
    if (parent.liveChildren >= limits.maxChildren) return { code: 'children_exceeded', limit: limits.maxChildren }
  } else if (phase !== 'accepting') {
    return { code: 'supervisor_closed' }
  }
  if (liveCount >= limits.maxLive) return { code: 'capacity_exceeded', limit: limits.maxLive }
  if (queuedBefore !== undefined && queuedBefore >= limits.maxQueued) {
    return { code: 'queue_full', limit: limits.maxQueued }
  }
  return undefined
}
