/** Finds a shorter plan that breaks the same law: the shortest story is the one that is understood. */
import type { SimulationStep } from './plan.ts'
import type { Scenario } from './scenario.ts'
import { nameOfBreach, type SimulationBreach, type SimulationReport } from './report.ts'

/** How many shorter plans are tried at most. */
const MAX_TRIES = 1_500

/**
 * Leaves out steps, many at first, then one by one, as long as the same law breaks; then passes are joined and calls made
 * simpler in the same way. Deterministic, as everything else.
 */
export async function shorten(
  report: SimulationReport,
  first: SimulationBreach,
  {
    scenario,
    carryOut,
  }: {
    readonly scenario: Scenario
    readonly carryOut: (steps: readonly SimulationStep[]) => Promise<SimulationReport>
  },
): Promise<SimulationReport> {
  let best: SimulationReport = { ...report }
  // What came after the breach has no part in it.
  let steps: readonly SimulationStep[] = report.plan.steps.slice(0, first.step + 1)
  let tries = 0
  const mayTry = (): boolean => tries < MAX_TRIES

  const breaksAlike = async (candidate: readonly SimulationStep[]): Promise<boolean> => {
    tries += 1
    const found = await carryOut(candidate)
    if (!found.breaches.some((breach) => nameOfBreach(breach) === nameOfBreach(first))) return false
    best = found
    return true
  }

  /** Says whether a step has gone. */
  const leaveOut = async (): Promise<boolean> => {
    const before = steps.length
    for (let size = Math.ceil(steps.length / 2); size >= 1; size = size > 1 ? Math.ceil(size / 2) : 0) {
      for (let from = 0; from < steps.length && mayTry();) {
        const candidate = [...steps.slice(0, from), ...steps.slice(from + size)]
        if (await breaksAlike(candidate)) steps = candidate
        else from += size
      }
    }
    return steps.length < before
  }

  const simplifyAt = async (index: number): Promise<boolean> => {
    const step = steps[index]
    if (step === undefined || !('call' in step)) return false
    for (const call of scenario.simplify?.(step.call) ?? []) {
      if (!mayTry()) return false
      const candidate = steps.with(index, { ...step, call })
      if (!(await breaksAlike(candidate))) continue
      steps = candidate
      return true
    }
    return false
  }

  /** Time that passes in pieces passes at once. */
  const joinPasses = async (): Promise<boolean> => {
    const before = steps.length
    for (let index = 0; index < steps.length && mayTry();) {
      const [step, next] = [steps[index], steps[index + 1]]
      const joined = step?.do === 'pass' && next?.do === 'pass' ? { ...step, ms: step.ms + next.ms } : undefined
      const candidate = joined === undefined ? undefined : steps.toSpliced(index, 2, joined)
      if (candidate !== undefined && (await breaksAlike(candidate))) steps = candidate
      else index += 1
    }
    return steps.length < before
  }

  for (let hasChanged = true; hasChanged && mayTry();) {
    hasChanged = await leaveOut()
    if (await joinPasses()) hasChanged = true
    for (const index of steps.keys()) while (await simplifyAt(index)) hasChanged = true
  }
  return { ...best, drawnSteps: report.drawnSteps }
}
