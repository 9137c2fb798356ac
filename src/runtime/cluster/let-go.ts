/**
 * What this process must not go on with, because its lease is lost or soon may be.
 *
 * fence: what would run again elsewhere is let go, with all it owns: the record stays as it is, and nothing more is written.
 * What holds a key is stopped, so that no other holder meets it.
 * lose: the same for every task of record. Others have them by now.
 *
 * Calls that are not of record are this process's own, and go on.
 */
import type { StopCause } from '../../../machines/vocabulary.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { Stopping } from '../life/stopping.ts'
import { deepestFirst } from '../tree-index.ts'

export interface LetGo {
  /** Says whether anything was let go that the store still gives to this node. */
  fence(): boolean
  lose(): void
}

const INTERRUPTED: StopCause = Object.freeze({ reason: 'interrupted', note: 'The lease of the process is over.' })

export function createLetGo(parts: {
  readonly live: ReadonlyMap<string, LiveTask>
  readonly journal: Journal
  readonly stopping: Stopping
  readonly keyHolders: () => Iterable<LiveTask>
}): LetGo {
  const { live, journal, stopping } = parts

  const rootsOfRecord = (): LiveTask[] =>
    [...live.values()].filter((task) => task.above.kind === 'owner' && task.log !== undefined)

  const stop = (roots: readonly LiveTask[]): void => {
    if (roots.length > 0) stopping.accept({ roots, cause: INTERRUPTED, rootEvent: 'task.interrupt' })
  }

  const letGo = (roots: readonly LiveTask[]): void => {
    // Parents first: one that heard of the end of a child before would still write its own.
    for (const task of deepestFirst(roots, () => true).toReversed()) journal.lose(task)
    stop(roots)
  }

  return {
    fence() {
      const again = rootsOfRecord().filter(({ spec }) => spec.recovery !== undefined)
      letGo(again)
      stop([...parts.keyHolders()].filter((task) => task.log?.refusal === undefined && task.finalStatus === undefined))
      return again.length > 0
    },
    lose: () => letGo(rootsOfRecord()),
  }
}
