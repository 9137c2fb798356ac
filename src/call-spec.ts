/** From what a caller wrote to what the runtime takes: checked, copied and complete. Nothing has started yet. */
import { createHash } from 'node:crypto'
import { MAX_TARGETS, type Targets } from './delivery/targets.ts'
import { TaskError } from './errors.ts'
import {
  badOption,
  checkChoice,
  checkKey,
  checkOptionNames,
  checkSignal,
  checkText,
  checkWhole,
  orDefault,
  type Settings,
} from './options.ts'
import type { BudgetRequest } from '../machines/policies/budget.ts'
import { ON_BUSY } from '../machines/policies/busy-key.ts'
import type { Correlation } from '../machines/policies/lineage.ts'
import type { StoredRecord } from './ports/task-record.ts'
import type { KeyFunction } from './ports/tool.ts'
import { decodeFrozen, encodeJson } from './runtime/values/json.ts'
import type { LiveTask } from './runtime/live-task.ts'
import type { AttemptPolicy, RemoteParent, TaskSpec } from './runtime/task-spec.ts'
import { fitTo } from './schema.ts'
import { checkCallPolicy, resolveTool, type CheckedPolicy, type ResolvedTool } from './tool.ts'

const NAME = /^[a-z][a-z0-9_-]{0,63}$/
const RESERVED_NAMES = new Set(['parent', 'owner', 'self', 'all', 'broadcast'])
const MAX_TEXT_CHARS = 4_000
const MAX_METADATA_BYTES = 16 * 1024

const CALL_OPTIONS = [
  'name',
  'description',
  'metadata',
  'correlation',
  'budget',
  'deliverTo',
  'timeoutMs',
  'attemptTimeoutMs',
  'retry',
  'onParentEnd',
  'durable',
  'queueMs',
  'priority',
  'concurrencyKey',
  'onBusy',
  'dedupeKey',
  'signal',
]
const RUN_OPTIONS = [...CALL_OPTIONS, 'inlineMs', 'cancelSignal']

/** Who calls, and from where. */
export interface CallPlace {
  readonly owner: string
  readonly conversation: string | undefined
  readonly origin: string | undefined
  readonly parent: LiveTask | undefined
  /** The parent, where that runs in another process. */
  readonly above?: StoredRecord | undefined
  /** Where calls from places just like this one find what they ask for; absent when there are no others. */
  readonly plainSpecs: PlainSpecs | undefined
}

/** What calls without options ask for, by their tool. */
export type PlainSpecs = Readonly<Record<Call['kind'], WeakMap<ResolvedTool, TaskSpec>>>

export function createPlainSpecs(): PlainSpecs {
  return { run: new WeakMap(), spawn: new WeakMap() }
}

export interface Call {
  readonly kind: 'run' | 'spawn'
  readonly tool: unknown
  readonly input: unknown
  readonly options: unknown
}

export interface CheckedCall {
  readonly spec: TaskSpec
  readonly input: unknown
  /** What was given, of a call that may be made again in another process. */
  readonly inputJson: string | undefined
  /** Given by the host's ledger; absent when nobody has given one. */
  readonly taskId?: string
  /** Its parent, which has adopted it in another process. */
  readonly above?: RemoteParent
  readonly signal: AbortSignal | undefined
  readonly cancelSignal: AbortSignal | undefined
}

export interface CallDefaults {
  readonly settings: Settings
  readonly targets: Targets
  readonly deliverTo: readonly string[]
  /** By name: what can be run again in another process. */
  readonly tools: ReadonlyMap<string, ResolvedTool>
}

/** Checks a call. It answers at once unless the tool's schema does not. @throws TypeError or a `TaskError` */
export function toCheckedCall(
  call: Call,
  place: CallPlace,
  defaults: CallDefaults,
): CheckedCall | Promise<CheckedCall> {
  const tool = resolveTool(call.tool)
  const options =
    call.options === undefined
      ? NO_OPTIONS
      : checkOptionNames('options', call.options, call.kind === 'run' ? RUN_OPTIONS : CALL_OPTIONS)
  const spec = specOf(call.kind, tool, options, place, defaults)
  const signal = optional(options['signal'], (value) => checkSignal('signal', value))
  const cancelSignal = optional(options['cancelSignal'], (value) => checkSignal('cancelSignal', value))
  const input = copyInput(call.input)
  const inputJson = spec.recovery === undefined ? undefined : toInputJson(input)
  const complete = (fitting: unknown): CheckedCall => {
    const wishes = toWishes(tool, options, fitting, place)
    return {
      spec: wishes === undefined ? spec : { ...spec, ...wishes },
      input: fitting,
      inputJson,
      signal,
      cancelSignal,
    }
  }
  if (tool.schema === undefined) return complete(input)
  const fitted = fitTo(tool.schema, input, `The input does not fit ${tool.name}`)
  return fitted instanceof Promise ? fitted.then(({ value }) => complete(value)) : complete(fitted.value)
}

