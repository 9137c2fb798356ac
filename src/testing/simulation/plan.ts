/**
 * What happens in a simulation, as data: everything is drawn from the seed before anything runs, so that a plan can be
 * shortened, kept in a file and run again. Steps name tasks and processes by numbers; one that finds nothing to act on does
 * nothing.
 */
import type { StoreFault } from '../faulty-store.ts'
import { createRandom, type Random } from './random.ts'
import type { Scenario, SimulatedCall } from './scenario.ts'

/** What somebody does, and what goes wrong. `node` is a process, from 0; `task` counts the tasks that are known by then. */
export type SimulationStep =
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'spawn'; readonly node: number; readonly owner: Owner; readonly call: SimulatedCall }
  | { readonly do: 'run'; readonly node: number; readonly owner: Owner; readonly call: SimulatedCall }
  | {
      readonly do: 'cancel' | 'answer' | 'send' | 'redirect' | 'background' | 'attach' | 'wait' | 'look'
      readonly node: number
      readonly task: number
    }
  | { readonly do: 'cancelAll'; readonly node: number; readonly owner: Owner }
  /** A call from inside a task: a child of it, wherever it is called. Of a live task, if there is one. */
  | {
      readonly do: 'spawnBelow' | 'runBelow'
      readonly node: number
      readonly task: number
      readonly call: SimulatedCall
    }
  /** The result of a task that has ended goes to the box of this number, too; with `again` once more. */
  | {
      readonly do: 'redirectEnded'
      readonly node: number
      readonly task: number
      readonly box: number
      readonly again: boolean
    }
  /** Somebody else tries a verb on the task. */
  | { readonly do: 'peek'; readonly node: number; readonly task: number; readonly verb: number }
  /** A consumer of the owner's events begins, or goes on elsewhere. */
  | { readonly do: 'follow'; readonly node: number; readonly consumer: number }
  | SimulatedFault

export type SimulatedFault =
  /** The process is gone at its `atCall`-th call to the store from here, which is done or not; 0: at once. */
  | { readonly do: 'crash'; readonly node: number; readonly atCall: number; readonly isDone: boolean }
  | { readonly do: 'restart'; readonly node: number }
  /** It ends in order, and hands on what it can. */
  | { readonly do: 'stop'; readonly node: number }
  /** It stands still, as under SIGSTOP. */
  | { readonly do: 'pause' | 'resume'; readonly node: number }
  /** Its line to the store is cut, or whole again. */
  | { readonly do: 'cut' | 'mend'; readonly node: number }
  /** What becomes of its next calls to the store. */
  | { readonly do: 'storeFault'; readonly node: number; readonly fault: StoreFault; readonly calls: number }
  /** What becomes of the next messages to a channel. */
  | { readonly do: 'channelFault'; readonly fault: 'reject' | 'hang'; readonly sends: number }
  /** The wall clock of the process is corrected. */
  | { readonly do: 'jump'; readonly node: number; readonly ms: number }

export type Owner = 'ann' | 'bob'

export const FAULT_KINDS = ['crash', 'stop', 'pause', 'cut', 'storeFault', 'channelFault', 'jump'] as const

/** What may go wrong. What ends a fault (restart, resume, mend) comes with it. */
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface SimulationPlan {
  readonly seed: number
  readonly nodes: number
  readonly steps: readonly SimulationStep[]
}

const STORE_FAULTS: readonly StoreFault[] = ['failBefore', 'failAfter', 'delay', 'duplicate', 'stale', 'hang']
/** How often what happens, besides faults. */
const STEPS = {
  pass: 42,
  spawn: 18,
  run: 4,
  cancel: 4,
  cancelAll: 0.3,
  answer: 5,
  send: 4,
  redirect: 2,
  background: 1,
  attach: 1,
  wait: 4,
  look: 5,
  peek: 3,
  follow: 3,
  spawnBelow: 6,
  runBelow: 1,
  redirectEnded: 2,
} as const
/** How often a fault, when one comes. Each that lasts has what ends it, drawn more often. */
const FAULT_WEIGHTS: Readonly<Record<FaultKind, Partial<Record<SimulatedFault['do'], number>>>> = {
  crash: { crash: 3, restart: 10 },
  stop: { stop: 0.6, restart: 2 },
  pause: { pause: 2, resume: 8 },
  cut: { cut: 2, mend: 8 },
  storeFault: { storeFault: 8 },
  channelFault: { channelFault: 3 },
  jump: { jump: 1 },
}
const FAULTY_PART = 0.2
const CONSUMERS = 4
const BOXES = 3
/** Deadlines are kept as moments: what a process keeps while its clock is wrong is wrong by as much. */
const MAX_JUMP_MS = 60_000

