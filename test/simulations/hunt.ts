/**
 * Looks for a breach: `hunt.js SEEDS STEPS`. Seed by seed, then among the plans that were kept. Prints the first one as
 * JSON, or `null`.
 */
import { nameOfBreach, replayPlan, simulate, taskTrees, toTestFile, type SimulationReport } from 'outlive/testing'
import { KEPT_PLANS } from './kept-plans.ts'

const [seeds = 0, steps = 0] = process.argv.slice(2).map(Number)
const breachOf = (report: SimulationReport): object | undefined => {
  const [first] = report.breaches
  if (first === undefined) return undefined
  const files = { node: toTestFile(report), vitest: toTestFile(report, { runner: 'vitest' }) }
  return { seed: report.plan.seed, name: nameOfBreach(first), message: first.message, files }
}

async function hunt(): Promise<object | null> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    // Every other one is calm: without faults of the store all laws are asked for.
    const faults = seed % 2 === 0 ? {} : { faults: ['crash', 'stop', 'channelFault'] as const }
    const found = breachOf(await simulate(taskTrees(), { seed, steps, shorten: false, ...faults }))
    if (found !== undefined) return found
  }
  for (const plan of KEPT_PLANS) {
    const found = breachOf(await replayPlan(taskTrees(), plan))
    if (found !== undefined) return found
  }
  return null
}

console.log(JSON.stringify(await hunt()))
process.exit(0)
