/**
 * The attempts of a task whose call says something of them: their number, their time, and what follows a failure.
 *
 * running: the limit of the attempt is armed, if it has one. It stands still with the running time of the task.
 * failing, another attempt decided on: the grace of code that was told to stop is armed.
 * retrying: the start of the next attempt is armed.
 *
 * 1. A task has at most one of these armed, and none once it is final.
 * 2. Whether another attempt follows is decided when one fails; its delay counts from there. It begins once the failed one
 *    is over with all it owned.
 * 3. What comes of an attempt that is over is counted and changes nothing.
 * 4. Filters and hooks are called outside of any task, and what they throw is reported.
 */
import { decideRestart } from '../../../machines/policies/restarts.ts'
import { decideRetry, isRetryableByDefault, type RetryDecision } from '../../../machines/policies/retry.ts'
import type { StopCause, TaskFailure } from '../../../machines/vocabulary.ts'
import { quote } from '../../options.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { Logger } from '../../ports/logger.ts'
import type { TaskEventData } from '../../ports/task-event.ts'
import type { CheckedRetry } from '../../tool.ts'
import { inItsContext, type Ambient } from '../ambient.ts'
import type { Counters } from '../counters.ts'
import { createFailure } from '../values/failure.ts'
import type { Attempt, LiveTask, TaskAttempts } from '../live-task.ts'
import { attemptOf, isStopping, parentOf } from '../task-status.ts'

/** What follows a failure. `overtaken`: the filter has stopped the task, and that ends it. */
export type NextStep = RetryDecision | { readonly kind: 'overtaken' }

export interface Attempts {
  /** Counts the attempt whose code is about to be called. Does nothing for a task without attempts, as all of these. */
  begin(task: LiveTask): void
  /** Arms the next attempt of a task whose last one another process has lost. */
  restore(task: LiveTask, lost: { readonly attempt: number; readonly dueAt: number }): void
  goOn(task: LiveTask): void
  /** Does nothing when its time stands still already. */
  standStill(task: LiveTask): void
  /** What follows a failure of the current attempt. Calls the filter, which may have done anything to the task. */
  decideNext(task: LiveTask, failure: TaskFailure, error: unknown): NextStep
  /** Another attempt follows once this one is over. */
  planNext(task: LiveTask, delayMs: number): void
  /** Code that runs on although its attempt has failed gets its grace. */
  armGrace(task: LiveTask, cause: StopCause): void
  /** The attempt is over; the planned one is armed. Gives what the log says of it. */
  toNext(task: LiveTask, failure: TaskFailure): TaskEventData['task.retrying']
  /** Has to be called for every task that became final. */
  end(task: LiveTask): void
  /** Tells the hook of a task that failed because a limit was used up. Its end is public. */
  tellExhausted(task: LiveTask): void
}

const OVERTAKEN: NextStep = { kind: 'overtaken' }
const NO_RESTARTS: readonly number[] = Object.freeze([])
const NO_RETRY: NextStep = { kind: 'fail', exhausted: undefined }