/** Draws a plan. The same arguments give the same plan. */
export function drawPlan(
  scenario: Scenario,
  {
    seed,
    steps,
    nodes,
    faults,
  }: { readonly seed: number; readonly steps: number; readonly nodes: number; readonly faults: readonly FaultKind[] },
): SimulationPlan {
  const random = createRandom(seed)
  const weights = mergeWeights(faults)
  const drawn: SimulationStep[] = []
  while (drawn.length < steps) {
    const isFault = faults.length > 0 && random.chance(FAULTY_PART)
    drawn.push(isFault ? drawFault(random, weights, nodes) : drawStep(random, scenario, nodes))
  }
  return { seed, nodes, steps: drawn }
}

function mergeWeights(faults: readonly FaultKind[]): Record<SimulatedFault['do'], number> {
  const merged: Partial<Record<SimulatedFault['do'], number>> = {}
  for (const kind of faults) {
    for (const [name, weight] of Object.entries(FAULT_WEIGHTS[kind]) as [SimulatedFault['do'], number][]) {
      merged[name] = (merged[name] ?? 0) + weight
    }
  }
  return merged as Record<SimulatedFault['do'], number>
}

function drawStep(random: Random, scenario: Scenario, nodes: number): SimulationStep {
  const kind = random.weighted(STEPS)
  const node = random.below(nodes)
  const owner: Owner = random.chance(0.8) ? 'ann' : 'bob'
  switch (kind) {
    case 'pass':
      return { do: kind, ms: drawMs(random) }
    case 'spawn':
    case 'run':
      return { do: kind, node, owner, call: scenario.drawCall(random) }
    case 'spawnBelow':
    case 'runBelow':
      return { do: kind, node, task: drawTask(random), call: drawChild(random, scenario) }
    case 'redirectEnded':
      return { do: kind, node, task: drawTask(random), box: random.below(BOXES), again: random.chance(0.3) }
    case 'cancelAll':
      return { do: kind, node, owner }
    case 'follow':
      return { do: kind, node, consumer: random.below(CONSUMERS) }
    case 'peek':
      return { do: kind, node, task: drawTask(random), verb: random.below(100) }
    case 'cancel':
    case 'answer':
    case 'send':
    case 'redirect':
    case 'background':
    case 'attach':
    case 'wait':
    case 'look':
      return { do: kind, node, task: drawTask(random) }
  }
}

function drawChild(random: Random, scenario: Scenario): SimulatedCall {
  const call = scenario.drawCall(random)
  if (random.chance(0.6)) return call
  const onParentEnd = random.pick(['cancel', 'detach'] as const)
  return { ...call, options: Object.assign({}, call.options, { onParentEnd }) }
}

function drawFault(random: Random, weights: Record<SimulatedFault['do'], number>, nodes: number): SimulatedFault {
  const kind = random.weighted(weights)
  const node = random.below(nodes)
  switch (kind) {
    case 'crash':
      return { do: kind, node, atCall: random.chance(0.4) ? 0 : 1 + random.below(12), isDone: random.chance(0.5) }
    case 'restart':
    case 'stop':
    case 'pause':
    case 'resume':
    case 'cut':
    case 'mend':
      return { do: kind, node }
    case 'storeFault':
      return { do: kind, node, fault: random.pick(STORE_FAULTS), calls: 1 + random.below(3) }
    case 'channelFault':
      return { do: kind, fault: random.pick(['reject', 'hang']), sends: 1 + random.below(3) }
    case 'jump':
      return { do: kind, node, ms: Math.floor((random() * 2 - 1) * MAX_JUMP_MS) }
  }
}

/** Often nothing but a turn, mostly moments, at times long enough for a lease to end. */
function drawMs(random: Random): number {
  if (random.chance(0.3)) return 0
  return random.chance(0.75) ? 1 + random.below(300) : 500 + random.below(3_500)
}

/** Mostly a young one: counted back from the youngest. */
function drawTask(random: Random): number {
  return Math.floor(random() ** 2 * 24)
}
