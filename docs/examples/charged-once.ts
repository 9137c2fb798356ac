/**
 * A tool that charges a card: does anybody pay twice when processes die? A simulation lets them crash, pause and lose their
 * store under many seeds, and tells the shortest story in which it happens.
 */
import { defineTool } from 'outlive'
import { simulate, type Scenario, type SimulationReport } from 'outlive/testing'

/** `rerun`: what a dead process has begun is begun again by another one. `fail`: it ends as interrupted. */
export const paying = (recovery: 'rerun' | 'fail'): Scenario => ({
  source: { import: "import { paying } from './charged-once.js'", expression: `paying('${recovery}')` },
  settings: { leaseMs: 3_000 },
  tools: ({ sleep, effect }) => [
    defineTool({
      name: 'pay',
      policy: { recovery },
      run: async (order: number) => {
        effect('charge', order)
        await sleep(1_000) // until the bank has answered
        return `order ${order} is paid`
      },
    }),
  ],
  drawCall: (random) => ({ tool: 'pay', input: random.below(1_000_000) }),
  rules: {
    'nobody pays twice': () => {
      const paid = new Set<unknown>()
      return (fact) => {
        if (fact.type !== 'effect') return
        if (paid.has(fact.data)) throw new Error(`order ${String(fact.data)} is charged twice`)
        paid.add(fact.data)
      }
    },
  },
})

/** The shortest story of the first seed that breaks a rule, if one does. */
export async function findStory(scenario: Scenario, seeds: number): Promise<SimulationReport | undefined> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const report = await simulate(scenario, { seed, steps: 100 })
    if (report.breaches.length > 0) return report
  }
  return undefined
}
