/** Work in the background, done by everyone who has it: 5,000 started, then released until all have ended, then asked for. */
import { readArguments, reportRows, type Row } from './reporting.ts'
import { factsOf, type SideName } from './sides/start-side.ts'
import { ratiosTo, startSides, takeTurns } from './sides/taking-turns.ts'

const { rounds = '5', tasks = '5000' } = readArguments()

const NAMES: readonly SideName[] = [
  'outlive',
  'floor',
  'effectFork',
  'mcpTaskStore',
  'xstateActors',
  'stargazer',
  'outliveMachine',
]
const STEPS = ['startUs', 'finishUs', 'fetchUs'] as const

const contest = startSides(NAMES)
try {
  const count = Number(tasks)
  const run = (most: number) =>
    takeTurns(
      contest.sides,
      () => most,
      (side) => side.ask({ kind: 'background', count }),
    )
  await run(2)
  const timings = await run(Number(rounds))
  const ours = timings.get('outlive') ?? []
  const rows = contest.sides.map(({ name }): Row => {
    const own = timings.get(name) ?? []
    const figures: Record<string, readonly number[]> = {}
    for (const step of STEPS) {
      const us = own.map((timing) => timing[step])
      figures[step] = us
      figures[step.replace('Us', 'Ratio')] = ratiosTo(
        ours.map((timing) => timing[step]),
        us,
      )
    }
    const { title, lacks } = factsOf(name)
    return { name: title, figures, ...(lacks === undefined ? {} : { lacks }) }
  })
  reportRows([...rows, ...contest.absent])
} finally {
  contest.close()
}
