/** What a child takes from its parent, and what happens to it when the parent ends. */

/** What happens to a live child when its parent's own code has succeeded. */
export type OnParentEnd = 'wait' | 'cancel' | 'detach'

/** What a child's failure does to its parent. */
export type OnChildFailure = 'isolate' | 'fail'

/** The run of an agent that a task belongs to, as its host names it. Children inherit what they do not set. */
export interface Correlation {
  readonly runId?: string
  readonly callId?: string
  readonly agentId?: string
}

export interface Lineage {
  readonly parentId: string | undefined
  readonly rootId: string
  /** 0 for a root. */
  readonly depth: number
  readonly correlation: Correlation | undefined
}

/** The place of a new task in its tree. */
export function decideLineage(
  taskId: string,
  parent: (Lineage & { readonly taskId: string }) | undefined,
  own: Correlation | undefined,
): Lineage {
  if (parent === undefined) return { parentId: undefined, rootId: taskId, depth: 0, correlation: own }
  const correlation = own === undefined ? parent.correlation : { ...parent.correlation, ...own }
  return { parentId: parent.taskId, rootId: parent.rootId, depth: parent.depth + 1, correlation }
}
