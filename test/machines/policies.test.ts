import { describe, expect, test } from 'vitest'
import type {
  AdmissionLimits,
  AdmissionParent,
  AdmissionRefusal,
  AdmissionRequest,
} from '../../machines/policies/admission.ts'
import { decideAdmission } from '../../machines/policies/admission.ts'
import type { BackoffPolicy } from '../../machines/policies/backoff.ts'
import { backoffDelayMs } from '../../machines/policies/backoff.ts'
import { decideLineage } from '../../machines/policies/lineage.ts'
import { decideWakeAt, hasRoom } from '../../machines/policies/inbox.ts'
import { decideAsk, decideSettlement, type QuestionState } from '../../machines/policies/questions.ts'
import type { BudgetAccount, BudgetAmounts, BudgetRequest } from '../../machines/policies/budget.ts'
import {
  decideDraw,
  decideGrant,
  decideShortage,
  decideStop,
  leftOf,
  NOTHING_SPENT,
} from '../../machines/policies/budget.ts'
import { decideRestart } from '../../machines/policies/restarts.ts'
import type { FailedAttempt, RetryDecision, RetryLimits } from '../../machines/policies/retry.ts'
import { decideRetry, isRetryableByDefault } from '../../machines/policies/retry.ts'
import { decideTrim, mustEvictOldest } from '../../machines/policies/retention.ts'
import { decideChildEnd, decideWorkEnd } from '../../machines/policies/work-end.ts'
import type { SupervisorPhase, TaskStatus, WorkState } from '../../machines/vocabulary.ts'
import { FAILURE_CODES, isFinalStatus, TASK_STATUSES } from '../../machines/vocabulary.ts'

describe('backoffDelayMs', () => {
  const policy: BackoffPolicy = { baseMs: 100, factor: 2, maxMs: 1_000, jitter: 'none' }
  const delays = (changes: Partial<BackoffPolicy>, attempts: number[], random01 = 0.5): number[] =>
    attempts.map((failedAttempts) => backoffDelayMs({ ...policy, ...changes }, { failedAttempts, random01 }))

  test('a delay starts at the base and is multiplied until the ceiling', () => {
    expect(delays({}, [1, 2, 3, 4, 5, 6])).toEqual([100, 200, 400, 800, 1_000, 1_000])
  })

  test('a factor of one keeps the delay as it is', () => {
    expect(delays({ factor: 1 }, [1, 2, 50])).toEqual([100, 100, 100])
  })

  test('a base above the ceiling is cut to it', () => {
    expect(delays({ baseMs: 5_000 }, [1, 2])).toEqual([1_000, 1_000])
  })

  test('a growth beyond all numbers stays at the ceiling', () => {
    expect(2 ** 1_024).toBe(Infinity)
    expect(delays({}, [1_025, 1_000_000, Number.MAX_SAFE_INTEGER])).toEqual([1_000, 1_000, 1_000])
    expect(delays({ factor: Number.MAX_VALUE }, [3])).toEqual([1_000])
  })

  test('a base of nothing stays nothing, however often it is multiplied', () => {
    expect(delays({ baseMs: 0 }, [1, 2, 5_000])).toEqual([0, 0, 0])
  })

  test('without a ceiling a delay is still a whole number', () => {
    expect(delays({ maxMs: Infinity }, [5_000])).toEqual([Number.MAX_SAFE_INTEGER])
    expect(delays({ maxMs: Infinity, jitter: 'full' }, [5_000], 0)).toEqual([0])
  })

  test('full jitter spreads a delay between nothing and its whole length', () => {
    expect(delays({ jitter: 'full' }, [1, 2, 3, 9], 0)).toEqual([0, 0, 0, 0])
    expect(delays({ jitter: 'full' }, [1, 2, 3, 9], 0.25)).toEqual([25, 50, 100, 250])
    expect(delays({ jitter: 'full' }, [1, 2, 3, 9], 0.999_999)).toEqual([99, 199, 399, 999])
  })

  test('without jitter the random number changes nothing', () => {
    expect(delays({}, [3], 0)).toEqual(delays({}, [3], 0.999))
  })

  test('a delay is whole and never above a ceiling that is not', () => {
    expect(delays({ baseMs: 10.9, maxMs: 10.6 }, [1])).toEqual([10])
    expect(delays({ baseMs: 1.5, factor: 1.5 }, [1, 2, 3])).toEqual([1, 2, 3])
  })

  test('before any failure the delay is that after the first', () => {
    expect(delays({}, [0, -3])).toEqual([100, 100])
  })
})

