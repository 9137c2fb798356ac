/** Tools as users give them, and as the rest of the library knows them: with a name, a policy and one function. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { partOf } from './kept-text.ts'
import type { RestartIntensity } from '../machines/policies/restarts.ts'
import type { RetryLimits } from '../machines/policies/retry.ts'
import {
  badOption,
  checkBoolean,
  checkChoice,
  checkDuration,
  checkFunction,
  checkKey,
  checkOptionNames,
  checkText,
  checkWhole,
  orDefault,
  quote,
} from './options.ts'
import { ON_BUSY } from '../machines/policies/busy-key.ts'
import type { RetryPolicy } from './ports/retry-policy.ts'
import type { KeyFunction, ToolDefinition, ToolFunction, ToolPolicy } from './ports/tool.ts'
import { checkSchema } from './schema.ts'

const MAX_NAME_CHARS = 128
const MAX_DESCRIPTION_CHARS = 4_000

/** A retry policy, complete. */
export interface CheckedRetry extends RetryLimits {
  readonly retryIf: RetryPolicy['retryIf']
  readonly onExhausted: RetryPolicy['onExhausted']
}

export interface CheckedPolicy extends Omit<ToolPolicy, 'retry'> {
  readonly retry?: CheckedRetry | false
}

export interface ResolvedTool {
  readonly name: string
  readonly description: string | undefined
  readonly schema: StandardSchemaV1 | undefined
  readonly policy: CheckedPolicy
  readonly run: ToolFunction<never, unknown>
}

/**
 * Gives a tool a name, a schema for its input and a policy, checked at once.
 *
 * @throws TypeError naming what is wrong with the definition
 * @example
 * ```ts
 * import { createTaskSupervisor, defineTool } from 'outlive'
 *
 * const double = defineTool({ name: 'double', policy: { timeoutMs: 1_000 }, run: (n: number) => n * 2 })
 * const tasks = createTaskSupervisor()
 * console.log(await tasks.run(double, 21)) // { kind: 'inline', value: 42, persisted: false }
 * await tasks.shutdown()
 * ```
 */
export function defineTool<Input, Output>(definition: ToolDefinition<Input, Output>): ToolDefinition<Input, Output> {
  checkTool(definition)
  return Object.freeze({ ...definition })
}

/** The tools of a supervisor. */
export interface Toolbox {
  /** What can be called again in another process, by its name. */
  readonly named: ReadonlyMap<string, ResolvedTool>
  /** A tool, checked: the same answer for the same tool. @throws TypeError */
  resolve(tool: unknown): ResolvedTool
}

/** @throws TypeError for what is no definition with a name, and for two of one name */
export function createToolbox(definitions: unknown): Toolbox {
  if (!Array.isArray(definitions)) throw badOption('tools', 'an array of tool definitions', definitions)
  // Not one for all supervisors: it would hold the tools of those that are gone until the next full collection.
  const resolved = new WeakMap<object, ResolvedTool>()
  const resolve = (tool: unknown): ResolvedTool => {
    const known = resolved.get(tool as object)
    if (known !== undefined) return known
    const made = checkTool(tool)
    resolved.set(tool as object, made)
    return made
  }
  const named = new Map<string, ResolvedTool>()
  for (const definition of definitions as readonly unknown[]) {
    if (typeof definition === 'function') throw badOption('tools', 'definitions, which have names', definition)
    const tool = resolve(definition)
    if (named.has(tool.name)) throw badOption('tools', 'tools of different names', tool.name)
    named.set(tool.name, tool)
  }
  return { named, resolve }
}

/** @throws TypeError */
export function checkTool(tool: unknown): ResolvedTool {
  if (typeof tool === 'function') return fromFunction(tool as ToolFunction<never, unknown>)
  if (typeof tool === 'object' && tool !== null) return fromDefinition(tool)
  throw badOption('tool', 'a function or a tool definition', tool)
}

function fromFunction(run: ToolFunction<never, unknown>): ResolvedTool {
  checkRun('tool', run)
  const name = run.name === '' ? 'anonymous' : partOf(run.name, { from: 0, maxChars: MAX_NAME_CHARS })
  return { name, description: undefined, schema: undefined, policy: {}, run }
}

