/**
 * Deliveries that nobody who is known owes. A process that does not know yet that it was forgotten may ask for one under that
 * name, and a store that one process had for itself has them without a name.
 *
 * 1. A look reads one page of what is under way, and the next look goes on after it. Between the last page and the first one
 *    there are `RESTING_LOOKS` that read nothing.
 * 2. From the first page to the last each name is asked for once.
 */
import type { Awaitable } from '../../ports/awaitable.ts'
import type { Overdue } from './overdue.ts'

const RESTING_LOOKS = 29

/** Takes up what it finds. `isKnown`: whether the deliveries of a node are somebody else's to look for. */
export type LookForForgotten = (isKnown: (node: string) => boolean, mayGoOn: () => boolean) => Promise<void>

export function createLookForForgotten(parts: {
  readonly overdue: Overdue
  /** Whether a node is not there, or not there any more. */
  readonly isForgotten: (node: string) => Awaitable<boolean>
}): LookForForgotten {
  const asked = new Map<string, boolean>()
  let after: string | undefined
  let resting = 0

  return async (isKnown, mayGoOn) => {
    if (resting > 0) {
      resting -= 1
      return
    }
    const isGone = async (node: string | undefined): Promise<boolean> => {
      if (node === undefined) return true
      if (isKnown(node)) return false
      const isForgotten = asked.get(node) ?? (await parts.isForgotten(node))
      asked.set(node, isForgotten)
      return isForgotten
    }
    const last = await parts.overdue.takeUpPage(after, isGone, mayGoOn)
    // What it was kept from is there for the next look.
    if (!mayGoOn()) return
    after = last
    if (last !== undefined) return
    asked.clear()
    resting = RESTING_LOOKS
  }
}
