/**
 * The scenario that the library tests itself with: trees of tasks that are quick, slow, fail, hang, ignore their signal,
 * spawn when they are stopped, ask, read, report, go on reporting when they have failed and say much, under limits, keys, retries, budgets and
 * deadlines, some of which may run again.
 */
import type { CallOptions } from '../../ports/task-handle.ts'
import type { AnyToolDefinition, TaskContext, ToolDefinition, ToolPolicy } from '../../ports/tool.ts'
import type { Random } from './random.ts'
import type { Scenario, SimulatedCall, SimulatedProcess } from './scenario.ts'

const KINDS = {
  quick: 6,
  slow: 6,
  failing: 4,
  hanging: 2,
  deaf: 1.5,
  stubborn: 1.5,
  asking: 2.5,
  reading: 2,
  reporting: 2,
  late: 1,
  wordy: 1,
} as const

/** What tasks of the scenario do, the simplest first. */
export const BRANCH_KINDS = Object.keys(KINDS) as readonly BranchInput['kind'][]

/** What a task of the scenario does. */
export interface BranchInput {
  readonly kind: keyof typeof KINDS
  readonly ms: number
  readonly children: readonly SimulatedCall[]
  /** Whether it waits for its children before it goes on. */
  readonly awaits: boolean
}

const POLICIES: Readonly<Record<string, ToolPolicy>> = {
  branch: {},
  again: { recovery: 'rerun', maxInterruptions: 2 },
  strict: { onChildFailure: 'fail' },
}
const MAX_DEPTH = 3
const LATE_REPORTS = 5

/** A scenario of arbitrary trees, within small limits. */
export function taskTrees(): Scenario {
  return {
    source: { import: "import { taskTrees } from 'outlive/testing'", expression: 'taskTrees()' },
    settings: {
      leaseMs: 3_000,
      graceMs: 600,
      timeoutMs: 15_000,
      waitMs: 10_000,
      queueMs: 5_000,
      inlineMs: 400,
      limits: { maxRunning: 3, maxRunningPerOwner: 2, maxQueued: 8, maxDepth: 4, maxChildren: 6 },
      inbox: { maxMessages: 4 },
    },
    tools: toolsOf,
    drawCall: (random) => drawBranch(random, 1),
    simplify: simplifyBranch,
  }
}

/** Without its options, without one of them, without its children, without one of these, or with a simpler one. */
function simplifyBranch(call: SimulatedCall): SimulatedCall[] {
  const input = call.input as BranchInput
  const options = call.options ?? {}
  const withChildren = (children: readonly SimulatedCall[]): SimulatedCall => ({
    ...call,
    input: { ...input, children },
  })
  const withoutOption = (name: string): SimulatedCall => ({
    ...call,
    options: Object.fromEntries(Object.entries(options).filter(([key]) => key !== name)),
  })
  const names = Object.keys(options)
  const { children } = input
  return [
    ...(names.length > 0 && children.length > 0 ? [{ ...withChildren([]), options: {} }] : []),
    ...(children.length > 0 ? [withChildren([])] : []),
    ...(names.length > 1 ? [{ ...call, options: {} }] : []),
    ...names.map(withoutOption),
    ...(children.length > 1 ? children.map((child) => withChildren([child])) : []),
    ...children.flatMap((child, index) =>
      simplifyBranch(child).map((simpler) => withChildren(children.with(index, simpler))),
    ),
    ...(input.kind === 'quick' ? [] : [{ ...call, input: { ...input, kind: 'quick' } }]),
    ...(call.tool === 'branch' ? [] : [{ ...call, tool: 'branch' }]),
  ]
}

function drawBranch(random: Random, depth: number): SimulatedCall {
  const tool = random.weighted({ branch: 6, again: 3, strict: 2 })
  const width = depth < MAX_DEPTH && random.chance(0.35) ? 1 + random.below(3) : 0
  const input: BranchInput = {
    kind: random.weighted(KINDS),
    ms: random.chance(0.2) ? 0 : random.below(random.chance(0.8) ? 400 : 4_000),
    children: Array.from({ length: width }, () => drawBranch(random, depth + 1)),
    awaits: random.chance(0.6),
  }
  return { tool, input, options: drawOptions(random, depth) }
}

