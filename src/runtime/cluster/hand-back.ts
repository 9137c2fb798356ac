/** At the end of this process: what may run again goes to others. */
import type { LiveTask } from '../live-task.ts'

/** Resolves once none of it is live here. */
export function createHandBack(parts: {
  readonly live: ReadonlyMap<string, LiveTask>
  /** Whether others take over what this process leaves. */
  readonly canHandBack: () => boolean
  readonly handBack: (task: LiveTask) => void
  readonly whenAllEnded: (tasks: readonly LiveTask[]) => Promise<void>
}): () => Promise<void> {
  const mayGoOn = (task: LiveTask): boolean =>
    task.above.kind === 'owner' &&
    task.spec.recovery !== undefined &&
    task.log !== undefined &&
    task.finalStatus === undefined &&
    task.stop === undefined

  return async () => {
    if (!parts.canHandBack()) return
    // Children that outlive their parents become roots, and have their turn in the next round.
    for (;;) {
      const round = [...parts.live.values()].filter(mayGoOn)
      if (round.length === 0) return
      const ended = parts.whenAllEnded(round)
      for (const task of round) parts.handBack(task)
      await ended
    }
  }
}
