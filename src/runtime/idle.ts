/** Waiting until an owner has nothing live besides whoever waits. */
import { onAbort } from '../abort-listeners.ts'
import { WaitTimeoutError } from '../errors.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { LiveTask, TreeNode } from './live-task.ts'
import { parentOf } from './task-status.ts'
import { childrenOf, type TreeIndex } from './tree-index.ts'
import type { Wait, Waits } from './waits.ts'

export interface Idle {
  /**
   * Resolves once no task of the owner lives, but for the task whose code waits and those above it.
   * @throws `wait_timeout`, `wait_cycle`, or the reason of the signal
   */
  whenIdle(owner: string, wait: Wait): Promise<void>
}

export function createIdle(parts: {
  readonly tree: TreeIndex
  readonly deadlines: Deadlines
  readonly waits: Waits
}): Idle {
  const { tree, deadlines, waits } = parts

  return {
    whenIdle: (owner, { waitMs, signal, waiter }) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        const line = lineOf(waiter?.spec.owner === owner ? waiter : undefined)
        let patience: Moment | undefined
        let leaveTask: (() => void) | undefined

        const leave = (): void => {
          leaveTask?.()
          patience?.disarm()
          stopListening()
        }
        const giveUp = (reason: unknown): void => {
          leave()
          reject(reason as Error)
        }
        /** Gives the undo. The listener is called once, unless that was called before. */
        const whenEnded = (task: LiveTask, listener: () => void): (() => void) => {
          const leaveWait = waits.enter([task], waiter)
          let isWaiting = true
          const onEnd = (): void => void (isWaiting && listener())
          task.endListeners = [...(task.endListeners ?? []), onEnd]
          return () => {
            if (!isWaiting) return
            isWaiting = false
            leaveWait()
            // A new array: the old one may just be worked through.
            if (task.endListeners !== undefined) task.endListeners = task.endListeners.filter((one) => one !== onEnd)
          }
        }
        /** One after the other: when all have ended, each of them has, in whatever order. */
        const waitForNext = (): void => {
          leaveTask?.()
          const task = firstBeside(tree.findOwner(owner), line)
          if (task === undefined) {
            leave()
            return resolve()
          }
          try {
            leaveTask = whenEnded(task, waitForNext)
          } catch (error) {
            giveUp(error)
          }
        }

        const stopListening = onAbort(signal, giveUp)
        if (waitMs !== Infinity) {
          patience = deadlines.after(waitMs, () => giveUp(new WaitTimeoutError(waitMs)), undefined)
        }
        waitForNext()
      }),
  }
}

/** A task and those above it. */
function lineOf(waiter: LiveTask | undefined): ReadonlySet<TreeNode> {
  const line = new Set<TreeNode>()
  for (let task = waiter; task !== undefined; task = parentOf(task)) line.add(task)
  return line
}

/** A live task that is not in the line, as high as there is one. */
function firstBeside(top: TreeNode | undefined, line: ReadonlySet<TreeNode>): LiveTask | undefined {
  const nodes = top === undefined ? [...line] : [top, ...line]
  for (const node of nodes) {
    for (const task of childrenOf(node)) if (!line.has(task)) return task
  }
  return undefined
}
