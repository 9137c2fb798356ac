/**
 * Time as the machine gives it to this process. Other processes make whatever is timed by the clock as late as they like,
 * so what has to be quick is timed by this.
 */
const TICK_MS = 5

let ticks = 0
setInterval(() => (ticks += 1), TICK_MS).unref()

/**
 * Gives the milliseconds since the start: as many as this process has waited in steps of 5 ms, each of which lasts longer on
 * a busy machine, or as it has had the processors, where that is more. Never more than by the clock.
 */
export function startStopwatch(): () => number {
  const fromTicks = ticks
  const fromCpu = process.cpuUsage()
  const fromMs = performance.now()
  return () => {
    const { user, system } = process.cpuUsage(fromCpu)
    const ownMs = Math.max((ticks - fromTicks) * TICK_MS, (user + system) / 1_000)
    return Math.min(ownMs, performance.now() - fromMs)
  }
}
