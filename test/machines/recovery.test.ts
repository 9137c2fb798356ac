import { describe, expect, test } from 'vitest'
import { decideRecovery, ORPHAN_PATIENCE_MS, type Orphan } from '../../machines/policies/recovery.ts'
import type { StopCause, TaskStatus } from '../../machines/vocabulary.ts'

const orphanOf = (fields: Partial<Orphan> = {}): Orphan => ({
  status: 'running',
  stopReason: undefined,
  mayRunAgain: true,
  canRunHere: true,
  interruptions: 0,
  maxInterruptions: 3,
  leftMs: 1_000,
  orphanedForMs: 0,
  ...fields,
})

const LIVE: readonly TaskStatus[] = ['queued', 'running', 'waiting', 'retrying', 'finishing', 'stopping']

describe('a task whose process is gone', () => {
  test.each(LIVE)('in status %s, that nobody asked to run again, is closed', (status) => {
    expect(decideRecovery(orphanOf({ status, mayRunAgain: false }))).toEqual({ kind: 'close', as: 'interrupted' })
  })

  test.each(LIVE)('in status %s runs again at once, or goes on where none of its code ran', (status) => {
    const goesOn = status === 'queued' || status === 'retrying'
    expect(decideRecovery(orphanOf({ status }))).toEqual(goesOn ? { kind: 'resume' } : { kind: 'rerun', delayMs: 0 })
  })

  test.each(['user', 'parent', 'shutdown', 'superseded', 'budget'] as const)(
    'that was being stopped with the cause %s is cancelled, whatever it asks for',
    (stopReason) => {
      for (const mayRunAgain of [true, false]) {
        const orphan = orphanOf({ status: 'stopping', stopReason, mayRunAgain })
        expect(decideRecovery(orphan)).toEqual({ kind: 'close', as: 'cancelled' })
      }
    },
  )

  test.each(['timeout', 'child_failed', 'interrupted'] satisfies StopCause['reason'][])(
    'whose attempt was being stopped with the cause %s runs again',
    (stopReason) => {
      expect(decideRecovery(orphanOf({ status: 'stopping', stopReason })).kind).toBe('rerun')
    },
  )

  test('that was being stopped for its time, and does not run again, has timed out', () => {
    const orphan = orphanOf({ status: 'stopping', stopReason: 'timeout', mayRunAgain: false })
    expect(decideRecovery(orphan)).toEqual({ kind: 'close', as: 'timeout' })
  })

  test.each(LIVE.filter((status) => status !== 'stopping'))(
    'in status %s was not being stopped, whatever is noted',
    (status) => {
      for (const stopReason of ['user', 'timeout'] as const) {
        expect(decideRecovery(orphanOf({ status, stopReason })).kind).not.toBe('close')
      }
    },
  )

  test('whose time is over has timed out', () => {
    for (const mayRunAgain of [true, false]) {
      expect(decideRecovery(orphanOf({ leftMs: 0, mayRunAgain }))).toEqual({ kind: 'close', as: 'timeout' })
    }
  })

  test('comes back ever later, and not more often than it may', () => {
    const delays = [0, 1, 2, 3, 4, 5].map((interruptions) =>
      decideRecovery(orphanOf({ interruptions, maxInterruptions: 5 })),
    )
    expect(delays).toEqual([
      { kind: 'rerun', delayMs: 0 },
      { kind: 'rerun', delayMs: 1_000 },
      { kind: 'rerun', delayMs: 4_000 },
      { kind: 'rerun', delayMs: 16_000 },
      { kind: 'rerun', delayMs: 60_000 },
      { kind: 'close', as: 'interrupted' },
    ])
    expect(decideRecovery(orphanOf({ status: 'queued', interruptions: 9 }))).toEqual({ kind: 'resume' })
  })

  test('waits for a process that knows its tool, and not for ever', () => {
    const orphan = orphanOf({ canRunHere: false })
    expect(decideRecovery(orphan)).toEqual({ kind: 'leave' })
    expect(decideRecovery({ ...orphan, orphanedForMs: ORPHAN_PATIENCE_MS - 1 })).toEqual({ kind: 'leave' })
    expect(decideRecovery({ ...orphan, orphanedForMs: ORPHAN_PATIENCE_MS })).toEqual({
      kind: 'close',
      as: 'interrupted',
    })
  })
})
