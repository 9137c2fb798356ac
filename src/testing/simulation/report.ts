/** What a run has shown. */
import type { HistoryBreach, HistoryFact } from '../check-history.ts'
import type { LawBreach } from '../verify-log.ts'
import type { SimulationPlan } from './plan.ts'

/** A law of the log or a rule of the history that does not hold. */
export type SimulationBreach =
  | ({ readonly kind: 'log'; readonly step: number } & LawBreach)
  | ({ readonly kind: 'history'; readonly step: number } & HistoryBreach)

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
}

/** `log law 4`, `history rule 2`. */
export function nameOfBreach(breach: SimulationBreach): string {
  return breach.kind === 'log' ? `log law ${breach.law}` : `history rule ${breach.rule}`
}
