/** Calling a tool's code. Every way it can end becomes one value: what it returned, or what it threw. */
import type { TaskContext } from '../../ports/tool.ts'
import type { Ambient } from '../ambient.ts'
import type { LiveTask } from '../live-task.ts'
import type { CodeOutcome } from '../task-state.ts'

type OnEnd = (task: LiveTask, outcome: CodeOutcome) => void

/** What the code gets: what the caller gave, and where it may be called again, a copy of that. */
function inputOf({ input, spec }: LiveTask): unknown {
  if (spec.attempts?.retry === undefined || spec.attempts.sharesInput) return input
  // It was copied at the call, so it can be copied again.
  return structuredClone(input)
}

/** Calls the code of a task as itself, and `onEnd` once, at the latest when what it returned has settled. */
export function callCode(task: LiveTask, ambient: Ambient, context: TaskContext, onEnd: OnEnd): void {
  const input = inputOf(task)
  // Called without a receiver: the spec is none of its business.
  const { run } = task.spec
  let value: unknown
  let promise: Promise<unknown> | undefined
  try {
    ambient.enter(context, () => {
      value = run(input as never, context)
      // Inside, because a lazy thenable does its work when it is first asked.
      promise = toPromise(value)
    })
  } catch (thrown) {
    return onEnd(task, { thrown })
  }
  if (promise === undefined) return onEnd(task, { value })
  whenSettled(promise, task, onEnd)
}

/** By itself, so that a task whose code takes long holds nothing but this of its call. */
function whenSettled(promise: Promise<unknown>, task: LiveTask, onEnd: OnEnd): void {
  promise.then(
    (value) => onEnd(task, { value }),
    (thrown: unknown) => onEnd(task, { thrown }),
  )
}

/** A promise for anything that has a `then`, or nothing for a value. It settles once, whatever that `then` does. */
function toPromise(value: unknown): Promise<unknown> | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined
  try {
    const { then, constructor } = value as { then?: unknown; constructor?: unknown }
    if (then === Promise.prototype.then && constructor === Promise && value instanceof Promise) return value
    if (typeof then !== 'function') return undefined
  } catch {
    // A getter that throws is the promise machinery's to report: it rejects with the same error.
  }
  return new Promise((resolve) => resolve(value))
}
