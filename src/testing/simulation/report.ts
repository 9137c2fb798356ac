/** What a run has shown. */
import type { HistoryBreach, HistoryFact } from '../check-history.ts'
import type { LawBreach } from '../verify-log.ts'
import type { SimulationPlan } from './plan.ts'
import type { ScenarioSource } from './scenario.ts'

/** A law of the log, a rule of the history or a rule of the scenario that does not hold. */
export type SimulationBreach =
  | ({ readonly kind: 'log'; readonly step: number } & LawBreach)
  | ({ readonly kind: 'history'; readonly step: number } & HistoryBreach)
  | ({ readonly kind: 'scenario'; readonly step: number } & RuleBreach)

export interface RuleBreach {
  /** The name that the scenario gives its rule. */
  readonly rule: string
  /** What the rule has thrown. */
  readonly message: string
}

/** Something that happened in a run, and during which step: from 0; what came after the last has the number of the steps. */
export interface SimulationFact {
  readonly step: number
  readonly atMs: number
  readonly fact: HistoryFact
}

export interface SimulationReport {
  /** The plan that was carried out; with a breach and `shorten`, the shortest one found. */
  readonly plan: SimulationPlan
  /** What broke first, and whatever else broke in that step. Empty: the run is sound. */
  readonly breaches: readonly SimulationBreach[]
  readonly history: readonly SimulationFact[]
  /** How many steps the plan had before it was shortened. */
  readonly drawnSteps: number
  /** As the scenario says it. */
  readonly source?: ScenarioSource
}

/** `log law 4`, `history rule 2`, `rule charged once`. */
export function nameOfBreach(breach: SimulationBreach): string {
  switch (breach.kind) {
    case 'log':
      return `log law ${breach.law}`
    case 'history':
      return `history rule ${breach.rule}`
    case 'scenario':
      return `rule ${breach.rule}`
  }
}