describe('decideAdmission', () => {
  const unlimited: AdmissionLimits = {
    maxLive: Infinity,
    maxDepth: Infinity,
    maxChildren: Infinity,
    maxRunning: Infinity,
    maxRunningPerOwner: Infinity,
    maxQueued: Infinity,
  }
  const limits: AdmissionLimits = { ...unlimited, maxLive: 10, maxDepth: 3, maxChildren: 5, maxQueued: 7 }
  const root: AdmissionRequest = {
    phase: 'accepting',
    liveCount: 0,
    parent: undefined,
    runIsCancelled: false,
    queuedBefore: undefined,
  }
  const parent: AdmissionParent = {
    status: 'running',
    depth: 0,
    liveChildren: 0,
    isStopping: false,
    shortage: undefined,
  }
  const under = (changes: Partial<AdmissionParent>): AdmissionRequest => ({
    ...root,
    parent: { ...parent, ...changes },
  })

  test('a root and a child within all limits are admitted', () => {
    expect(decideAdmission(limits, root)).toBeUndefined()
    expect(decideAdmission(limits, under({}))).toBeUndefined()
  })

  test.each<[string, AdmissionRequest, { code: string; limit?: number; what?: string } | undefined]>([
    ['a root while draining', { ...root, phase: 'draining' }, { code: 'supervisor_closed' }],
    ['a root when stopped', { ...root, phase: 'stopped' }, { code: 'supervisor_closed' }],
    ['a child while draining', { ...under({}), phase: 'draining' }, undefined],
    ['a child when stopped', { ...under({}), phase: 'stopped' }, { code: 'supervisor_closed' }],
    ['a root of a cancelled run', { ...root, runIsCancelled: true }, { code: 'parent_stopping' }],
    ['a child of a cancelled run', { ...under({}), runIsCancelled: true }, { code: 'parent_stopping' }],
    ['a child below a stop', under({ isStopping: true }), { code: 'parent_stopping' }],
    ['the last live task', { ...root, liveCount: 9 }, undefined],
    ['one live task too many', { ...root, liveCount: 10 }, { code: 'capacity_exceeded', limit: 10 }],
    ['far too many live tasks', { ...root, liveCount: 11 }, { code: 'capacity_exceeded', limit: 10 }],
    ['one live child too many in all', { ...under({}), liveCount: 10 }, { code: 'capacity_exceeded', limit: 10 }],
    ['the deepest child', under({ depth: 2 }), undefined],
    ['a child too deep', under({ depth: 3 }), { code: 'depth_exceeded', limit: 3 }],
    ['the last child of a task', under({ liveChildren: 4 }), undefined],
    ['one child too many', under({ liveChildren: 5 }), { code: 'children_exceeded', limit: 5 }],
    ['a child without spawns left', under({ shortage: 'spawns' }), { code: 'budget_exceeded', what: 'spawns' }],
    ['a child without tokens left', under({ shortage: 'tokens' }), { code: 'budget_exceeded', what: 'tokens' }],
    [
      'a child below a stop for want of money',
      under({ shortage: 'cost', isStopping: true }),
      { code: 'budget_exceeded', what: 'cost' },
    ],
    [
      'a child below a stop without spawns left',
      under({ shortage: 'spawns', isStopping: true }),
      { code: 'parent_stopping' },
    ],
    ['the last place in the queue', { ...root, queuedBefore: 6 }, undefined],
    ['one queued task too many', { ...root, queuedBefore: 7 }, { code: 'queue_full', limit: 7 }],
  ])('%s', (_what, request, refusal) => {
    expect(decideAdmission(limits, request)).toEqual(refusal)
  })

  test.each<[TaskStatus, AdmissionRefusal['code'] | undefined]>([
    ['queued', 'parent_idle'],
    ['running', undefined],
    ['waiting', undefined],
    ['retrying', 'parent_idle'],
    ['finishing', undefined],
    ['stopping', 'parent_stopping'],
    ['completed', 'parent_stopping'],
    ['failed', 'parent_stopping'],
    ['cancelled', 'parent_stopping'],
  ])('under a parent that is %s: %s', (status, code) => {
    expect(decideAdmission(limits, under({ status }))).toEqual(code && { code })
  })

  test('without limits anything goes', () => {
    const many = { ...under({ depth: 1e9, liveChildren: 1e9 }), liveCount: 1e9, queuedBefore: 1e9 }
    expect(decideAdmission(unlimited, many)).toBeUndefined()
  })

  test('of several reasons the one that will not pass is named first', () => {
    const everything = { phase: 'stopped', liveCount: 10, runIsCancelled: true, queuedBefore: 7 } as const
    const bad: AdmissionParent = { ...parent, status: 'stopping', depth: 3, liveChildren: 5, isStopping: true }
    const peel: [AdmissionRequest, string | undefined][] = [
      [{ ...everything, parent: bad }, 'parent_stopping'],
      [{ ...everything, parent: bad, runIsCancelled: false }, 'parent_stopping'],
      [{ ...everything, runIsCancelled: false, parent: { ...bad, isStopping: false } }, 'parent_stopping'],
      [{ ...everything, runIsCancelled: false, parent: { ...bad, status: 'running' } }, 'parent_stopping'],
    ]
    const healthy: AdmissionParent = { ...bad, status: 'running', isStopping: false }
    const open = { ...everything, runIsCancelled: false, phase: 'accepting' } as const
    peel.push(
      [{ ...everything, runIsCancelled: false, parent: { ...healthy, status: 'queued' } }, 'parent_idle'],
      [{ ...everything, runIsCancelled: false, parent: healthy }, 'supervisor_closed'],
      [{ ...open, parent: healthy }, 'depth_exceeded'],
      [{ ...open, parent: { ...healthy, depth: 2 } }, 'children_exceeded'],
      [{ ...open, parent: { ...healthy, depth: 2, liveChildren: 4 } }, 'capacity_exceeded'],
      [{ ...open, liveCount: 9, parent: { ...healthy, depth: 2, liveChildren: 4 } }, 'queue_full'],
      [{ ...open, liveCount: 9, queuedBefore: 6, parent: { ...healthy, depth: 2, liveChildren: 4 } }, undefined],
      [{ ...everything, parent: undefined }, 'parent_stopping'],
      [{ ...everything, runIsCancelled: false, parent: undefined }, 'supervisor_closed'],
      [{ ...open, parent: undefined }, 'capacity_exceeded'],
    )
    expect(peel.map(([request]) => decideAdmission(limits, request)?.code)).toEqual(peel.map(([, code]) => code))
  })

  test('every code is given by some request, and no other', () => {
    const codes = new Set<string>()
    const phases: SupervisorPhase[] = ['accepting', 'draining', 'stopped']
    for (const phase of phases) {
      for (const liveCount of [0, 10]) {
        for (const depth of [0, 3]) {
          for (const liveChildren of [0, 5]) {
            for (const isStopping of [false, true]) {
              const refusal = decideAdmission(limits, {
                ...under({ depth, liveChildren, isStopping }),
                phase,
                liveCount,
              })
              codes.add(refusal?.code ?? 'admitted')
            }
          }
        }
      }
    }
    expect([...codes].sort()).toEqual([
      'admitted',
      'capacity_exceeded',
      'children_exceeded',
      'depth_exceeded',
      'parent_stopping',
      'supervisor_closed',
    ])
  })
})

