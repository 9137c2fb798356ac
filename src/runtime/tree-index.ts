/**
 * Who hangs below whom. Owners are the top nodes, root tasks hang below them, children below their parents: cancelling
 * a task, a tree or all of an owner is the same walk from another node. Links are in the tasks; no walk recurses, so no
 * depth is too deep.
 */
import type { LiveTask, OwnerNode, TreeNode } from './live-task.ts'

export interface TreeIndex {
  /** The owner's node, made when it is first needed. */
  requireOwner(owner: string): OwnerNode
  findOwner(owner: string): OwnerNode | undefined
  owners(): IterableIterator<OwnerNode>
  link(task: LiveTask): void
  /** Takes an ended task out. */
  unlink(task: LiveTask): void
  /** Lets a child go on as a tree of its own. */
  detach(task: LiveTask): void
}

export function createTreeIndex(): TreeIndex {
  const nodes = new Map<string, OwnerNode>()

  const requireOwner = (owner: string): OwnerNode => {
    const known = nodes.get(owner)
    if (known !== undefined) return known
    const node: OwnerNode = { kind: 'owner', owner, firstChild: undefined, childCount: 0 }
    nodes.set(owner, node)
    return node
  }

  const link = (task: LiveTask): void => {
    const { above } = task
    task.nextSibling = above.firstChild
    if (above.firstChild !== undefined) above.firstChild.previousSibling = task
    above.firstChild = task
    above.childCount += 1
  }

  const unlink = (task: LiveTask): void => {
    const { above, nextSibling, previousSibling } = task
    if (previousSibling === undefined) above.firstChild = nextSibling
    else previousSibling.nextSibling = nextSibling
    if (nextSibling !== undefined) nextSibling.previousSibling = previousSibling
    task.nextSibling = undefined
    task.previousSibling = undefined
    above.childCount -= 1
    if (above.kind === 'owner' && above.childCount === 0) nodes.delete(task.spec.owner)
  }

  return {
    requireOwner,
    findOwner: (owner) => nodes.get(owner),
    owners: () => nodes.values(),
    link,
    unlink,
    detach(task) {
      unlink(task)
      task.above = requireOwner(task.spec.owner)
      link(task)
    },
  }
}

/** The live children of a node, the youngest first. */
export function* childrenOf(node: TreeNode): Generator<LiveTask> {
  let child = node.firstChild
  while (child !== undefined) {
    const { nextSibling } = child
    yield child
    child = nextSibling
  }
}

function childrenNow(node: TreeNode): LiveTask[] {
  const found: LiveTask[] = []
  for (let child = node.firstChild; child !== undefined; child = child.nextSibling) found.push(child)
  return found
}

/** Everything below a node, each parent before its children. Reversed, it is deepest first. */
export function descendantsOf(node: TreeNode): LiveTask[] {
  const found: LiveTask[] = []
  let expanded = -1
  let current: TreeNode | undefined = node
  while (current !== undefined) {
    for (let child = current.firstChild; child !== undefined; child = child.nextSibling) found.push(child)
    expanded += 1
    current = found[expanded]
  }
  return found
}

/**
 * Tasks with everything below them, deepest first; of one depth, in the order of the walk. `take` is asked once for each, above
 * before below, and what it does not take is left out with everything below it.
 */
export function deepestFirst(
  tops: readonly LiveTask[],
  take: (task: LiveTask, isTop: boolean) => boolean,
): readonly LiveTask[] {
  const layers: (LiveTask[] | undefined)[] = []
  const layerAt = (depth: number): LiveTask[] => (layers[depth] ??= [])
  for (const top of tops) if (take(top, true)) layerAt(top.depth).push(top)
  for (let depth = 0; depth < layers.length; depth += 1) {
    for (const { firstChild } of layers[depth] ?? []) {
      if (firstChild === undefined) continue
      const below = layerAt(depth + 1)
      for (let child: LiveTask | undefined = firstChild; child !== undefined; child = child.nextSibling)
        if (take(child, false)) below.push(child)
    }
  }
  const found: LiveTask[] = []
  for (const layer of layers.reverse()) for (const task of layer ?? []) found.push(task)
  return found
}

/** The live tasks of an owner, or of one run of that owner, that hang below no other of them. */
export function topTasks(tree: TreeIndex, owner: string, runId: string | undefined): LiveTask[] {
  const node = tree.findOwner(owner)
  if (node === undefined) return []
  if (runId === undefined) return childrenNow(node)
  const covered = new Set<TreeNode>()
  return descendantsOf(node).filter((task) => {
    const isBelow = covered.has(task.above)
    if (!isBelow && task.correlation?.runId !== runId) return false
    covered.add(task)
    return !isBelow
  })
}
