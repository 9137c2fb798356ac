/** What is run, and what is asked of what it measures. */

export type SectionName = 'calls' | 'live' | 'watchers' | 'trees' | 'loop' | 'stores'

export interface Case {
  readonly name: string
  readonly section: SectionName
  readonly file: string
  readonly arguments: readonly string[]
  /** The figure that counts, with its unit. Absent: the case has rows of several sides and a table of its own. */
  readonly value?: string
  readonly unit?: Unit
  /** The case fails above this. Absent: reported only. */
  readonly gate?: number
  /** What is hoped for, where that is less than what is asked for. */
  readonly goal?: number
  /** A case that is long by itself, or hardly differs from run to run, runs in fewer processes. */
  readonly processes?: number
}

export type Unit = '×' | 'B' | 'ms' | '%' | 'µs'

/** How long the cases take. */
export interface Effort {
  /** One process for each case and short rounds. */
  readonly isQuick: boolean
  /** The stores get a million tasks to forget. */
  readonly isLong: boolean
}
