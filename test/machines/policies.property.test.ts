import { describe, expect, test } from 'vitest'
import { decideAdmission, type AdmissionLimits } from '../../machines/policies/admission.ts'
import type { BackoffPolicy } from '../../machines/policies/backoff.ts'
import { backoffDelayMs } from '../../machines/policies/backoff.ts'
import { decideDraw, decideGrant, decideStop, NOTHING_SPENT } from '../../machines/policies/budget.ts'
import { decideRestart } from '../../machines/policies/restarts.ts'
import { decideRetry, type RetryLimits } from '../../machines/policies/retry.ts'
import { decideTrim, mustEvictOldest } from '../../machines/policies/retention.ts'
import { fc } from '../support/properties.ts'

describe('backoffDelayMs', () => {
  const policies: fc.Arbitrary<BackoffPolicy> = fc.record({
    baseMs: fc.oneof(fc.nat(100_000), fc.double({ min: 0, max: 1e9, noNaN: true }), fc.constant(0)),
    factor: fc.oneof(fc.double({ min: 1, max: 10, noNaN: true }), fc.constantFrom(1, 2, Number.MAX_VALUE)),
    maxMs: fc.oneof(fc.nat(10_000_000), fc.double({ min: 0, max: 1e12, noNaN: true }), fc.constant(Infinity)),
    jitter: fc.constantFrom('full', 'none'),
  })
  const attempts = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
  const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  test('a delay is a whole number from nothing to the ceiling', () => {
    fc.assert(
      fc.property(policies, attempts, randoms, (policy, failedAttempts, random01) => {
        const delayMs = backoffDelayMs(policy, { failedAttempts, random01 })
        expect(Number.isSafeInteger(delayMs)).toBe(true)
        expect(delayMs).toBeGreaterThanOrEqual(0)
        expect(delayMs).toBeLessThanOrEqual(policy.maxMs)
      }),
      { numRuns: 5_000 },
    )
  })

  test('a later attempt never waits less than an earlier one, at the same luck', () => {
    fc.assert(
      fc.property(policies, attempts, attempts, randoms, (policy, first, second, random01) => {
        const [earlier, later] = [Math.min(first, second), Math.max(first, second)].map((failedAttempts) =>
          backoffDelayMs(policy, { failedAttempts, random01 }),
        )
        expect(later).toBeGreaterThanOrEqual(earlier ?? NaN)
      }),
      { numRuns: 5_000 },
    )
  })

  test('a delay with full jitter is never longer than without', () => {
    fc.assert(
      fc.property(policies, attempts, randoms, (policy, failedAttempts, random01) => {
        const spread = backoffDelayMs({ ...policy, jitter: 'full' }, { failedAttempts, random01 })
        expect(spread).toBeLessThanOrEqual(backoffDelayMs({ ...policy, jitter: 'none' }, { failedAttempts, random01 }))
      }),
    )
  })
})

const UNLIMITED: AdmissionLimits = {
  maxLive: Infinity,
  maxDepth: Infinity,
  maxChildren: Infinity,
  maxRunning: Infinity,
  maxRunningPerOwner: Infinity,
  maxQueued: Infinity,
}

