/**
 * Concurrency keys: of one owner, one task at a time holds a key. Tasks of this process stand in a line for each key;
 * between processes the store's claim decides.
 *
 * waiting: the task is behind another one.
 * claiming: it is first in its line and asks the store for the claim.
 * holding: it has the claim, until its end is public.
 *
 * 1. No two tasks hold one key of one owner, in any number of processes.
 * 2. A task never waits for a key whose holder needs the end of that task, or of one above it: it is refused.
 * 3. Who waits is told once that it holds the key, or leaves by its end.
 */
import { decideBusyKey } from '../../../machines/policies/busy-key.ts'
import { TaskError } from '../../errors.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { Claim } from '../../ports/task-store.ts'
import { dependsOn } from './depends-on.ts'
import type { Journal } from '../journal/journal.ts'
import type { LiveTask } from '../live-task.ts'
import type { KeyWish } from '../task-spec.ts'

/** How often a claim that another process holds is tried again, in milliseconds. */
const RETRY_CLAIM_MS = 2_000

export interface Keys {
  /** How many tasks wait behind another one. */
  waitingCount(): number
  /** Whether a new task would have to wait. @throws `key_busy`, `key_held_by_ancestor` */
  wouldWait(wish: KeyWish & { readonly owner: string }, parent: LiveTask | undefined): boolean
  /** Puts a new task in its line, and stops what it supersedes. */
  enter(task: LiveTask): void
  /** The claim that has to be in the admitting commit. */
  claimOf(task: LiveTask): Claim | undefined
  /** What the store said to that claim. */
  noteAdmission(task: LiveTask, isGranted: boolean, holderId?: string): void
  /** Calls back once an admitted task holds its key: at once, or later. */
  whenHolding(task: LiveTask, start: () => void): void
  /** Takes one more key for a task that runs. @throws `key_busy`, `key_held_by_ancestor` */
  hold(task: LiveTask, key: string): Promise<void>
  /** The end of the task is public, or it never came to be. */
  release(task: LiveTask): void
  /** Those whose start needs the end of this task. */
  waitingFor(task: LiveTask): readonly LiveTask[]
  /** Those that hold a key. */
  holders(): readonly LiveTask[]
}

interface Line {
  readonly id: string
  readonly claim: Claim
  first: LiveTask | undefined
  isHolding: boolean
  readonly waiting: Set<LiveTask>
  /** Of those that are admitted: what starts them. */
  readonly starts: Map<LiveTask, () => void>
  retry: Moment | undefined
}