describe('mustEvictOldest', () => {
  const policy = { maxFinished: 3, maxFinishedBytes: 1_000, finishedMs: 1_000 }
  const few = { count: 3, bytes: 1_000, oldestEndedAt: 100, now: 500 }

  test.each<[string, Partial<typeof few>, boolean]>([
    ['at every limit', {}, false],
    ['one over the count', { count: 4 }, true],
    ['a byte too much', { bytes: 1_001 }, true],
    ['a millisecond short of its age', { now: 1_099 }, false],
    ['its age is reached at this moment', { now: 1_100 }, true],
    ['the clock went back', { now: 0 }, false],
  ])('%s', (_what, changes, expected) => {
    expect(mustEvictOldest(policy, { ...few, ...changes })).toBe(expected)
  })

  test('a limit of nothing keeps nothing, and no limit keeps everything', () => {
    expect(mustEvictOldest({ ...policy, maxFinished: 0 }, { ...few, count: 1 })).toBe(true)
    const unlimited = { maxFinished: Infinity, maxFinishedBytes: Infinity, finishedMs: Infinity }
    expect(mustEvictOldest(unlimited, { ...few, count: 1e9, bytes: 1e15, now: Number.MAX_SAFE_INTEGER })).toBe(false)
  })
})

describe('decideTrim', () => {
  const policy = { maxProgressEvents: 3, maxEventChars: 10 }
  /** One kept event for each number of characters, with the sequence numbers 10, 20, 30, … */
  const trim = (sizes: number[]): number =>
    decideTrim(policy, {
      events: sizes.map((chars, index) => ({ seq: (index + 1) * 10, chars })),
      chars: sizes.reduce((sum, chars) => sum + chars, 0),
    })

  test.each<[string, number[], number]>([
    ['nothing is kept', [], 0],
    ['both limits are met exactly', [5, 0, 5], 0],
    ['one event too many', [0, 0, 0, 0], 10],
    ['three events too many', [0, 0, 0, 0, 0, 0], 30],
    ['one character too many', [5, 6], 10],
    ['the characters are behind events that have none', [0, 6, 5], 20],
    ['the last event alone is too long', [1, 1, 11], 30],
    ['both limits ask, and the characters for more', [4, 4, 4, 4], 20],
    ['both limits ask, and the number for more', [11, 0, 0, 0, 0], 20],
  ])('%s', (_what, sizes, expected) => {
    expect(trim(sizes)).toBe(expected)
  })
})

