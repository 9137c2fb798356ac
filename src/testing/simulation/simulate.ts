/**
 * A whole run under one seed: supervisors over one store in one process, the people who call them, and everything that goes
 * wrong. After each step the laws of the log and the rules of the history are checked.
 *
 * 1. The same scenario and the same seed give the same run: every fact of it, in the same order.
 * 2. Nothing in it waits for real time.
 */
import { badOption, checkOptionNames, checkWhole, orDefault } from '../../options.ts'
import { createHistoryChecker, type HistoryBreach, type HistoryFact } from '../check-history.ts'
import { createLogVerifier, type LawBreach } from '../verify-log.ts'
import { drawPlan, FAULT_KINDS, type FaultKind, type SimulationPlan, type SimulationStep } from './plan.ts'
import type { SimulationBreach, SimulationFact, SimulationReport } from './report.ts'
import { createRuleChecker } from './rules.ts'
import type { Scenario } from './scenario.ts'
import { shorten } from './shorten.ts'
import { createWorld } from './world.ts'

export interface SimulationOptions {
  /** A whole number from 0. @defaultValue 1 */
  readonly seed?: number
  /** How many steps there are, before everything is let come to its end. @defaultValue 200 */
  readonly steps?: number
  /** How many processes share the store. @defaultValue 2 */
  readonly nodes?: number
  /** What may go wrong. @defaultValue all kinds */
  readonly faults?: readonly FaultKind[]
  /** Look for the shortest plan that breaks the same law. @defaultValue true */
  readonly shorten?: boolean
}

/**
 * Draws a run from a seed and carries it out. The report says what broke, if anything did; `requireSound` throws it.
 *
 * @throws TypeError naming the option and the value it got
 * @example
 * ```ts
 * import { requireSound, simulate, taskTrees } from 'outlive/testing'
 *
 * const report = await simulate(taskTrees(), { seed: 42, steps: 100, nodes: 2 })
 * requireSound(report)
 * console.log(report.history.length > 100) // true
 * ```
 */
export async function simulate(scenario: Scenario, options: SimulationOptions = {}): Promise<SimulationReport> {
  checkOptionNames('options', options, ['seed', 'steps', 'nodes', 'faults', 'shorten'])
  const plan = drawPlan(scenario, {
    seed: checkWhole('seed', orDefault(options.seed, 1), { min: 0, max: Number.MAX_SAFE_INTEGER }),
    steps: checkWhole('steps', orDefault(options.steps, 200), { min: 1, max: 1_000_000 }),
    nodes: checkWhole('nodes', orDefault(options.nodes, 2), { min: 1, max: 16 }),
    faults: checkFaults(orDefault(options.faults, FAULT_KINDS)),
  })
  const report = await carryOut(scenario, plan)
  const [first] = report.breaches
  if (first === undefined || options.shorten === false) return report
  return shorten(report, first, { scenario, carryOut: (steps) => carryOut(scenario, { ...plan, steps }) })
}

/** Carries out a plan as it is, as one that was kept from a run before. */
export async function replayPlan(scenario: Scenario, plan: SimulationPlan): Promise<SimulationReport> {
  return carryOut(scenario, plan)
}

function checkFaults(faults: readonly FaultKind[]): readonly FaultKind[] {
  const given: unknown = faults
  if (Array.isArray(given) && given.every((kind) => FAULT_KINDS.some((known) => known === kind))) return faults
  throw badOption('faults', `a list of ${FAULT_KINDS.join(', ')}`, faults)
}

async function carryOut(scenario: Scenario, plan: SimulationPlan): Promise<SimulationReport> {
  // The timeline is asked to settle from what a promise has brought about.
  await Promise.resolve()
  const history: SimulationFact[] = []
  const breaches: SimulationBreach[] = []
  let step = 0

  const take = (found: readonly HistoryBreach[]): void => {
    for (const breach of found) breaches.push({ kind: 'history', step, ...breach })
  }
  const takeLaws = (found: readonly LawBreach[]): void => {
    for (const breach of found) breaches.push({ kind: 'log', step, ...breach })
  }
  const note = (fact: HistoryFact): void => {
    history.push({ step, atMs: world.nowMs(), fact })
    take(checker.see(fact))
    if (fact.type === 'committed') takeLaws(verifier.see(fact.event))
    for (const broken of rules.see(fact)) breaches.push({ kind: 'scenario', step, ...broken })
  }

  const checker = createHistoryChecker()
  const rules = createRuleChecker(scenario.rules)
  const world = createWorld(scenario, plan, note)
  const verifier = createLogVerifier({
    isComplete: false,
    isReordered: plan.steps.some(disturbsCommits),
  })
  const report = (): SimulationReport => ({
    plan,
    breaches,
    history,
    drawnSteps: plan.steps.length,
    ...(scenario.source === undefined ? {} : { source: scenario.source }),
  })

  for (const next of plan.steps) {
    await world.act(next)
    if (breaches.length > 0) return report()
    step += 1
  }
  await world.heal()
  if (breaches.length > 0) return report()
  await world.sumUp()
  take(checker.end())
  takeLaws(verifier.end())
  return report()
}

/**
 * Commits of different tasks have no order while some of them fail or come late: the start of a child may be told after the
 * stop of its parent although it came before.
 */
function disturbsCommits(step: SimulationStep): boolean {
  return step.do === 'storeFault' || step.do === 'cut' || step.do === 'pause'
}