function drawOptions(random: Random, depth: number): CallOptions {
  const options: { -readonly [Key in keyof CallOptions]: CallOptions[Key] } = {}
  if (random.chance(0.1)) options.name = `name-${random.below(3)}`
  if (random.chance(0.1)) {
    options.concurrencyKey = `key-${random.below(2)}`
    options.onBusy = random.pick(['reject', 'queue', 'replace', 'keepLatest'])
  }
  if (random.chance(0.05)) options.dedupeKey = `once-${random.below(3)}`
  if (random.chance(0.2)) {
    options.retry = {
      maxAttempts: 2 + random.below(2),
      baseMs: 50 + random.below(500),
      factor: 2,
      maxMs: 2_000,
      jitter: 'full',
    }
  }
  if (random.chance(0.1)) options.queueMs = 50 + random.below(1_000)
  if (random.chance(0.15)) options.timeoutMs = 100 + random.below(3_000)
  if (random.chance(0.1)) options.attemptTimeoutMs = 50 + random.below(1_000)
  if (random.chance(0.08)) options.priority = random.below(5) - 2
  if (random.chance(0.08)) {
    options.budget = { tokens: 50 + random.below(800), spawns: random.below(4), reserve: random.pick([0, 0.2]) }
  }
  if (random.chance(0.3)) options.deliverTo = `mail:box-${random.below(3)}`
  if (depth > 1 && random.chance(0.4)) options.onParentEnd = random.pick(['wait', 'cancel', 'detach'])
  return options
}

function toolsOf(process: SimulatedProcess): readonly AnyToolDefinition[] {
  const byName = new Map<string, ToolDefinition<BranchInput, string>>()

  const grow = async ({ children, awaits }: BranchInput, ctx: TaskContext): Promise<void> => {
    const handles = []
    for (const { tool, input, options } of children) {
      handles.push(await ctx.spawn(toolOf(tool), input as BranchInput, options))
    }
    if (!awaits) return
    for (const handle of handles) await handle.wait().catch(() => undefined)
  }

  const toolOf = (name: string): ToolDefinition<BranchInput, string> => {
    const tool = byName.get(name)
    if (tool === undefined) throw new Error(`there is no tool ${name}`)
    return tool
  }

  const talkOn = async (ms: number, ctx: TaskContext): Promise<void> => {
    for (let times = 1; times <= LATE_REPORTS; times += 1) {
      await process.sleep(ms / LATE_REPORTS)
      ctx.output(`still here, ${times}`)
    }
  }

  const live = async (input: BranchInput, ctx: TaskContext): Promise<string> => {
    const { kind, ms } = input
    await grow(input, ctx)
    switch (kind) {
      case 'quick':
        return 'quick'
      case 'slow':
        await Promise.race([process.sleep(ms), whenStopped(ctx)])
        return `slow after ${ms}`
      case 'failing':
        await Promise.race([process.sleep(ms), whenStopped(ctx)])
        if (ctx.attempt > 2) return 'the third time'
        throw new Error(`attempt ${ctx.attempt} of ${ctx.taskId}`)
      case 'hanging':
        return whenStopped(ctx)
      case 'deaf':
        await process.sleep(ms * 2)
        return 'deaf'
      case 'stubborn':
        await Promise.race([process.sleep(ms * 2), whenStopped(ctx).catch(() => undefined)])
        // Once it is stopped nothing may start below it any more.
        await ctx.spawn(toolOf('branch'), { kind: 'hanging', ms: 0, children: [], awaits: false })
        return 'stubborn'
      case 'asking':
        return `answered ${String(await ctx.ask('sure', 'Sure?', { answerWithinMs: 2_000 + ms, ...(ms % 2 === 0 ? { default: 'no' } : {}) }))}`
      case 'reading': {
        const message = await Promise.race([ctx.inbox.receive(), process.sleep(1_000 + ms), whenStopped(ctx)])
        return message === undefined ? 'nothing to read' : 'read'
      }
      case 'reporting':
        ctx.progress({ done: 1, total: 2 })
        ctx.output('half')
        await Promise.race([process.sleep(ms), whenStopped(ctx)])
        ctx.emit('step', { ms })
        ctx.usage({ tokens: ms })
        return 'reported'
      case 'late':
        if (ctx.attempt > 1) return 'the second time'
        // Nobody awaits it, and nobody may hear of it once the attempt has failed.
        void talkOn(ms, ctx)
        throw new Error(`attempt ${ctx.attempt} of ${ctx.taskId}`)
      case 'wordy':
        return `${ctx.taskId} has much to say. `.repeat(20 + (ms % 40))
    }
  }

  for (const [name, policy] of Object.entries(POLICIES)) byName.set(name, { name, policy, run: live })
  return [...byName.values()]
}

function whenStopped({ signal }: TaskContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