const MAX_INPUT_BYTES = 1024 * 1024

/** @throws `input_invalid` */
function toInputJson(input: unknown): string {
  const encoded = encodeJson(input, MAX_INPUT_BYTES)
  switch (encoded.kind) {
    case 'json':
      return encoded.json ?? NO_INPUT_JSON
    case 'refused':
      throw new TaskError('input_invalid', `The input of a tool that may run again must be JSON: ${encoded.why}.`)
    case 'too_large':
      throw new TaskError(
        'input_invalid',
        `The input of a tool that may run again has at most ${MAX_INPUT_BYTES} bytes of JSON.`,
      )
  }
}

/** No JSON: what stands for the input of a call that had none. */
const NO_INPUT_JSON = ''

/** What a call was made with. */
export function fromInputJson(json: string): unknown {
  return json === NO_INPUT_JSON ? undefined : (JSON.parse(json) as unknown)
}

const NO_OPTIONS: Readonly<Record<string, unknown>> = Object.freeze({})

/** Plain calls of one tool from one place share what they ask for. */
function specOf(
  kind: Call['kind'],
  tool: ResolvedTool,
  options: Readonly<Record<string, unknown>>,
  place: CallPlace,
  defaults: CallDefaults,
): TaskSpec {
  const plainSpecs = options === NO_OPTIONS ? place.plainSpecs : undefined
  if (plainSpecs === undefined) return toSpec(kind, tool, options, place, defaults)
  const known = plainSpecs[kind].get(tool)
  if (known !== undefined) return known
  const spec = Object.freeze(toSpec(kind, tool, options, place, defaults))
  plainSpecs[kind].set(tool, spec)
  return spec
}

function toSpec(
  kind: Call['kind'],
  tool: ResolvedTool,
  options: Readonly<Record<string, unknown>>,
  place: CallPlace,
  defaults: CallDefaults,
): TaskSpec {
  const { policy } = tool
  const { settings } = defaults
  const own = options === NO_OPTIONS ? policy : { ...policy, ...checkCallPolicy('', options) }
  const queueMs = own.queueMs ?? settings.queueMs
  const explicit = optional(options['deliverTo'], (value) =>
    toTargets(value, (text) => defaults.targets.resolveFor(place.owner, text)),
  )
  return {
    tool: tool.name,
    run: tool.run,
    owner: place.owner,
    conversation: place.conversation,
    origin: place.origin,
    name: optional(options['name'], toName),
    description:
      optional(options['description'], (value) => checkText('description', value, MAX_TEXT_CHARS)) ?? tool.description,
    metadata: optional(options['metadata'], toMetadata),
    correlation: optional(options['correlation'], toCorrelation),
    inlineMs: kind === 'spawn' ? 0 : toInlineMs(policy.background, own.inlineMs ?? settings.inlineMs),
    policy: Object.freeze({
      timeoutMs: own.timeoutMs ?? settings.timeoutMs,
      onParentEnd: own.onParentEnd ?? 'wait',
      onChildFailure: policy.onChildFailure ?? 'isolate',
      ...(queueMs === Infinity ? {} : { queueMs }),
    }),
    attempts: toAttemptPolicy(own, tool),
    recovery: toRecovery(tool, defaults),
    budget: optional(options['budget'], toBudget),
    durable: own.durable ?? false,
    priority: optional(options['priority'], toPriority) ?? 0,
    concurrency: undefined,
    dedupe: undefined,
    targets: explicit ?? fallbackTargets(place, defaults),
    hasExplicitTarget: explicit !== undefined && explicit.length > 0,
    shadowOf: undefined,
  }
}

/** The keys of a call: they depend on its input. */
function toWishes(
  { name, policy }: ResolvedTool,
  options: Readonly<Record<string, unknown>>,
  input: unknown,
  { conversation }: CallPlace,
): Pick<TaskSpec, 'concurrency' | 'dedupe'> | undefined {
  const askedKey: unknown = orDefault(options['concurrencyKey'], policy.concurrencyKey)
  const askedDedupe: unknown = orDefault(options['dedupeKey'], policy.dedupeKey)
  if (askedKey === undefined && askedDedupe === undefined) return undefined
  const toKey = (option: string, asked: unknown): string | undefined => {
    const key: unknown = typeof asked === 'function' ? (asked as KeyFunction<unknown>)(input, { conversation }) : asked
    return optional(key, (value) => checkKey(option, value))
  }
  const onBusy = optional(options['onBusy'], (value) => checkChoice('onBusy', value, ON_BUSY)) ?? policy.onBusy
  return {
    concurrency: optional(toKey('concurrencyKey', askedKey), (key) => ({ key, onBusy: onBusy ?? 'reject' })),
    dedupe: optional(toKey('dedupeKey', askedDedupe), (key) => ({ key, digest: digestOf(name, input) })),
  }
}

