import { describe, expect, test } from 'vitest'
import { breakMs, decideDelivery, type DeliveryLimits, type FailedDelivery } from '../../machines/policies/delivery.ts'

const LIMITS: DeliveryLimits = {
  baseMs: 100,
  factor: 2,
  maxMs: 5_000,
  jitter: 'none',
  maxAttempts: 5,
  maxAgeMs: 60_000,
}
const decide = (failed: Partial<FailedDelivery>, limits: Partial<DeliveryLimits> = {}): number | 'giveUp' => {
  const decided = decideDelivery(
    { ...LIMITS, ...limits },
    { attempts: 1, ageMs: 0, retryAfterMs: undefined, random01: 0.5, ...failed },
  )
  return decided.kind === 'retry' ? decided.delayMs : decided.kind
}

describe('a delivery that has failed', () => {
  test('waits ever longer, as often as it may, and is then given up', () => {
    expect([1, 2, 3, 4, 5, 6].map((attempts) => decide({ attempts }))).toEqual([100, 200, 400, 800, 'giveUp', 'giveUp'])
  })

  test('spreads its delay by the number it is given', () => {
    expect([0, 0.25, 0.5].map((random01) => decide({ attempts: 3, random01 }, { jitter: 'full' }))).toEqual([
      0, 100, 200,
    ])
  })

  test('waits as long as the receiver says, never less than its own delay and never more than the longest', () => {
    expect([0, 99, 100, 3_000, 5_000, 86_400_000].map((retryAfterMs) => decide({ retryAfterMs }))).toEqual([
      100, 100, 100, 3_000, 5_000, 5_000,
    ])
  })

  test('is given up when its next attempt would come after its time, and not a millisecond before', () => {
    expect(decide({ ageMs: 59_900 })).toBe(100)
    expect(decide({ ageMs: 59_901 })).toBe('giveUp')
    expect(decide({ ageMs: 57_000, retryAfterMs: 3_001 })).toBe('giveUp')
  })
})

describe('a target', () => {
  test('is left alone after five failures in a row, then ever longer, whatever the jitter', () => {
    for (const jitter of ['none', 'full'] as const) {
      const pauses = [0, 1, 4, 5, 6, 7, 50].map((failures) => breakMs({ ...LIMITS, jitter }, failures))
      expect(pauses).toEqual([0, 0, 0, 1_600, 3_200, 5_000, 5_000])
    }
  })
})
