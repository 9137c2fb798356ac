/**
 * Arbitraries of fast-check for calls that grow into trees of tasks: the calls of the scenario `taskTrees()`, whose tools run
 * them. They shrink to fewer children, fewer options and quicker tools.
 *
 * 1. A call is JSON, and it is one that the gate takes, as far as it depends on the call alone.
 * 2. No tree is deeper or wider than the options say, but for the one child that a stubborn task tries to start when it is stopped.
 */
import fc from 'fast-check'
import { badOption, checkOptionNames, checkWhole, orDefault } from '../../options.ts'
import type { CallOptions } from '../../ports/task-handle.ts'
import type { SimulatedCall } from '../simulation/scenario.ts'
import { BRANCH_KINDS, type BranchInput } from '../simulation/task-trees.ts'

export interface TaskTreeCallsOptions {
  /** How many tasks lie below each other at most. @defaultValue 3 */
  readonly maxDepth?: number
  /** How many children a task has at most. @defaultValue 3 */
  readonly maxChildren?: number
  /** What tasks may do. The first is the simplest. @defaultValue all that `taskTrees()` knows */
  readonly kinds?: readonly BranchInput['kind'][]
  /** Where results may go; none: calls name no target. @defaultValue `['mail:box-0', 'mail:box-1']` */
  readonly targets?: readonly string[]
}

const MAX_DEPTH = 32
const MAX_CHILDREN = 100
const MAX_MS = 4_000
const TARGETS = ['mail:box-0', 'mail:box-1']

/**
 * A call, with all that is called below it.
 *
 * @throws TypeError naming the option and the value it got
 * @example
 * ```ts
 * import fc from 'fast-check'
 * import { createTaskSupervisor } from 'outlive'
 * import { taskTrees } from 'outlive/testing'
 * import { taskTreeCalls } from 'outlive/testing/properties'
 *
 * const sleep = async () => undefined
 * const tools = taskTrees().tools({ name: 'here', sleep, random01: () => 0.5, effect: () => undefined })
 * const calls = taskTreeCalls({ kinds: ['quick', 'slow', 'reporting'], targets: [] })
 * await fc.assert(
 *   fc.asyncProperty(calls, async ({ tool, input, options }) => {
 *     const tasks = createTaskSupervisor({ tools, lineage: 'explicit' })
 *     const found = tools.find(({ name }) => name === tool)
 *     const task = await tasks.spawn(found as never, input as never, options)
 *     await tasks.cancelAll()
 *     const { live } = await tasks.stats()
 *     await tasks.shutdown()
 *     return live === 0 && task.taskId !== ''
 *   }),
 *   { numRuns: 10 },
 * )
 * ```
 */
export function taskTreeCalls(options: TaskTreeCallsOptions = {}): fc.Arbitrary<SimulatedCall> {
  checkOptionNames('options', options, ['maxDepth', 'maxChildren', 'kinds', 'targets'])
  const maxDepth = checkWhole('maxDepth', orDefault(options.maxDepth, 3), { min: 1, max: MAX_DEPTH })
  const maxChildren = checkWhole('maxChildren', orDefault(options.maxChildren, 3), { min: 0, max: MAX_CHILDREN })
  const kind = fc.constantFrom(...checkKinds(orDefault(options.kinds, BRANCH_KINDS)))
  const targets = orDefault(options.targets, TARGETS)
  let calls = callOf(kind, targets, { depth: maxDepth, children: fc.constant([]) })
  for (let depth = maxDepth - 1; depth >= 1; depth -= 1) {
    calls = callOf(kind, targets, { depth, children: fc.array(calls, { maxLength: maxChildren, size: 'small' }) })
  }
  return calls
}

function checkKinds(kinds: readonly BranchInput['kind'][]): readonly BranchInput['kind'][] {
  const given: unknown = kinds
  const isGood =
    Array.isArray(given) && given.length > 0 && given.every((kind) => BRANCH_KINDS.some((known) => known === kind))
  if (!isGood) throw badOption('kinds', `some of ${BRANCH_KINDS.join(', ')}`, kinds)
  return kinds
}

function callOf(
  kind: fc.Arbitrary<BranchInput['kind']>,
  targets: readonly string[],
  { depth, children }: { readonly depth: number; readonly children: fc.Arbitrary<SimulatedCall[]> },
): fc.Arbitrary<SimulatedCall> {
  const input: fc.Arbitrary<BranchInput> = fc.record({ kind, ms: fc.nat(MAX_MS), children, awaits: fc.boolean() })
  return fc.record({
    tool: fc.constantFrom('branch', 'again', 'strict'),
    input,
    options: optionsOf(targets, depth > 1),
  })
}

/** A few of the options of a call: most calls have none. */
function optionsOf(targets: readonly string[], isBelow: boolean): fc.Arbitrary<CallOptions> {
  const busy = fc.record({
    concurrencyKey: fc.constantFrom('key-0', 'key-1'),
    onBusy: fc.constantFrom('queue' as const, 'reject' as const, 'replace' as const, 'keepLatest' as const),
  })
  const retry = fc.record({
    retry: fc.record({
      maxAttempts: fc.integer({ min: 2, max: 3 }),
      baseMs: fc.integer({ min: 50, max: 500 }),
      factor: fc.constant(2),
      maxMs: fc.constant(2_000),
      jitter: fc.constant('none' as const),
    }),
  })
  const one: fc.Arbitrary<CallOptions>[] = [
    fc.record({ name: fc.constantFrom('name-0', 'name-1', 'name-2') }),
    busy,
    retry,
    fc.record({ dedupeKey: fc.constantFrom('once-0', 'once-1') }),
    fc.record({ queueMs: fc.integer({ min: 50, max: 1_000 }) }),
    fc.record({ timeoutMs: fc.integer({ min: 100, max: 3_000 }) }),
    fc.record({ attemptTimeoutMs: fc.integer({ min: 50, max: 1_000 }) }),
    fc.record({ priority: fc.integer({ min: -2, max: 2 }) }),
    fc.record({ budget: fc.record({ spawns: fc.integer({ min: 1, max: 4 }) }) }),
    ...(targets.length === 0 ? [] : [fc.record({ deliverTo: fc.constantFrom(...targets) })]),
    ...(isBelow
      ? [fc.record({ onParentEnd: fc.constantFrom('wait' as const, 'cancel' as const, 'detach' as const) })]
      : []),
  ]
  return fc
    .array(fc.oneof(...one), { maxLength: 3, size: 'small' })
    .map((parts): CallOptions => Object.assign({}, ...parts) as CallOptions)
}
