/** How a case is told what to measure, and how it tells what it has measured. */

/** Raw rounds by the name of the figure; a figure that is measured once has one. */
export type Figures = Readonly<Record<string, readonly number[]>>

/** What one line of a table is made of. */
export interface Row {
  /** Whose work it is; empty where a case has a single row. */
  readonly name: string
  readonly figures: Figures
  /** Why a figure is not there, or is worth nothing, by its name. */
  readonly notes?: Readonly<Record<string, string>>
  /** What the others in the table do and this one does not. */
  readonly lacks?: string
}

/** The arguments of a case: `name=value`. */
export function readArguments(): Readonly<Record<string, string>> {
  const pairs = process.argv.slice(2).map((argument): [string, string] => {
    const [name = '', value = ''] = argument.split('=', 2)
    return [name, value]
  })
  return Object.fromEntries(pairs)
}

let hasReported = false

// A case ends with its runner, however that ends.
process.once('disconnect', () => {
  if (!hasReported) process.exit(1)
})

/** Hands the only row of a case over. */
export function report(measured: Readonly<Record<string, number | readonly number[]>>): void {
  const figures = Object.entries(measured).map(([name, value]): [string, readonly number[]] => [
    name,
    typeof value === 'number' ? [value] : value,
  ])
  reportRows([{ name: '', figures: Object.fromEntries(figures) }])
}

/** Hands the rows to the runner, or to the reader when a case is run by hand. */
export function reportRows(rows: readonly Row[]): void {
  hasReported = true
  if (process.send === undefined) return console.dir(rows, { depth: 3 })
  // Some packages listen to the runner, and would keep the process for that.
  process.send(rows, undefined, undefined, () => process.disconnect())
}