describe('decideLineage', () => {
  const parent = { taskId: 'p', parentId: 'r', rootId: 'r', depth: 4, correlation: { runId: 'run', callId: 'call' } }

  test('a task without a parent is the root of its own tree', () => {
    expect(decideLineage('t', undefined, undefined)).toEqual({
      parentId: undefined,
      rootId: 't',
      depth: 0,
      correlation: undefined,
    })
    expect(decideLineage('t', undefined, { agentId: 'a' }).correlation).toEqual({ agentId: 'a' })
  })

  test('a child is one deeper in its parent’s tree', () => {
    expect(decideLineage('t', parent, undefined)).toEqual({
      parentId: 'p',
      rootId: 'r',
      depth: 5,
      correlation: { runId: 'run', callId: 'call' },
    })
  })

  test('a child inherits of the correlation what it does not set', () => {
    expect(decideLineage('t', parent, { callId: 'mine', agentId: 'me' }).correlation).toEqual({
      runId: 'run',
      callId: 'mine',
      agentId: 'me',
    })
    expect(decideLineage('t', parent, {}).correlation).toEqual({ runId: 'run', callId: 'call' })
  })

  test('a child of a parent without correlation has its own or none', () => {
    const bare = { ...parent, correlation: undefined }
    expect(decideLineage('t', bare, { runId: 'x' }).correlation).toEqual({ runId: 'x' })
    expect(decideLineage('t', bare, undefined).correlation).toBeUndefined()
  })

  test('neither the parent’s nor the child’s correlation is changed', () => {
    const own = Object.freeze({ callId: 'mine' })
    const frozen = { ...parent, correlation: Object.freeze(parent.correlation) }
    expect(decideLineage('t', frozen, own).correlation).not.toBe(own)
    expect(frozen.correlation).toEqual({ runId: 'run', callId: 'call' })
  })
})

