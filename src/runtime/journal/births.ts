/**
 * Children of which the store has yet to say whether they are there, while nobody here waits for them any more: their callers
 * were told that the store is away, or this process has let go of the tree. Until that is known, and such a child has its end,
 * its parent is not taken up again: it could end before its child.
 */
import type { LiveTask } from '../live-task.ts'

export interface Births {
  begin(child: LiveTask): void
  /** The child never came to be, or has its end, or is the store's to give to others. Does nothing for any other task. */
  end(child: LiveTask): void
  isUnderWay(parentId: string): boolean
}

export function createBirths(): Births {
  const byParent = new Map<string, Set<LiveTask>>()
  return {
    begin(child) {
      const { parentId } = child
      if (parentId === undefined) return
      byParent.set(parentId, (byParent.get(parentId) ?? new Set()).add(child))
    },
    end(child) {
      // Mostly there is none, and this is asked with every commit.
      if (byParent.size === 0 || child.parentId === undefined) return
      const children = byParent.get(child.parentId)
      children?.delete(child)
      if (children?.size === 0) byParent.delete(child.parentId)
    },
    isUnderWay: (parentId) => byParent.has(parentId),
  }
}
