/** From what a caller wrote to what the runtime takes: checked, copied and complete. Nothing has started yet. */
import { toTargets, type Targets } from '../delivery/targets.ts'
import { checkOptionNames, checkSignal, checkText, optional } from '../options.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { LiveTask } from '../runtime/live-task.ts'
import type { CheckedCall, TaskSpec } from '../runtime/task-spec.ts'
import { fitTo } from '../schema.ts'
import type { Settings } from '../settings.ts'
import { checkCallPolicy, type ResolvedTool, type Toolbox } from '../tool.ts'
import { copyInput, toInputJson } from './call-input.ts'
import { toWishes } from './call-keys.ts'
import { toCorrelation, toMetadata, toName } from './call-labels.ts'
import { toAttemptPolicy, toBudget, toPriority, toRecovery } from './call-limits.ts'

const MAX_TEXT_CHARS = 4_000

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
  readonly above: StoredRecord | undefined
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

export interface CallDefaults {
  readonly settings: Settings
  readonly targets: Targets
  readonly deliverTo: readonly string[]
  readonly toolbox: Toolbox
}

/** Checks a call. It answers at once unless the tool's schema does not. @throws TypeError or a `TaskError` */
export function toCheckedCall(
  call: Call,
  place: CallPlace,
  defaults: CallDefaults,
): CheckedCall | Promise<CheckedCall> {
  const tool = defaults.toolbox.resolve(call.tool)
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
      taskId: undefined,
      above: undefined,
      signal,
      cancelSignal,
    }
  }
  if (tool.schema === undefined) return complete(input)
  const fitted = fitTo(tool.schema, input, `The input does not fit ${tool.name}`)
  return fitted instanceof Promise ? fitted.then(({ value }) => complete(value)) : complete(fitted.value)
}

const NO_OPTIONS: Readonly<Record<string, never>> = Object.freeze({})

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
  const asked = options === NO_OPTIONS ? NO_OPTIONS : checkCallPolicy('', options)
  const queueMs = asked.queueMs ?? policy.queueMs ?? settings.queueMs
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
    inlineMs:
      kind === 'spawn' ? 0 : toInlineMs(policy.background, asked.inlineMs ?? policy.inlineMs ?? settings.inlineMs),
    policy: Object.freeze({
      timeoutMs: asked.timeoutMs ?? policy.timeoutMs ?? settings.timeoutMs,
      onParentEnd: asked.onParentEnd ?? policy.onParentEnd ?? 'wait',
      onChildFailure: policy.onChildFailure ?? 'isolate',
      ...(queueMs === Infinity ? {} : { queueMs }),
    }),
    attempts: toAttemptPolicy(asked, tool),
    recovery: toRecovery(tool, defaults.toolbox.named),
    budget: optional(options['budget'], toBudget),
    durable: asked.durable ?? policy.durable ?? false,
    priority: optional(options['priority'], toPriority) ?? 0,
    concurrency: undefined,
    dedupe: undefined,
    targets: explicit ?? fallbackTargets(place, defaults),
    hasExplicitTarget: explicit !== undefined && explicit.length > 0,
    shadowOf: undefined,
    retryOf: undefined,
  }
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