export function createAttempts(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly random01: () => number
  readonly logger: Logger
  readonly counters: Counters
  readonly ambient: Ambient
  readonly graceMs: number
  /** The next attempt is due. */
  readonly onDue: (task: LiveTask) => void
  readonly onTimeout: (task: LiveTask) => void
  readonly onGraceOver: (task: LiveTask) => void
}): Attempts {
  const { clock, deadlines, logger, counters, ambient } = parts

  const disarm = (attempts: TaskAttempts): void => {
    attempts.moment?.disarm()
    attempts.moment = undefined
  }

  const createAttempt = (task: LiveTask, number: number): Attempt => ({
    kind: 'attempt',
    task,
    number,
    isOver: false,
    cause: undefined,
    controller: undefined,
  })

  const createFirst = (task: LiveTask): TaskAttempts => ({
    current: createAttempt(task, 1),
    firstStartedAtMs: clock.monotonicMs(),
    leftMs: Infinity,
    moment: undefined,
    dueAt: Infinity,
    nextAtMs: undefined,
    isGraceOver: false,
    exhausted: undefined,
    beginNext:
      task.spec.attempts?.retry === undefined && task.spec.recovery === undefined
        ? undefined
        : inItsContext(() => parts.onDue(task)),
    restartsAtMs: NO_RESTARTS,
  })

  const beginNext = ({ attempts }: LiveTask): void => {
    if (attempts === undefined) return
    attempts.moment = undefined
    attempts.beginNext?.()
  }

  const endGrace = (task: LiveTask): void => {
    if (task.attempts === undefined) return
    task.attempts.isGraceOver = true
    parts.onGraceOver(task)
  }

  const report = (task: LiveTask, error: unknown, message: string): void =>
    logger.error({ error, taskId: task.taskId, tool: task.spec.tool, owner: task.spec.owner }, message)

  const isRetryable = (task: LiveTask, { retryIf }: CheckedRetry, failure: TaskFailure, error: unknown): boolean => {
    if (retryIf === undefined) return isRetryableByDefault(failure.code)
    let verdict: unknown = false
    ambient.runOutside(() => {
      try {
        verdict = retryIf(failure, error)
        if (typeof verdict !== 'boolean') throw new TypeError(`retryIf must give a boolean, got ${quote(verdict)}`)
      } catch (thrown) {
        report(task, thrown, 'retryIf threw; the task is not tried again')
      }
    })
    return verdict === true
  }

  /** Counts one more restart below the parent, unless that is one too many. */
  const mayRestart = (task: LiveTask): boolean => {
    const parent = parentOf(task)
    const limit = parent?.spec.attempts?.restarts
    if (parent?.attempts === undefined || limit === undefined) return true
    const restartsAtMs = decideRestart(limit, parent.attempts.restartsAtMs, clock.monotonicMs())
    if (restartsAtMs === undefined) return false
    parent.attempts.restartsAtMs = restartsAtMs
    return true
  }

  const runMsLeftOf = ({ deadline, rare, spec }: LiveTask): number =>
    deadline === undefined ? (rare?.stood?.leftMs ?? spec.policy.timeoutMs) : deadline.dueAtMs - clock.monotonicMs()

  /** The attempt is due to end when its time or that of its task is over. */
  const noteDue = (task: LiveTask, attempts: TaskAttempts): void => {
    attempts.dueAt = Math.ceil(clock.now() + Math.min(attempts.leftMs, runMsLeftOf(task)))
  }

  const warnOfLetGo = (task: LiveTask): void => {
    counters.abandonedAttempts += 1
    logger.warn(
      { taskId: task.taskId, tool: task.spec.tool, owner: task.spec.owner, attempt: attemptOf(task) },
      'the work ignores its signal; the attempt was let go',
    )
  }

  return {
    begin(task) {
      const policy = task.spec.attempts
      if (policy === undefined) return
      const before = task.attempts
      const attempts = (task.attempts ??= createFirst(task))
      if (before !== undefined) attempts.current = createAttempt(task, before.current.number + 1)
      attempts.leftMs = policy.attemptTimeoutMs
      attempts.isGraceOver = false
      attempts.restartsAtMs = NO_RESTARTS
      noteDue(task, attempts)
    },

    restore(task, { attempt, dueAt }) {
      const attempts = createFirst(task)
      attempts.current = { ...createAttempt(task, attempt), isOver: true }
      attempts.firstStartedAtMs -= Math.max(0, clock.now() - (task.startedAt ?? clock.now()))
      attempts.dueAt = dueAt
      attempts.moment = deadlines.after(Math.max(0, dueAt - clock.now()), beginNext, task)
      task.attempts = attempts
    },

    goOn(task) {
      const { attempts } = task
      if (attempts === undefined) return
      noteDue(task, attempts)
      if (attempts.leftMs !== Infinity) attempts.moment = deadlines.after(attempts.leftMs, parts.onTimeout, task)
    },

    standStill({ attempts }) {
      if (attempts?.moment === undefined) return
      attempts.leftMs = Math.max(0, attempts.moment.dueAtMs - clock.monotonicMs())
      disarm(attempts)
    },

    decideNext(task, failure, error) {
      const retry = task.spec.attempts?.retry
      const { attempts } = task
      if (retry === undefined || attempts === undefined) return NO_RETRY
      const step = decideRetry(retry, {
        attempt: attempts.current.number,
        elapsedMs: clock.monotonicMs() - attempts.firstStartedAtMs,
        runMsLeft: runMsLeftOf(task),
        isRetryable: isRetryable(task, retry, failure, error),
        random01: parts.random01(),
      })
      if (isStopping(task) || task.finalStatus !== undefined) return OVERTAKEN
      if (step.kind === 'retry') {
        if (mayRestart(task)) return step
        attempts.exhausted = 'restarts'
        return NO_RETRY
      }
      attempts.exhausted = step.exhausted
      return step
    },

    planNext({ attempts }, delayMs) {
      if (attempts === undefined) return
      attempts.nextAtMs = clock.monotonicMs() + delayMs
      attempts.dueAt = clock.now() + delayMs
    },

    armGrace(task, cause) {
      const { attempts } = task
      if (attempts === undefined) return
      attempts.current.cause = cause
      disarm(attempts)
      if (!task.ownCodeEnded) attempts.moment = deadlines.after(parts.graceMs, endGrace, task)
    },

    toNext(task, failure) {
      const { attempts } = task
      const attempt = attemptOf(task)
      if (attempts === undefined) return { attempt, failure, dueAt: clock.now() }
      const isAbandoned = !task.ownCodeEnded
      if (isAbandoned) warnOfLetGo(task)
      task.ownCodeEnded = true
      attempts.current.isOver = true
      attempts.current.controller = task.controller
      task.controller = undefined
      const delayMs = Math.max(0, Math.ceil((attempts.nextAtMs ?? 0) - clock.monotonicMs()))
      attempts.nextAtMs = undefined
      const dueAt = clock.now() + delayMs
      attempts.dueAt = dueAt
      disarm(attempts)
      attempts.moment = deadlines.after(delayMs, beginNext, task)
      return { attempt, failure, dueAt, ...(isAbandoned ? { abandoned: true } : {}) }
    },

    end({ attempts }) {
      if (attempts !== undefined) disarm(attempts)
    },

    tellExhausted(task) {
      const { taskId, spec, attempts, failure } = task
      const { onExhausted } = spec.attempts?.retry ?? {}
      const limit = attempts?.exhausted
      if (onExhausted === undefined || limit === undefined || task.finalStatus !== 'failed') return
      const exhausted = Object.freeze({ taskId, owner: spec.owner, tool: spec.tool, attempts: attemptOf(task), limit })
      const whenThrown = (error: unknown): void => report(task, error, 'onExhausted threw')
      ambient.runOutside(() => {
        try {
          const answer = onExhausted(failure ?? createFailure('interrupted', 'The task was lost.'), exhausted)
          if (answer instanceof Promise) answer.catch(whenThrown)
        } catch (error) {
          whenThrown(error)
        }
      })
    },
  }
}