export function createKeys(parts: {
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly supersede: (tasks: readonly LiveTask[], by: LiveTask) => void
  /** Stops a holder in another process. Resolves once it has ended, or cannot be reached. */
  readonly supersedeElsewhere: (holderId: string, by: LiveTask) => Promise<void>
}): Keys {
  const { deadlines, journal } = parts
  const lines = new Map<string, Line>()
  const linesOf = new Map<LiveTask, Line[]>()
  let waitingCount = 0

  const openLine = (owner: string, key: string): Line => {
    const id = idOf(owner, key)
    const claim: Claim = { owner, kind: 'concurrency', key }
    const line = {
      id,
      claim,
      first: undefined,
      isHolding: false,
      waiting: new Set(),
      starts: new Map(),
      retry: undefined,
    }
    lines.set(id, line as Line)
    return line as Line
  }

  const join = (task: LiveTask, line: Line): void => {
    linesOf.set(task, [...(linesOf.get(task) ?? []), line])
    if (line.first === undefined) {
      line.first = task
      return
    }
    line.waiting.add(task)
    waitingCount += 1
  }

  const stopWaiting = (task: LiveTask, line: Line): void => {
    if (line.waiting.delete(task)) waitingCount -= 1
  }

  const start = (task: LiveTask, line: Line): void => {
    const begin = line.starts.get(task)
    line.starts.delete(task)
    // Not on the stack of whoever made room.
    if (begin !== undefined) queueMicrotask(begin)
  }

  const takeClaim = (line: Line): void => {
    const task = line.first
    if (task === undefined || task.finalStatus !== undefined) return
    journal.claim(task, line.claim, (isGranted, holderId) => noteClaim(task, line, isGranted, holderId))
  }

  const noteClaim = (task: LiveTask, line: Line, isGranted: boolean, holderId?: string): void => {
    if (line.first !== task) return
    line.isHolding = isGranted
    if (isGranted) return start(task, line)
    line.retry = deadlines.after(RETRY_CLAIM_MS, takeClaim, line)
    if (holderId === undefined || !supersedesHolder(task, line)) return
    void parts.supersedeElsewhere(holderId, task).then(() => {
      if (line.first !== task || line.isHolding) return
      line.retry?.disarm()
      takeClaim(line)
    })
  }

  const supersedesHolder = ({ spec: { concurrency } }: LiveTask, line: Line): boolean =>
    concurrency?.key === line.claim.key && decideBusyKey(concurrency.onBusy).supersedesHolder

  const moveUp = (line: Line): void => {
    for (const next of line.waiting) {
      stopWaiting(next, line)
      if (next.finalStatus !== undefined) continue
      line.first = next
      // One that is not admitted yet claims once it is.
      if (line.starts.has(next)) takeClaim(line)
      return
    }
    lines.delete(line.id)
  }

  const leave = (task: LiveTask, line: Line): void => {
    line.starts.delete(task)
    stopWaiting(task, line)
    if (line.first !== task) return
    line.first = undefined
    line.isHolding = false
    line.retry?.disarm()
    line.retry = undefined
    moveUp(line)
  }

  const waitingFor = (task: LiveTask): readonly LiveTask[] =>
    (linesOf.get(task) ?? []).flatMap((line) => (line.first === task ? [...line.waiting] : []))

  /** @throws `key_held_by_ancestor` */
  const refuseCycle = (line: Line, parent: LiveTask | undefined): void => {
    if (parent === undefined || line.first === undefined || !dependsOn(line.first, parent, waitingFor)) return
    throw new TaskError('key_held_by_ancestor', 'The task that holds this key waits for the one that asks for it.', {
      taskId: line.first.taskId,
    })
  }

  const busy = (line: Line): TaskError =>
    new TaskError('key_busy', 'Another live task of this owner holds the key.', { taskId: line.first?.taskId })

  const firstLineOf = (task: LiveTask): Line | undefined => linesOf.get(task)?.[0]

  return {
    waitingCount: () => waitingCount,

    wouldWait({ owner, key, onBusy }, parent) {
      const line = lines.get(idOf(owner, key))
      if (line === undefined) return false
      refuseCycle(line, parent)
      if (!decideBusyKey(onBusy).mayWait) throw busy(line)
      return true
    },

    enter(task) {
      const { owner, concurrency } = task.spec
      if (concurrency === undefined) return
      const line = lines.get(idOf(owner, concurrency.key)) ?? openLine(owner, concurrency.key)
      const { supersedesWaiting, supersedesHolder } = decideBusyKey(concurrency.onBusy)
      const before = [
        ...(supersedesHolder && line.first !== undefined ? [line.first] : []),
        ...(supersedesWaiting ? line.waiting : []),
      ]
      join(task, line)
      if (before.length > 0) parts.supersede(before, task)
    },

    claimOf(task) {
      const line = firstLineOf(task)
      return line?.first === task ? line.claim : undefined
    },

    noteAdmission(task, isGranted, holderId) {
      const line = firstLineOf(task)
      if (line?.first === task) noteClaim(task, line, isGranted, holderId)
    },

    whenHolding(task, begin) {
      const line = firstLineOf(task)
      if (line === undefined || (line.first === task && line.isHolding)) return begin()
      line.starts.set(task, begin)
      // It came to be first while the store admitted it without the claim.
      if (line.first === task && line.retry === undefined) takeClaim(line)
    },

    hold: (task, key) =>
      new Promise((resolve, reject) => {
        const { owner } = task.spec
        const known = lines.get(idOf(owner, key))
        if (known?.first === task) return resolve()
        if (known !== undefined) {
          refuseCycle(known, task)
          throw busy(known)
        }
        const line = openLine(owner, key)
        join(task, line)
        journal.claim(task, line.claim, (isGranted) => {
          line.isHolding = isGranted
          if (isGranted) return resolve()
          leave(task, line)
          reject(new TaskError('key_busy', 'A task in another process holds the key.'))
        })
      }),

    release(task) {
      const entered = linesOf.get(task)
      if (entered === undefined) return
      linesOf.delete(task)
      for (const line of entered) leave(task, line)
    },

    waitingFor,

    holders: () =>
      Array.from(lines.values()).flatMap(({ first, isHolding }) => (first !== undefined && isHolding ? [first] : [])),
  }
}

/** Owners hold no control characters, so the id is unambiguous. */
function idOf(owner: string, key: string): string {
  return `${owner}\u0000${key}`
}
