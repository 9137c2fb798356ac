/** Results as points of a chart. */
import { roundsOf } from '../runner/judge.ts'
import type { ProcessResult, SectionResult } from '../runner/results.ts'
import { toSpread } from '../statistics.ts'

export interface Point {
  /** The line of the chart. */
  readonly side: string
  /** What tells points of one line apart. */
  readonly kind: string
  readonly at: number
  readonly value: number
  readonly low: number
  readonly high: number
}

export function processesOf(results: readonly SectionResult[], name: string): readonly ProcessResult[] {
  return results.flatMap(({ cases }) => cases.filter((one) => one.name === name).flatMap(({ processes }) => processes))
}

/** A point for each row that has the figure. */
export function toPoints(
  processes: readonly ProcessResult[],
  figures: readonly { readonly figure: string; readonly kind: string; readonly at?: number }[],
): Point[] {
  return (processes[0]?.rows ?? []).flatMap((row) =>
    figures.flatMap(({ figure, kind, at = 0 }): Point[] => {
      const { middle, low, high } = toSpread(roundsOf(processes, row.name, figure))
      if (Number.isNaN(middle)) return []
      return [{ side: plain(row.name), kind, at, value: middle, low, high }]
    }),
  )
}

/** Titles are Markdown; drawings are not. */
export function plain(title: string): string {
  return title.replaceAll('`', '')
}