describe('decideWorkEnd', () => {
  test.each([
    [true, false, false, 'work.completed'],
    [true, true, false, 'work.completedWithChildren'],
    [false, false, false, 'work.failed'],
    [false, true, false, 'work.failedWithChildren'],
    [true, false, true, 'work.completed'],
    [true, true, true, 'work.completedWithChildren'],
    [false, false, true, 'work.retry'],
    [false, true, true, 'work.failedWithChildren'],
  ] as const)(
    'succeeded: %s, owns live children: %s, is retried: %s',
    (succeeded, ownsLiveChildren, isRetried, expected) => {
      expect(decideWorkEnd({ succeeded, ownsLiveChildren, isRetried })).toBe(expected)
    },
  )
})

describe('budgets', () => {
  const asked: BudgetRequest = { tokens: 100, cost: 10, spawns: 3, reserve: 0.1 }
  const account = (spent: Partial<BudgetAmounts>): BudgetAccount => ({
    granted: decideGrant(asked, undefined),
    spent: { ...NOTHING_SPENT, ...spent },
  })

  test('a grant is what was asked for, and no more than is left above', () => {
    expect(decideGrant(asked, undefined)).toEqual({ tokens: 100, cost: 10, spawns: 3, stopAt: { tokens: 90, cost: 9 } })
    const left = { tokens: 50, cost: Infinity, spawns: 0 }
    expect(decideGrant(asked, left)).toEqual({ tokens: 50, cost: 10, spawns: 0, stopAt: { tokens: 45, cost: 9 } })
    const unlimited = { tokens: Infinity, cost: Infinity, spawns: Infinity, reserve: 0.5 }
    expect(decideGrant(unlimited, left)).toMatchObject({
      tokens: Infinity,
      spawns: Infinity,
      stopAt: { tokens: Infinity },
    })
  })

  test('what is left is never less than nothing', () => {
    expect(leftOf(account({ tokens: 40, cost: 12, spawns: 3 }))).toEqual({ tokens: 60, cost: 0, spawns: 0 })
    expect(leftOf(account({ tokens: 120, cost: 4, spawns: 1 }))).toEqual({ tokens: 0, cost: 6, spawns: 2 })
  })

  test.each<[Partial<BudgetAmounts>, string | undefined, string | undefined]>([
    [{}, undefined, undefined],
    [{ tokens: 89.9, cost: 8.9, spawns: 2 }, undefined, undefined],
    [{ spawns: 3 }, undefined, 'spawns'],
    [{ tokens: 90 }, 'tokens', 'tokens'],
    [{ cost: 9 }, 'cost', 'cost'],
    [{ tokens: 95, cost: 11, spawns: 3 }, 'tokens', 'tokens'],
  ])('an account that has spent %o stops its tree for %s, and lets nothing start for %s', (spent, stop, shortage) => {
    expect(decideStop(account(spent))).toBe(stop)
    expect(decideShortage(account(spent))).toBe(shortage)
  })

  test('a report is drawn while anything is left of what it reports, however large it is', () => {
    expect(decideDraw(account({ tokens: 99, spawns: 1 }), { tokens: 500, cost: 1 })).toEqual({
      tokens: 599,
      cost: 1,
      spawns: 1,
    })
    expect(decideDraw(account({ tokens: 100 }), { tokens: 1, cost: 0 })).toBe('tokens')
    expect(decideDraw(account({ tokens: 100 }), { tokens: 0, cost: 1 })).toMatchObject({ tokens: 100, cost: 1 })
    expect(decideDraw(account({ tokens: 100, cost: 10 }), { tokens: 0, cost: 1 })).toBe('cost')
    expect(decideDraw(account({ tokens: 100, cost: 10 }), { tokens: 0, cost: 0 })).toMatchObject({ tokens: 100 })
  })
})

