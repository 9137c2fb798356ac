/** What came of a case, and whether its gate holds. */
import type { Case, Unit } from '../cases/case.ts'
import { toSpread, type Spread } from '../statistics.ts'
import type { ProcessResult } from './results.ts'

/** The rounds of one figure, by process. */
export function roundsOf(processes: readonly ProcessResult[], row: string, figure: string): (readonly number[])[] {
  return processes.map(({ rows }) => rows.find(({ name }) => name === row)?.figures[figure] ?? [])
}

export interface Verdict {
  readonly spread: Spread
  readonly isMissed: boolean
  /** `met`, `over, within the gate`, `MISSED`, or nothing where nothing was asked for. */
  readonly word: string
}

export function judge(one: Case & { readonly value: string }, processes: readonly ProcessResult[]): Verdict {
  const spread = toSpread(roundsOf(processes, '', one.value))
  // What is no number is missed as well.
  const isMissed = one.gate !== undefined && !(spread.middle <= one.gate)
  const limit = one.goal ?? one.gate
  if (isMissed) return { spread, isMissed, word: 'MISSED' }
  if (limit === undefined) return { spread, isMissed, word: '' }
  const within = one.gate === undefined ? 'over' : 'over, within the gate'
  return { spread, isMissed, word: spread.middle > limit ? within : 'met' }
}

export function format(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return '–'
  if (unit === '×') return `${value.toFixed(2)} ×`
  return `${toText(value)} ${unit}`
}

/** As many digits as a measurement is good for. */
export function toText(value: number): string {
  if (Number.isNaN(value)) return '–'
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString('en')
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}
