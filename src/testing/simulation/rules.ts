/** The rules that a scenario has of its own. One that throws is broken, and says nothing more in that run. */
import type { HistoryFact } from '../check-history.ts'
import type { RuleBreach } from './report.ts'
import type { Scenario } from './scenario.ts'

export interface RuleChecker {
  /** The next fact. Gives the rules that it breaks. */
  see(fact: HistoryFact): readonly RuleBreach[]
}

export function createRuleChecker(given: Scenario['rules'] = {}): RuleChecker {
  const rules = new Map(Object.entries(given).map(([rule, create]) => [rule, create()]))
  return {
    see(fact) {
      const broken: RuleBreach[] = []
      for (const [rule, see] of rules) {
        try {
          see(fact)
        } catch (error) {
          rules.delete(rule)
          broken.push({ rule, message: error instanceof Error ? error.message : String(error) })
        }
      }
      return broken
    },
  }
}