describe('decideRetry', () => {
  const limits: RetryLimits = {
    maxAttempts: 3,
    baseMs: 100,
    factor: 2,
    maxMs: 1_000,
    jitter: 'none',
    maxElapsedMs: 10_000,
  }
  const failed: FailedAttempt = { attempt: 1, elapsedMs: 0, runMsLeft: 1_000, isRetryable: true, random01: 0.5 }

  test.each<[string, Partial<RetryLimits>, Partial<FailedAttempt>, RetryDecision]>([
    ['the first attempt', {}, {}, { kind: 'retry', delayMs: 100 }],
    ['the last but one', {}, { attempt: 2 }, { kind: 'retry', delayMs: 200 }],
    ['the last', {}, { attempt: 3 }, { kind: 'fail', exhausted: 'attempts' }],
    ['the only one', { maxAttempts: 1 }, {}, { kind: 'fail', exhausted: 'attempts' }],
    ['a failure that the filter refuses', {}, { isRetryable: false }, { kind: 'fail', exhausted: undefined }],
    ['the last, refused', {}, { attempt: 3, isRetryable: false }, { kind: 'fail', exhausted: undefined }],
    ['one whose next is due in time', {}, { elapsedMs: 9_900 }, { kind: 'retry', delayMs: 100 }],
    ['one whose next would be due too late', {}, { elapsedMs: 9_901 }, { kind: 'fail', exhausted: 'elapsed' }],
    ['the last, too late as well', {}, { attempt: 3, elapsedMs: 99_999 }, { kind: 'fail', exhausted: 'attempts' }],
    ['one without a limit in time', { maxElapsedMs: Infinity }, { elapsedMs: 1e15 }, { kind: 'retry', delayMs: 100 }],
    ['one whose task may not run any longer', {}, { runMsLeft: 0 }, { kind: 'fail', exhausted: 'elapsed' }],
    ['one with jitter', { jitter: 'full' }, { attempt: 2 }, { kind: 'retry', delayMs: 100 }],
  ])('%s', (_what, changedLimits, changes, expected) => {
    expect(decideRetry({ ...limits, ...changedLimits }, { ...failed, ...changes })).toEqual(expected)
  })

  test('by default every failure is worth another attempt but that of a result', () => {
    const retried = FAILURE_CODES.filter((code) => isRetryableByDefault(code))
    expect(retried).toEqual(['tool_error', 'timeout', 'queue_timeout', 'interrupted', 'child_failed'])
  })
})

describe('decideRestart', () => {
  test('counts as many as the limit says and refuses the next', () => {
    const limit = { max: 2, withinMs: 1_000 }
    expect(decideRestart(limit, [], 5_000)).toEqual([5_000])
    expect(decideRestart(limit, [4_500], 5_000)).toEqual([4_500, 5_000])
    expect(decideRestart(limit, [4_001, 4_500], 5_000)).toBeUndefined()
  })

  test('what is older than the window counts no more', () => {
    expect(decideRestart({ max: 2, withinMs: 1_000 }, [4_000, 4_500], 5_000)).toEqual([4_500, 5_000])
  })

  test('a limit of none allows none', () => {
    expect(decideRestart({ max: 0, withinMs: 1 }, [], 0)).toBeUndefined()
  })
})

