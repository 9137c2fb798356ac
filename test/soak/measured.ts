/** What is measured of a process again and again, by what it is, and what is made of that. */
import type { Sample } from './growth.ts'

/** What is not named is 0. */
export type Values = Readonly<Record<string, number>>

/** Of each the mean: what happens to be under way at one moment counts for little. */
export function meanOf(measured: readonly Values[]): Values {
  const mean = (name: string): number => measured.reduce((sum, one) => sum + (one[name] ?? 0), 0) / measured.length
  return Object.fromEntries(namesOf(measured).map((name) => [name, mean(name)]))
}

/** A series for each. */
export function seriesOf(
  samples: readonly { readonly atMs: number; readonly values: Values }[],
): Readonly<Record<string, readonly Sample[]>> {
  const names = namesOf(samples.map(({ values }) => values))
  return Object.fromEntries(
    names.map((name) => [name, samples.map(({ atMs, values }) => ({ atMs, value: values[name] ?? 0 }))]),
  )
}

function namesOf(all: readonly Values[]): string[] {
  return [...new Set(all.flatMap((values) => Object.keys(values)))]
}
