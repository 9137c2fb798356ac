/** How often the children of a task may be tried again, all together. Pure: the moments are arguments. */

/** Restart intensity: more than `max` restarts within any `withinMs` are too many. */
export interface RestartIntensity {
  readonly max: number
  /** In milliseconds. */
  readonly withinMs: number
}

/** The moments of the restarts that still count, this one included; or nothing when this one is too many. */
export function decideRestart(
  limit: RestartIntensity,
  restartsAtMs: readonly number[],
  nowMs: number,
): readonly number[] | undefined {
  const recent = restartsAtMs.filter((atMs) => atMs > nowMs - limit.withinMs)
  return recent.length >= limit.max ? undefined : [...recent, nowMs]
}