/**
 * What a parent is told when a child of it has ended, for every work state and everything that matters:
 * `c` a child failed (`-` it did not), `f` a child's failure fails the parent, `o` it owns live children, `e` its own
 * code has ended.
 */
const CHILD_ENDS = `
|      | queued | running      | waiting      | retrying | finishing        |
|------|--------|--------------|--------------|----------|------------------|
| ---- | ·      | ·            | ·            | ·        | children.settled |
| ---e | ·      | ·            | ·            | ·        | children.settled |
| --o- | ·      | ·            | ·            | ·        | ·                |
| --oe | ·      | ·            | ·            | ·        | ·                |
| -f-- | ·      | ·            | ·            | ·        | children.settled |
| -f-e | ·      | ·            | ·            | ·        | children.settled |
| -fo- | ·      | ·            | ·            | ·        | ·                |
| -foe | ·      | ·            | ·            | ·        | ·                |
| c--- | ·      | ·            | ·            | ·        | children.settled |
| c--e | ·      | ·            | ·            | ·        | children.settled |
| c-o- | ·      | ·            | ·            | ·        | ·                |
| c-oe | ·      | ·            | ·            | ·        | ·                |
| cf-- | ·      | child.failed | child.failed | ·        | child.failed     |
| cf-e | ·      | child.failed | child.failed | ·        | child.failed     |
| cfo- | ·      | child.failed | child.failed | ·        | child.failed     |
| cfoe | ·      | child.failed | child.failed | ·        | child.failed     |

|      | failing           | cancelling        | timingOut         | interrupting      |
|------|-------------------|-------------------|-------------------|-------------------|
| ---- | ·                 | ·                 | ·                 | ·                 |
| ---e | teardown.finished | teardown.finished | teardown.finished | teardown.finished |
| --o- | ·                 | ·                 | ·                 | ·                 |
| --oe | ·                 | ·                 | ·                 | ·                 |
| -f-- | ·                 | ·                 | ·                 | ·                 |
| -f-e | teardown.finished | teardown.finished | teardown.finished | teardown.finished |
| -fo- | ·                 | ·                 | ·                 | ·                 |
| -foe | ·                 | ·                 | ·                 | ·                 |
| c--- | ·                 | ·                 | ·                 | ·                 |
| c--e | teardown.finished | teardown.finished | teardown.finished | teardown.finished |
| c-o- | ·                 | ·                 | ·                 | ·                 |
| c-oe | ·                 | ·                 | ·                 | ·                 |
| cf-- | ·                 | ·                 | ·                 | ·                 |
| cf-e | teardown.finished | teardown.finished | teardown.finished | teardown.finished |
| cfo- | ·                 | ·                 | ·                 | ·                 |
| cfoe | ·                 | ·                 | ·                 | ·                 |
`

describe('decideAsk', () => {
  const limits = { maxOpen: 2, maxAsked: 4 }

  test('a new key within both limits is asked', () => {
    expect(decideAsk(limits, { state: undefined, openCount: 0, askedCount: 0 })).toBeUndefined()
    expect(decideAsk(limits, { state: undefined, openCount: 1, askedCount: 3 })).toBeUndefined()
  })

  test('a key that was used is refused, whatever became of its question', () => {
    for (const state of ['open', 'answered', 'timeout', 'ended'] satisfies QuestionState[]) {
      expect(decideAsk(limits, { state, openCount: 0, askedCount: 1 })).toBe('key_used')
    }
  })

  test('as many as are allowed are enough', () => {
    expect(decideAsk(limits, { state: undefined, openCount: 2, askedCount: 2 })).toBe('too_many_open')
    expect(decideAsk(limits, { state: undefined, openCount: 0, askedCount: 4 })).toBe('too_many_asked')
  })
})

