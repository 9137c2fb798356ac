/** Those who hear of the end of one task. Most tasks have none, and no array for them. */
import type { LiveTask } from './live-task.ts'

/** Called once the task is final. */
export function onEnd(task: LiveTask, listener: () => void): void {
  // An array that is made with its item is smaller than one that has grown.
  if (task.endListeners === undefined) task.endListeners = [listener]
  else task.endListeners.push(listener)
}
