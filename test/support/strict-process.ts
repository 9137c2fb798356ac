/**
 * Runs in every test file: a process warning (a leaking listener, a deprecated call, a late rejection handler) fails the
 * file it came from. Unhandled rejections and uncaught exceptions fail the run already.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll } from 'vitest'

const warnings: Error[] = []

process.on('warning', (warning) => {
  warnings.push(warning)
})

afterAll(async () => {
  // Node hands out warnings on a later tick than the code that caused them.
  await nextTurn()
  const seen = warnings.splice(0)
  if (seen.length > 0) {
    throw new AggregateError(
      seen,
      `process warnings: ${seen.map(({ name, message }) => `${name}: ${message}`).join('; ')}`,
    )
  }
})
