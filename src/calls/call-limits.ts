/** What a call says of how much its task may spend, how often it is tried, and when it has its turn. */
import type { BudgetRequest } from '../../machines/policies/budget.ts'
import { badOption, checkOptionNames, checkWhole, optional } from '../options.ts'
import type { AttemptPolicy, TaskSpec } from '../runtime/task-spec.ts'
import type { CallPolicy, ResolvedTool } from '../tool.ts'

const MAX_PRIORITY = 100
const DEFAULT_MAX_INTERRUPTIONS = 3
const DEFAULT_RESERVE = 0.1

export function toPriority(value: unknown): number {
  if (Number.isInteger(value) && Math.abs(value as number) <= MAX_PRIORITY) return value as number
  throw badOption('priority', `a whole number from -${MAX_PRIORITY} to ${MAX_PRIORITY}`, value)
}

/** @throws TypeError for a tool that another process would not find */
export function toRecovery(tool: ResolvedTool, tools: ReadonlyMap<string, ResolvedTool>): TaskSpec['recovery'] {
  const { recovery, maxInterruptions } = tool.policy
  if (recovery !== 'rerun') return undefined
  if (tools.get(tool.name) !== tool) {
    throw new TypeError(`the tool ${tool.name} has recovery: 'rerun' and has to be among the supervisor's tools`)
  }
  return { maxInterruptions: maxInterruptions ?? DEFAULT_MAX_INTERRUPTIONS }
}

/** What is said of attempts; nothing where nothing is, so that such a task has nothing of the kind. */
export function toAttemptPolicy(asked: CallPolicy, { policy, schema }: ResolvedTool): AttemptPolicy | undefined {
  const { restarts, recovery } = policy
  const attemptTimeoutMs = asked.attemptTimeoutMs ?? policy.attemptTimeoutMs ?? Infinity
  const retry = asked.retry ?? policy.retry ?? false
  if (attemptTimeoutMs === Infinity && retry === false && restarts === undefined && recovery !== 'rerun')
    return undefined
  return Object.freeze({
    attemptTimeoutMs,
    retry: retry === false ? undefined : retry,
    restarts,
    sharesInput: schema !== undefined,
  })
}

export function toBudget(value: unknown): BudgetRequest {
  const given = checkOptionNames('budget', value, ['tokens', 'cost', 'spawns', 'reserve'])
  const { tokens, cost, spawns, reserve = DEFAULT_RESERVE } = given
  if (tokens === undefined && cost === undefined && spawns === undefined) {
    throw badOption('budget', 'limited in tokens, cost or spawns', value)
  }
  if (typeof reserve !== 'number' || !(reserve >= 0 && reserve < 1)) {
    throw badOption('budget.reserve', 'a number from 0 to below 1', reserve)
  }
  return Object.freeze({
    tokens: optional(tokens, (amount) => checkPositive('budget.tokens', amount)) ?? Infinity,
    cost: optional(cost, (amount) => checkPositive('budget.cost', amount)) ?? Infinity,
    spawns:
      optional(spawns, (count) => checkWhole('budget.spawns', count, { min: 0, max: Number.MAX_SAFE_INTEGER })) ??
      Infinity,
    reserve,
  })
}

function checkPositive(name: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value < Infinity) return value
  throw badOption(name, 'a positive finite number', value)
}