describe('hasRoom', () => {
  const limits = { maxMessages: 2, maxBytes: 10 }

  test('a message fits as long as neither their number nor their bytes are too many', () => {
    expect(hasRoom(limits, { count: 0, bytes: 0 }, 10)).toBe(true)
    expect(hasRoom(limits, { count: 1, bytes: 9 }, 1)).toBe(true)
    expect(hasRoom(limits, { count: 1, bytes: 9 }, 2)).toBe(false)
    expect(hasRoom(limits, { count: 2, bytes: 0 }, 0)).toBe(false)
  })
})

describe('decideWakeAt', () => {
  test('a wake comes when it has been quiet, and at the latest after ten quiet times', () => {
    expect(decideWakeAt({ firstAt: 0, lastAt: 0, quietMs: 100 })).toBe(100)
    expect(decideWakeAt({ firstAt: 0, lastAt: 850, quietMs: 100 })).toBe(950)
    expect(decideWakeAt({ firstAt: 0, lastAt: 950, quietMs: 100 })).toBe(1_000)
  })
})

describe('decideSettlement', () => {
  test('an open question is settled, and with the last one the task goes on', () => {
    expect(decideSettlement({ state: 'open', openCount: 2 })).toEqual({ event: 'question.answered' })
    expect(decideSettlement({ state: 'open', openCount: 1 })).toEqual({ event: 'questions.settled' })
  })

  test('anything else is refused with its reason', () => {
    for (const state of ['answered', 'timeout', 'ended'] satisfies QuestionState[]) {
      expect(decideSettlement({ state, openCount: 1 })).toEqual({ refused: state })
    }
    expect(decideSettlement({ state: undefined, openCount: 0 })).toEqual({ refused: 'unknown' })
  })
})

describe('decideChildEnd', () => {
  const tables = CHILD_ENDS.trim()
    .split('\n\n')
    .map((table) => {
      const [head = [], , ...rows] = table.split('\n').map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      )
      return { states: head.slice(1) as WorkState[], rows }
    })
  const columns = tables.flatMap(({ states, rows }) =>
    states.map((work, index) => ({
      work,
      expected: rows.map((row) => ({ marks: row[0] ?? '', event: row[index + 1] })),
    })),
  )

  test('the table has every work state and every combination once', () => {
    expect(columns).toHaveLength(9)
    expect(new Set(columns.map(({ work }) => work)).size).toBe(9)
    for (const { expected } of columns) {
      expect(expected).toHaveLength(2 ** 4)
      expect(new Set(expected.map(({ marks }) => marks)).size).toBe(2 ** 4)
      for (const { marks } of expected) expect(marks).toMatch(/^[c-][f-][o-][e-]$/)
    }
  })

  test.each(columns)('tells a parent that is $work what the table says', ({ work, expected }) => {
    const decided = expected.map(({ marks }) => {
      const event = decideChildEnd({
        work,
        childFailed: marks[0] === 'c',
        onChildFailure: marks[1] === 'f' ? 'fail' : 'isolate',
        ownsLiveChildren: marks[2] === 'o',
        ownCodeEnded: marks[3] === 'e',
      })
      return { marks, event: event ?? '·' }
    })
    expect(decided).toEqual(expected)
  })
})

describe('isFinalStatus', () => {
  const statuses: Record<TaskStatus, boolean> = {
    queued: false,
    running: false,
    waiting: false,
    retrying: false,
    finishing: false,
    stopping: false,
    completed: true,
    failed: true,
    cancelled: true,
  }

  test('three statuses are final', () => {
    const names = Object.keys(statuses) as TaskStatus[]
    expect(Object.fromEntries(names.map((status) => [status, isFinalStatus(status)]))).toEqual(statuses)
    expect(TASK_STATUSES).toEqual(names)
  })
})

test('the failure codes are snake_case and each its own', () => {
  expect(new Set(FAILURE_CODES).size).toBe(FAILURE_CODES.length)
  for (const code of FAILURE_CODES) expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
})
