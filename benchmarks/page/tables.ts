/** Results as tables of Markdown. */
import type { Case, Unit } from '../cases/case.ts'
import type { Row } from '../reporting.ts'
import { format, judge, roundsOf, toText } from '../runner/judge.ts'
import type { ProcessResult } from '../runner/results.ts'
import { toSpread } from '../statistics.ts'

export type SingleCase = Case & { readonly value: string; readonly unit: Unit }

export function hasValue(one: Case): one is SingleCase {
  return one.value !== undefined && one.unit !== undefined
}

export interface Measured {
  readonly one: SingleCase
  readonly processes: readonly ProcessResult[]
}

/** A line for each case: what it measured, what is asked for, and the rest of its figures. */
export function renderTable(measured: readonly Measured[]): string {
  const lines = measured.map(({ one, processes }) => {
    const { spread, word } = judge(one, processes)
    const limit = [
      one.goal === undefined ? '' : `goal ${format(one.goal, one.unit)}`,
      one.gate === undefined ? '' : `gate ${format(one.gate, one.unit)}`,
    ]
    const others = Object.keys(processes[0]?.rows[0]?.figures ?? {}).filter((name) => name !== one.value)
    return [
      one.name,
      `${format(spread.middle, one.unit)}${rangeOf(spread)}`,
      limit.filter((text) => text !== '').join(', '),
      word,
      others.map((name) => `${name} ${toText(toSpread(roundsOf(processes, '', name)).middle)}`).join(', '),
    ]
  })
  return toTable(['case', 'measured', 'limit', '', 'besides'], lines)
}

/** Rows of several sides, as they are: every figure a column. */
export function renderCaseRows(processes: readonly ProcessResult[]): string {
  const rows = processes[0]?.rows ?? []
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  return renderSides(processes, [
    ...names.map((name): Column => ({ head: name, figure: name })),
    { head: 'without', of: 'lacks' },
  ])
}

/** A column: a figure, perhaps with a ratio beside it; or what a side lacks. */
export type Column =
  | { readonly head: string; readonly figure: string; readonly unit?: string; readonly ratio?: string }
  | { readonly head: string; readonly of: 'lacks' }

/** A line for each side that takes part. */
export function renderSides(
  processes: readonly ProcessResult[],
  columns: readonly Column[],
  toName: (name: string) => string = (name) => name,
): string {
  const lines = (processes[0]?.rows ?? []).map((row) => {
    const why = row.notes?.['']
    if (why !== undefined) return [toName(row.name), why, ...columns.slice(1).map(() => '')]
    return [toName(row.name), ...columns.map((column) => toCell(processes, row, column))]
  })
  return toTable(['', ...columns.map(({ head }) => head)], lines)
}

function toCell(processes: readonly ProcessResult[], row: Row, column: Column): string {
  if ('of' in column) return row.lacks ?? ''
  const { figure, unit, ratio } = column
  const note = row.notes?.[figure]
  if (note !== undefined) return note
  const spread = toSpread(roundsOf(processes, row.name, figure))
  if (Number.isNaN(spread.middle)) return '–'
  const value = `${toText(spread.middle)}${unit === undefined ? '' : ` ${unit}`}`
  if (ratio === undefined) return value
  const beside = toSpread(roundsOf(processes, row.name, ratio))
  return `${value}; ${toText(beside.middle)} ×${rangeOf(beside)}`
}

/** Where the middle half of the rounds lies, where there are enough of them to say so. */
function rangeOf({ low, high }: { readonly low: number; readonly high: number }): string {
  return Number.isNaN(low) || low === high ? '' : ` (${toText(low)} to ${toText(high)})`
}

export function toTable(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const toLine = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [toLine(heads), toLine(heads.map(() => '---')), ...lines.map(toLine)].join('\n')
}
