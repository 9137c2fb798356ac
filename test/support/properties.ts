/**
 * The door to fast-check. What properties draw follows from one seed, so that what has passed passes again, on any machine.
 * `PROPERTY_SEED=random npm test` searches other cases; a failure tells its seed, and `PROPERTY_SEED=7 npm test` draws from 7.
 */
import fc from 'fast-check'
import { expect } from 'vitest'

const KEPT_SEED = 1

/** The seed that was asked for instead. */
const otherSeed = process.env['PROPERTY_SEED']
if (otherSeed !== 'random') fc.configureGlobal({ seed: Number(otherSeed ?? KEPT_SEED) })

export { fc }

/**
 * Fails where the cases of a property have reached one of these things less often than they have to, for what was checked
 * of them to mean something. It is asked of the kept seed only: other cases may reach less by chance.
 */
export function expectReached(counts: Readonly<Record<string, number>>, atLeast: number): void {
  if (otherSeed !== undefined) return
  for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThanOrEqual(atLeast)
}