function fromDefinition(tool: object): ResolvedTool {
  const definition = checkOptionNames('tool', tool, ['name', 'description', 'input', 'policy', 'run'])
  const { description, input } = definition
  return {
    name: checkText('tool.name', definition['name'], MAX_NAME_CHARS),
    description:
      description === undefined ? undefined : checkText('tool.description', description, MAX_DESCRIPTION_CHARS),
    schema: input === undefined ? undefined : checkSchema('tool.input', input),
    policy: checkPolicy('tool.policy', definition['policy']),
    // Bound, because a definition may be an object whose `run` is a method.
    run: checkRun('tool.run', definition['run']).bind(tool) as ToolFunction<never, unknown>,
  }
}

/** A function that is called and has ended when what it returns has settled: generators have no such end. */
function checkRun(name: string, value: unknown): ToolFunction<never, unknown> {
  if (typeof value !== 'function') throw badOption(name, 'a function', value)
  const kind = Object.prototype.toString.call(value)
  if (kind.includes('GeneratorFunction')) throw badOption(name, 'a function that is no generator', value)
  return value as ToolFunction<never, unknown>
}

function checkPolicy(name: string, value: unknown): CheckedPolicy {
  const policy = checkOptionNames(name, value, [
    'inlineMs',
    'timeoutMs',
    'attemptTimeoutMs',
    'retry',
    'restarts',
    'recovery',
    'maxInterruptions',
    'background',
    'onParentEnd',
    'onChildFailure',
    'durable',
    'queueMs',
    'concurrencyKey',
    'onBusy',
    'dedupeKey',
    'modelMayChoose',
    'readOnly',
    'destructive',
  ])
  const { background, onChildFailure, restarts, concurrencyKey, dedupeKey } = policy
  return {
    ...checkCallPolicy(name, policy),
    ...checkRecovery(name, policy),
    ...(concurrencyKey === undefined
      ? {}
      : { concurrencyKey: checkKeySource(`${name}.concurrencyKey`, concurrencyKey) }),
    ...(dedupeKey === undefined ? {} : { dedupeKey: checkKeySource(`${name}.dedupeKey`, dedupeKey) }),
    ...checkModelFlags(name, policy),
    ...(background === undefined
      ? {}
      : { background: checkChoice(`${name}.background`, background, ['auto', 'never', 'always']) }),
    ...(onChildFailure === undefined
      ? {}
      : { onChildFailure: checkChoice(`${name}.onChildFailure`, onChildFailure, ['isolate', 'fail']) }),
    ...(restarts === undefined ? {} : { restarts: checkRestarts(`${name}.restarts`, restarts) }),
  }
}

const MAX_INTERRUPTIONS = 100

function checkRecovery(
  name: string,
  { recovery, maxInterruptions }: Readonly<Record<string, unknown>>,
): Pick<ToolPolicy, 'recovery' | 'maxInterruptions'> {
  if (maxInterruptions !== undefined && recovery !== 'rerun') {
    throw badOption(`${name}.maxInterruptions`, "left out unless recovery is 'rerun'", maxInterruptions)
  }
  return {
    ...(recovery === undefined ? {} : { recovery: checkChoice(`${name}.recovery`, recovery, ['fail', 'rerun']) }),
    ...(maxInterruptions === undefined
      ? {}
      : {
          maxInterruptions: checkWhole(`${name}.maxInterruptions`, maxInterruptions, {
            min: 0,
            max: MAX_INTERRUPTIONS,
          }),
        }),
  }
}

/** What a policy says about calls that a model makes. Flags that contradict each other, or change nothing, are refused. */
function checkModelFlags(
  name: string,
  policy: Readonly<Record<string, unknown>>,
): Pick<ToolPolicy, 'modelMayChoose' | 'readOnly' | 'destructive'> {
  const given = (['modelMayChoose', 'readOnly', 'destructive'] as const).filter((flag) => policy[flag] !== undefined)
  const flags = Object.fromEntries(given.map((flag) => [flag, checkBoolean(`${name}.${flag}`, policy[flag])]))
  if (flags['readOnly'] === true && flags['destructive'] === true) {
    throw badOption(`${name}.destructive`, 'false for a tool that is readOnly', true)
  }
  const background = policy['background'] ?? 'auto'
  if (flags['modelMayChoose'] === true && background !== 'auto') {
    throw badOption(`${name}.modelMayChoose`, `false where background is ${quote(background)}`, true)
  }
  return flags
}