/** The same for calls that ask for the same. The order of properties says nothing. */
function digestOf(tool: string, input: unknown): string {
  const sorted = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  try {
    return createHash('sha256')
      .update(JSON.stringify([tool, input], sorted))
      .digest('base64url')
  } catch (cause) {
    throw new TaskError('input_invalid', 'The input of a call with a dedupe key must be JSON.', { cause })
  }
}

const MAX_PRIORITY = 100

function toPriority(value: unknown): number {
  if (Number.isInteger(value) && Math.abs(value as number) <= MAX_PRIORITY) return value as number
  throw badOption('priority', `a whole number from -${MAX_PRIORITY} to ${MAX_PRIORITY}`, value)
}

const DEFAULT_MAX_INTERRUPTIONS = 3

/** @throws TypeError for a tool that another process would not find */
function toRecovery(tool: ResolvedTool, { tools }: CallDefaults): TaskSpec['recovery'] {
  const { recovery, maxInterruptions } = tool.policy
  if (recovery !== 'rerun') return undefined
  if (tools.get(tool.name) !== tool) {
    throw new TypeError(`the tool ${tool.name} has recovery: 'rerun' and has to be among the supervisor's tools`)
  }
  return { maxInterruptions: maxInterruptions ?? DEFAULT_MAX_INTERRUPTIONS }
}

/** What is said of attempts; nothing where nothing is, so that such a task has nothing of the kind. */
export function toAttemptPolicy(own: CheckedPolicy, { policy, schema }: ResolvedTool): AttemptPolicy | undefined {
  const { attemptTimeoutMs = Infinity, retry = false } = own
  const { restarts, recovery } = policy
  if (attemptTimeoutMs === Infinity && retry === false && restarts === undefined && recovery !== 'rerun')
    return undefined
  return Object.freeze({
    attemptTimeoutMs,
    retry: retry === false ? undefined : retry,
    restarts,
    sharesInput: schema !== undefined,
  })
}

const DEFAULT_RESERVE = 0.1

function toBudget(value: unknown): BudgetRequest {
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

function toInlineMs(background: ResolvedTool['policy']['background'], inlineMs: number): number {
  if (background === 'always') return 0
  return background === 'never' ? Infinity : inlineMs
}

/** Only roots deliver to where the conversation came from, or to the defaults. */
function fallbackTargets({ parent, above, origin }: CallPlace, { deliverTo }: CallDefaults): readonly string[] {
  if (parent !== undefined || above !== undefined) return NO_TARGETS
  return origin === undefined ? deliverTo : Object.freeze([origin])
}

const NO_TARGETS: readonly string[] = Object.freeze([])

/** Targets as they are kept, each once. @throws what `resolve` throws, or a TypeError for too many */
export function toTargets(value: unknown, resolve: (text: unknown) => string): readonly string[] {
  const targets = Array.isArray(value) ? (value as unknown[]) : [value]
  if (targets.length > MAX_TARGETS) throw badOption('deliverTo', `at most ${MAX_TARGETS} targets`, targets.length)
  return Object.freeze([...new Set(targets.map(resolve))])
}

function optional<Value, Result>(value: Value | undefined, convert: (value: Value) => Result): Result | undefined {
  return value === undefined ? undefined : convert(value)
}

/** @throws `name_invalid` */
function toName(value: unknown): string {
  const name = typeof value === 'string' ? value.toLowerCase() : ''
  if (NAME.test(name) && !RESERVED_NAMES.has(name)) return name
  throw new TaskError('name_invalid', 'A name is a letter and up to 63 letters, digits, _ or -, and no reserved word.')
}

function toMetadata(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('metadata must be an object')
  const encoded = encodeJson(value, MAX_METADATA_BYTES)
  switch (encoded.kind) {
    case 'json':
      return decodeFrozen(encoded.json) as Readonly<Record<string, unknown>>
    case 'refused':
      throw new TypeError('metadata cannot be kept as JSON', { cause: new TypeError(encoded.why) })
    case 'too_large':
      throw new TypeError(
        `metadata must be at most ${MAX_METADATA_BYTES} bytes of JSON, got ${encoded.atLeastBytes} or more`,
      )
  }
}

function toCorrelation(value: unknown): Correlation {
  const given = checkOptionNames('correlation', value, ['runId', 'callId', 'agentId'])
  const entries = Object.entries(given).filter(([, id]) => id !== undefined)
  return Object.freeze(Object.fromEntries(entries.map(([key, id]) => [key, checkKey(`correlation.${key}`, id)])))
}

/** What the task gets is a copy: what the caller does to the input later has no effect inside. */
function copyInput(input: unknown): unknown {
  if (typeof input === 'function' || typeof input === 'symbol') throw notCopyable()
  if (typeof input !== 'object' || input === null) return input
  try {
    return structuredClone(input)
  } catch (error) {
    throw notCopyable(error)
  }
}

function notCopyable(cause?: unknown): TaskError {
  return new TaskError('input_invalid', 'The input cannot be copied.', { cause })
}
