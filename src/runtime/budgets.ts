/**
 * What trees of tasks may spend. A task that was given a budget holds it, and everything below draws on it; a budget below
 * another draws on both.
 *
 * 1. A report is drawn on every budget above it that has anything left; one that has nothing left refuses it.
 * 2. Whatever is reported past the line of a budget stops what its holder owns, or the topmost task above the reporter
 *    that a parent let go.
 * 3. What starts below counts when it gets its place, and counts no more if it never came to be.
 */
import {
  decideDraw,
  decideGrant,
  decideShortage,
  decideStop,
  leftOf,
  NOTHING_SPENT,
  type BudgetAmounts,
  type BudgetShortage,
} from '../../machines/policies/budget.ts'
import { TaskError } from '../errors.ts'
import type { TaskBudget, TaskUsage } from '../ports/task-record.ts'
import { rareOf, type Budget, type LiveTask } from './live-task.ts'
import { parentOf } from './task-status.ts'

/** What came of a report. */
export interface Drawing {
  /** Budgets whose line is reached, the innermost first. */
  readonly reached: readonly Budget[]
  /** The innermost budget that had nothing left. */
  readonly refusedBy: { readonly budget: Budget; readonly what: 'tokens' | 'cost' } | undefined
}

export interface Budgets {
  /** Why nothing may start below this task, as far as budgets go. */
  shortageBelow(parent: LiveTask): BudgetShortage | undefined
  /** Gives a new task the budget it draws on, and counts it where it has one above. */
  enter(task: LiveTask, parent: LiveTask | undefined): void
  /** Gives a task back the budget it held in another process. */
  restore(task: LiveTask, kept: TaskBudget, reserve: number): void
  /** Takes back that it was counted: it never came to be. */
  leave(task: LiveTask): void
  /** Draws what a task has used. `enforce` has to follow once that is told. */
  draw(task: LiveTask, used: TaskUsage): Drawing | undefined
  /** Stops whom it has to stop. @throws `budget_exceeded` when a budget has refused the report */
  enforce(task: LiveTask, drawing: Drawing): void
}

export function createBudgets(parts: { readonly stop: (top: LiveTask, what: 'tokens' | 'cost') => void }): Budgets {
  const countSpawn = (budget: Budget | undefined, by: 1 | -1): void => {
    for (const each of chainOf(budget)) each.spent = { ...each.spent, spawns: each.spent.spawns + by }
  }

  return {
    shortageBelow(parent) {
      const own = parent.rare?.budget
      if (own === undefined) return undefined
      let shortage: BudgetShortage | undefined
      for (const budget of chainOf(own)) {
        const found = decideShortage(budget)
        // A tree that has to stop says more than one that may not grow.
        if (found !== undefined && found !== 'spawns') return found
        shortage ??= found
      }
      return shortage
    },

    enter(task, parent) {
      const above = parent?.rare?.budget
      const { budget: asked } = task.spec
      if (above === undefined && asked === undefined) return
      countSpawn(above, 1)
      rareOf(task).budget =
        asked === undefined
          ? above
          : { holder: task, above, granted: decideGrant(asked, leftIn(above)), spent: NOTHING_SPENT }
    },

    restore(task, { granted, spent }, reserve) {
      const { tokens = Infinity, cost = Infinity, spawns = Infinity } = granted
      const grant = decideGrant({ tokens, cost, spawns, reserve }, undefined)
      rareOf(task).budget = { holder: task, above: undefined, granted: grant, spent }
    },

    leave(task) {
      const budget = task.rare?.budget
      if (budget !== undefined) countSpawn(budget.holder === task ? budget.above : budget, -1)
    },

    draw(task, used) {
      const own = task.rare?.budget
      if (own === undefined) return undefined
      const reached: Budget[] = []
      let refusedBy: Drawing['refusedBy']
      for (const budget of chainOf(own)) {
        const drawn = decideDraw(budget, used)
        if (typeof drawn === 'string') refusedBy ??= { budget, what: drawn }
        else budget.spent = drawn
        if (decideStop(budget) !== undefined) reached.push(budget)
      }
      return { reached, refusedBy }
    },

    enforce(task, { reached, refusedBy }) {
      // The outermost first: one stop for all of it.
      for (const budget of reached.toReversed()) {
        const top = topBelow(budget, task)
        const what = decideStop(budget)
        if (what !== undefined && top.stop === undefined && top.finalStatus === undefined) parts.stop(top, what)
      }
      if (refusedBy === undefined) return
      const { budget, what } = refusedBy
      throw budgetExceeded(budget, what)
    },
  }
}

/** The refusal of a budget: of the innermost one above a task that is short of this. */
export function budgetExceeded(budget: Budget, what: BudgetShortage): TaskError {
  const { holder, granted, spent } = budget
  return new TaskError('budget_exceeded', `The budget is used up: ${spent[what]} of ${granted[what]} ${what}.`, {
    taskId: holder.taskId,
    details: Object.freeze({ what, granted: granted[what], spent: spent[what] }),
  })
}

/** The innermost budget above a task that is short of this. */
export function findShortBudget(task: LiveTask, what: BudgetShortage): Budget | undefined {
  for (const budget of chainOf(task.rare?.budget)) if (decideShortage(budget) === what) return budget
  return undefined
}

/** What a task and everything below it may still spend; nothing when nobody gave it a budget. */
export function leftIn(budget: Budget | undefined): BudgetAmounts | undefined {
  if (budget === undefined) return undefined
  let { tokens, cost, spawns } = leftOf(budget)
  for (const above of chainOf(budget.above)) {
    const left = leftOf(above)
    tokens = Math.min(tokens, left.tokens)
    cost = Math.min(cost, left.cost)
    spawns = Math.min(spawns, left.spawns)
  }
  return Object.freeze({ tokens, cost, spawns })
}

/** A budget and those above it, the innermost first. */
function* chainOf(budget: Budget | undefined): Generator<Budget> {
  for (let each = budget; each !== undefined; each = each.above) yield each
}

/** The holder, or what hangs no longer below it. */
function topBelow({ holder }: Budget, task: LiveTask): LiveTask {
  let top = task
  for (let parent = parentOf(top); top !== holder && parent !== undefined; parent = parentOf(top)) top = parent
  return top
}
