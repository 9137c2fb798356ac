/** Who needs whose end. */
import type { LiveTask } from '../live-task.ts'
import { parentOf } from '../task-status.ts'

/**
 * Whether the end of `task` needs the end of `waiter`: it is the waiter, or above it, or waits for something that is, or
 * for a key of something that is. Looked up from the waiter, where there are few to visit.
 */
export function dependsOn(
  task: LiveTask,
  waiter: LiveTask,
  waitingForKeysOf: (holder: LiveTask) => Iterable<LiveTask>,
): boolean {
  const visited = new Set<LiveTask>()
  const rest = [waiter]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (next === task) return true
    if (visited.has(next)) continue
    visited.add(next)
    const parent = parentOf(next)
    if (parent !== undefined && next.spec.policy.onParentEnd !== 'detach') rest.push(parent)
    for (const awaiting of next.awaitedBy ?? []) rest.push(awaiting)
    for (const behind of waitingForKeysOf(next)) rest.push(behind)
  }
  return false
}
