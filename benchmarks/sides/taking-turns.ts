/** Sides that take turns: each runs a round while the others wait, so that what else the machine does hits all of them. */
import { ABSENT } from '../peers/index.ts'
import type { Row } from '../reporting.ts'
import { factsOf, startSide, whyNotHere, type Side, type SideName } from './start-side.ts'

/** A round takes about this long, and at least one batch. */
const ROUND_MS = 200

export interface Contest {
  readonly sides: readonly Side[]
  /** Rows of those that cannot run here. */
  readonly absent: readonly Row[]
  close(): void
}

export function startSides(names: readonly SideName[]): Contest {
  const absent: Row[] = ABSENT.map(({ name, why }) => ({ name, figures: {}, notes: { '': why } }))
  const sides: Side[] = []
  for (const name of names) {
    const why = whyNotHere(name)
    if (why === undefined) sides.push(startSide(name))
    else absent.push({ name: factsOf(name).title, figures: {}, notes: { '': why } })
  }
  return {
    sides,
    absent,
    close() {
      for (const side of sides) side.close()
    },
  }
}

/** The rounds of each side, by its name. Whose turn it is first changes from round to round. */
export async function takeTurns<Timing>(
  sides: readonly Side[],
  roundsOf: (side: Side) => number,
  runRound: (side: Side) => Promise<Timing>,
): Promise<Map<SideName, Timing[]>> {
  const timings = new Map<SideName, Timing[]>(sides.map(({ name }) => [name, []]))
  const most = Math.max(...sides.map(roundsOf))
  for (let round = 0; round < most; round += 1) {
    const first = (round * 3) % Math.max(1, sides.length)
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) {
      if (round < roundsOf(side)) timings.get(side.name)?.push(await runRound(side))
    }
  }
  return timings
}

/** How many tasks make a round, in whole thousands. */
export function countFor(us: number, most: number): number {
  const thousands = Math.floor(ROUND_MS / us)
  return 1_000 * Math.max(1, Math.min(thousands, most / 1_000))
}

/** How much longer it took than the others' round beside it. */
export function ratiosTo(beside: readonly number[], own: readonly number[]): number[] {
  return own.map((us, round) => us / (beside[round] ?? Number.NaN))
}