/** The part of a policy that a call may override. */
export type CallPolicy = Pick<
  CheckedPolicy,
  'inlineMs' | 'timeoutMs' | 'attemptTimeoutMs' | 'retry' | 'onParentEnd' | 'durable' | 'queueMs' | 'onBusy'
>

/** Checked, with what was given alone. */
export function checkCallPolicy(name: string, policy: Readonly<Record<string, unknown>>): CallPolicy {
  const { inlineMs, timeoutMs, attemptTimeoutMs, retry, onParentEnd, durable, queueMs, onBusy } = policy
  const at = (option: string): string => (name === '' ? option : `${name}.${option}`)
  const checked: { -readonly [Key in keyof CallPolicy]: CallPolicy[Key] } = {}
  if (inlineMs !== undefined) {
    checked.inlineMs = checkDuration(at('inlineMs'), inlineMs, { mayBeZero: true, mayBeInfinite: true })
  }
  if (timeoutMs !== undefined) checked.timeoutMs = checkDuration(at('timeoutMs'), timeoutMs, { mayBeInfinite: true })
  if (attemptTimeoutMs !== undefined) {
    checked.attemptTimeoutMs = checkDuration(at('attemptTimeoutMs'), attemptTimeoutMs, { mayBeInfinite: true })
  }
  if (retry !== undefined) checked.retry = checkRetry(at('retry'), retry)
  if (onParentEnd !== undefined) {
    checked.onParentEnd = checkChoice(at('onParentEnd'), onParentEnd, ['wait', 'cancel', 'detach'])
  }
  if (durable !== undefined) checked.durable = checkBoolean(at('durable'), durable)
  if (queueMs !== undefined) checked.queueMs = checkDuration(at('queueMs'), queueMs, { mayBeInfinite: true })
  if (onBusy !== undefined) checked.onBusy = checkChoice(at('onBusy'), onBusy, ON_BUSY)
  return checked
}

/** A key, or the function that gives one for each call. */
function checkKeySource(name: string, value: unknown): string | KeyFunction<never> {
  return typeof value === 'function' ? (value as KeyFunction<never>) : checkKey(name, value)
}

/** Each attempt adds two events to a log. */
const MAX_ATTEMPTS = 1_000
/** The moments of that many restarts are remembered. */
const MAX_RESTARTS = 1_000

function checkRetry(name: string, value: unknown): CheckedRetry | false {
  if (value === false) return false
  const retry = checkOptionNames(name, value, [
    'maxAttempts',
    'baseMs',
    'factor',
    'maxMs',
    'jitter',
    'maxElapsedMs',
    'retryIf',
    'onExhausted',
  ]) as RetryPolicy
  const { factor, retryIf, onExhausted } = retry
  if (factor !== undefined && !(Number.isFinite(factor) && factor >= 1)) {
    throw badOption(`${name}.factor`, 'a finite number of at least 1', factor)
  }
  return Object.freeze({
    maxAttempts: checkWhole(`${name}.maxAttempts`, orDefault(retry.maxAttempts, 3), { min: 1, max: MAX_ATTEMPTS }),
    baseMs: checkDuration(`${name}.baseMs`, orDefault(retry.baseMs, 500)),
    factor: orDefault(factor, 2),
    maxMs: checkDuration(`${name}.maxMs`, orDefault(retry.maxMs, 30_000)),
    jitter: checkChoice(`${name}.jitter`, orDefault(retry.jitter, 'full'), ['full', 'none']),
    maxElapsedMs: checkDuration(`${name}.maxElapsedMs`, orDefault(retry.maxElapsedMs, Infinity), {
      mayBeInfinite: true,
    }),
    retryIf: retryIf === undefined ? undefined : checkFunction(`${name}.retryIf`, retryIf),
    onExhausted: onExhausted === undefined ? undefined : checkFunction(`${name}.onExhausted`, onExhausted),
  })
}

function checkRestarts(name: string, value: unknown): RestartIntensity {
  const { max, withinMs } = checkOptionNames(name, value, ['max', 'withinMs'])
  return Object.freeze({
    max: checkWhole(`${name}.max`, max, { min: 0, max: MAX_RESTARTS }),
    withinMs: checkDuration(`${name}.withinMs`, withinMs),
  })
}