describe('decideAdmission', () => {
  test('who is refused for a limit is refused by any lower one, and the limit is named', () => {
    const limit = fc.integer({ min: 1, max: 20 })
    fc.assert(
      fc.property(
        limit,
        limit,
        limit,
        limit,
        fc.nat(25),
        fc.nat(25),
        fc.nat(25),
        fc.option(fc.nat(25), { nil: undefined }),
        (maxLive, maxDepth, maxChildren, maxQueued, live, depth, children, queuedBefore) => {
          const limits = { ...UNLIMITED, maxLive, maxDepth, maxChildren, maxQueued }
          const parent = {
            status: 'running',
            depth,
            liveChildren: children,
            isStopping: false,
            shortage: undefined,
          } as const
          const refusal = decideAdmission(limits, {
            phase: 'accepting',
            liveCount: live,
            parent,
            runIsCancelled: false,
            queuedBefore,
          })
          const broken = {
            depth_exceeded: depth + 1 > maxDepth,
            children_exceeded: children >= maxChildren,
            capacity_exceeded: live >= maxLive,
            queue_full: queuedBefore !== undefined && queuedBefore >= maxQueued,
          }
          expect(refusal === undefined).toBe(!Object.values(broken).includes(true))
          if (refusal !== undefined && 'limit' in refusal) {
            expect(broken[refusal.code]).toBe(true)
            const named = {
              depth_exceeded: maxDepth,
              children_exceeded: maxChildren,
              capacity_exceeded: maxLive,
              queue_full: maxQueued,
            }
            expect(refusal.limit).toBe(named[refusal.code])
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

const retryLimits: fc.Arbitrary<RetryLimits> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 10 }),
  baseMs: fc.integer({ min: 1, max: 1_000 }),
  factor: fc.double({ min: 1, max: 4, noNaN: true }),
  maxMs: fc.integer({ min: 1, max: 5_000 }),
  jitter: fc.constantFrom('full', 'none'),
  maxElapsedMs: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.constant(Infinity)),
})

describe('decideDraw', () => {
  test('however reports come, an account exceeds its grant by one of them at most, and stops its tree before that', () => {
    const amount = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }))
    fc.assert(
      fc.property(
        fc.record({
          tokens: fc.integer({ min: 1, max: 200 }),
          cost: fc.integer({ min: 1, max: 200 }),
          spawns: fc.constant(Infinity),
          reserve: fc.double({ min: 0, max: 0.99, noNaN: true }),
        }),
        fc.array(fc.record({ tokens: amount, cost: amount }), { maxLength: 30 }),
        (asked, reports) => {
          const granted = decideGrant(asked, undefined)
          let spent = NOTHING_SPENT
          const largest = { tokens: 0, cost: 0 }
          for (const report of reports) {
            const drawn = decideDraw({ granted, spent }, report)
            if (typeof drawn === 'string') {
              expect(spent[drawn]).toBeGreaterThanOrEqual(granted[drawn])
              continue
            }
            for (const what of ['tokens', 'cost'] as const) {
              expect(drawn[what]).toBe(spent[what] + report[what])
              largest[what] = Math.max(largest[what], report[what])
              // Less than one report beyond: before it, something was left.
              if (drawn[what] > granted[what]) expect(drawn[what] - granted[what]).toBeLessThan(largest[what])
              if (drawn[what] >= granted[what]) expect(decideStop({ granted, spent: drawn })).toBeDefined()
            }
            spent = drawn
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('decideRetry', () => {
  test('whatever fails however often, there are at most maxAttempts, none is due after maxElapsedMs, and no delay exceeds the policy', () => {
    const met = new Set<string>()
    fc.assert(
      fc.property(
        retryLimits,
        fc.array(fc.record({ ranMs: fc.nat(3_000), random01: fc.double({ min: 0, max: 0.999, noNaN: true }) }), {
          minLength: 12,
          maxLength: 12,
        }),
        fc.nat(14),
        (limits, attempts, refusedAt) => {
          let nowMs = 0
          let made = 0
          for (const [index, { ranMs, random01 }] of attempts.entries()) {
            made += 1
            expect(nowMs).toBeLessThanOrEqual(limits.maxElapsedMs)
            nowMs += ranMs
            const isRetryable = index !== refusedAt
            const next = decideRetry(limits, { attempt: made, elapsedMs: nowMs, runMsLeft: 1, isRetryable, random01 })
            if (next.kind === 'fail') {
              met.add(String(next.exhausted))
              expect(next.exhausted === undefined).toBe(!isRetryable)
              if (next.exhausted === 'attempts') expect(made).toBe(limits.maxAttempts)
              break
            }
            met.add('retry')
            expect(next.delayMs).toBeGreaterThanOrEqual(0)
            expect(next.delayMs).toBeLessThanOrEqual(limits.maxMs)
            if (limits.jitter === 'none') {
              expect(next.delayMs).toBe(Math.floor(Math.min(limits.baseMs * limits.factor ** (made - 1), limits.maxMs)))
            }
            nowMs += next.delayMs
          }
          expect(made).toBeLessThanOrEqual(limits.maxAttempts)
        },
      ),
      { numRuns: 2_000 },
    )
    expect([...met].sort()).toEqual(['attempts', 'elapsed', 'retry', 'undefined'])
  })
})

describe('decideRestart', () => {
  test('no window of the given length holds more restarts than allowed, and none is refused without need', () => {
    fc.assert(
      fc.property(
        fc.record({ max: fc.nat(5), withinMs: fc.integer({ min: 1, max: 1_000 }) }),
        fc.array(fc.nat(600), { maxLength: 40 }),
        (limit, gaps) => {
          let nowMs = 0
          let remembered: readonly number[] = []
          const allowed: number[] = []
          for (const gap of gaps) {
            nowMs += gap
            const inWindow = allowed.filter((atMs) => atMs > nowMs - limit.withinMs).length
            const next = decideRestart(limit, remembered, nowMs)
            expect(next === undefined).toBe(inWindow >= limit.max)
            if (next === undefined) continue
            expect(next.length).toBeLessThanOrEqual(limit.max)
            remembered = next
            allowed.push(nowMs)
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('mustEvictOldest', () => {
  test('evicting as long as it says so takes the fewest that leave nothing too old, too many or too large', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ endedAt: fc.nat(2_000), bytes: fc.nat(50) }), { maxLength: 40 }),
        fc.nat(40),
        fc.nat(1_000),
        fc.nat(2_000),
        fc.nat(4_000),
        (tasks, maxFinished, maxFinishedBytes, finishedMs, now) => {
          const finished = tasks.toSorted((a, b) => a.endedAt - b.endedAt)
          const bytesFrom = (evicted: number): number =>
            finished.slice(evicted).reduce((sum, { bytes }) => sum + bytes, 0)
          const isFine = (evicted: number): boolean =>
            finished.length - evicted <= maxFinished &&
            bytesFrom(evicted) <= maxFinishedBytes &&
            finished.slice(evicted).every(({ endedAt }) => endedAt + finishedMs > now)
          let evicted = 0
          for (let oldest = finished[0]; oldest !== undefined; oldest = finished[evicted]) {
            const kept = {
              count: finished.length - evicted,
              bytes: bytesFrom(evicted),
              oldestEndedAt: oldest.endedAt,
              now,
            }
            if (!mustEvictOldest({ maxFinished, maxFinishedBytes, finishedMs }, kept)) break
            evicted += 1
          }
          expect(isFine(evicted)).toBe(true)
          if (evicted > 0) expect(isFine(evicted - 1)).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('decideTrim', () => {
  test('trims the fewest of the oldest that make both limits hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(30), { maxLength: 30 }),
        fc.nat(20),
        fc.nat(200),
        (sizes, maxProgressEvents, maxEventChars) => {
          const events = sizes.map((chars, index) => ({ seq: index * 3 + 1, chars }))
          const charsFrom = (seq: number): number =>
            events.filter((event) => event.seq > seq).reduce((sum, { chars }) => sum + chars, 0)
          const isFine = (seq: number): boolean =>
            events.filter((event) => event.seq > seq).length <= maxProgressEvents && charsFrom(seq) <= maxEventChars
          const trimTo = decideTrim({ maxProgressEvents, maxEventChars }, { events, chars: charsFrom(0) })
          expect(isFine(trimTo)).toBe(true)
          if (trimTo > 0) expect(isFine(trimTo - 1)).toBe(false)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
