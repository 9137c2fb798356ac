/**
 * What a tree of tasks may spend, as an account. Pure: every change gives new numbers.
 *
 * 1. A report is drawn whole or not at all. It is refused once the account has nothing left of what it reports, so no
 *    account exceeds its grant by more than one report.
 * 2. An account stops its tree where the reserve begins: what is reported while the tree hands back what it has, is still
 *    drawn.
 * 3. A part of an account is at most what is left of it.
 */

/** Infinity where nothing is limited. */
export interface BudgetAmounts {
  readonly tokens: number
  readonly cost: number
  /** Tasks that start below the holder. */
  readonly spawns: number
}

export interface BudgetRequest extends BudgetAmounts {
  /** The part of the tokens and of the cost that is kept for handing back, from 0 to below 1. */
  readonly reserve: number
}

export interface BudgetGrant extends BudgetAmounts {
  /** The tree stops when this much is spent. */
  readonly stopAt: { readonly tokens: number; readonly cost: number }
}

export interface BudgetAccount {
  readonly granted: BudgetGrant
  readonly spent: BudgetAmounts
}

/** What there is not enough of. */
export type BudgetShortage = keyof BudgetAmounts

export const NOTHING_SPENT: BudgetAmounts = Object.freeze({ tokens: 0, cost: 0, spawns: 0 })

/** What is granted of what was asked for, from what is left above. What was not asked for is limited above alone. */
export function decideGrant(asked: BudgetRequest, left: BudgetAmounts | undefined): BudgetGrant {
  const grant = (what: BudgetShortage): number =>
    asked[what] === Infinity ? Infinity : Math.min(asked[what], left?.[what] ?? Infinity)
  const tokens = grant('tokens')
  const cost = grant('cost')
  const spawns = grant('spawns')
  const part = 1 - asked.reserve
  return { tokens, cost, spawns, stopAt: { tokens: tokens * part, cost: cost * part } }
}

/** What is left of one account; never less than nothing. */
export function leftOf({ granted, spent }: BudgetAccount): BudgetAmounts {
  return {
    tokens: Math.max(0, granted.tokens - spent.tokens),
    cost: Math.max(0, granted.cost - spent.cost),
    spawns: Math.max(0, granted.spawns - spent.spawns),
  }
}

/** Why nothing may start any more that draws on the account, or nothing. */
export function decideShortage(account: BudgetAccount): BudgetShortage | undefined {
  return decideStop(account) ?? (account.spent.spawns >= account.granted.spawns ? 'spawns' : undefined)
}

/** Why the tree of the account has to stop, or nothing. */
export function decideStop({ granted, spent }: BudgetAccount): 'tokens' | 'cost' | undefined {
  if (spent.tokens >= granted.stopAt.tokens) return 'tokens'
  return spent.cost >= granted.stopAt.cost ? 'cost' : undefined
}

/** What is spent after a report; or what there was nothing left of, when it is refused. */
export function decideDraw(
  { granted, spent }: BudgetAccount,
  report: { readonly tokens: number; readonly cost: number },
): BudgetAmounts | 'tokens' | 'cost' {
  if (report.tokens > 0 && spent.tokens >= granted.tokens) return 'tokens'
  if (report.cost > 0 && spent.cost >= granted.cost) return 'cost'
  return { tokens: spent.tokens + report.tokens, cost: spent.cost + report.cost, spawns: spent.spawns }
}
