/**
 * Puts commits together that come close to each other: for stores where each write costs a round trip, or a wait for the
 * disk.
 *
 * The commits of one turn of the loop make a group, and so do those that come while earlier groups are on their way. Where
 * several may be, each has its share of what is unanswered: the store works on one while the answers to another cause commits.
 *
 * 1. Groups are written in the order in which their commits came, and a group holds them in that order.
 * 2. A group that could not be written fails for all who have a commit in it. Nothing is written twice from here.
 */
import type { Commit, CommitReply } from './ports/task-store.ts'

export interface CommitGroupsOptions {
  /** How many commits a group has at most. @defaultValue 100 */
  readonly maxCommits?: number
  /** How many groups are on their way at a time. @defaultValue 1 */
  readonly maxOnTheWay?: number
}

/** Fewer are not shared: each group costs a call. */
const MIN_SHARED = 16

interface Waiting<Change, Reply> {
  readonly change: Change
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

/**
 * Makes the `commit` of a store from a function that writes many commits at once and gives their replies in the same order.
 *
 * @example
 * ```ts
 * import { groupCommits, type Commit, type CommitReply } from 'outlive'
 *
 * const writeAll = async (commits: readonly Commit[]): Promise<readonly CommitReply[]> =>
 *   commits.map((_commit, index) => ({ kind: 'committed', ownerPosition: index + 1, position: index + 1 }))
 * const commit = groupCommits(writeAll, { maxCommits: 500 })
 * console.log(typeof commit) // function
 * ```
 */
export function groupCommits(
  write: (commits: readonly Commit[]) => Promise<readonly CommitReply[]>,
  options: CommitGroupsOptions = {},
): (commit: Commit) => Promise<CommitReply> {
  return groupWrites(write, options)
}

/** The same for changes of any kind. One that could not be written alone has an error for its reply. */
export function groupWrites<Change, Reply>(
  write: (changes: readonly Change[]) => Promise<readonly (Reply | Error)[]>,
  { maxCommits = 100, maxOnTheWay = 1 }: CommitGroupsOptions,
): (change: Change) => Promise<Reply> {
  const waiting: Waiting<Change, Reply>[] = []
  let onTheWay = 0
  let unanswered = 0
  let isPlanned = false

  const plan = (): void => {
    if (isPlanned || waiting.length === 0 || onTheWay >= maxOnTheWay) return
    isPlanned = true
    setImmediate(() => {
      isPlanned = false
      sendGroups()
    })
  }

  const sendGroups = (): void => {
    while (waiting.length > 0 && onTheWay < maxOnTheWay) {
      const share = Math.ceil((waiting.length + unanswered) / maxOnTheWay)
      const group = waiting.splice(0, Math.min(maxCommits, Math.max(MIN_SHARED, share)))
      onTheWay += 1
      unanswered += group.length
      void send(group)
    }
  }

  const settle = ({ resolve, reject }: Waiting<Change, Reply>, reply: Reply | Error | undefined): void => {
    if (reply instanceof Error) reject(reply)
    else resolve(reply as Reply)
  }

  const send = async (group: readonly Waiting<Change, Reply>[]): Promise<void> => {
    try {
      const replies = await write(group.map(({ change }) => change))
      if (replies.length !== group.length) throw new Error('the store has not answered each commit of a group')
      for (let index = 0; index < group.length; index += 1)
        settle(group[index] as Waiting<Change, Reply>, replies[index])
    } catch (error) {
      for (const { reject } of group) reject(error)
    } finally {
      onTheWay -= 1
      unanswered -= group.length
      plan()
    }
  }

  return (change) =>
    new Promise((resolve, reject) => {
      waiting.push({ change, resolve, reject })
      plan()
    })
}
