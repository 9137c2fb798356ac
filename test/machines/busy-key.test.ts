import { expect, test } from 'vitest'
import { decideBusyKey, ON_BUSY } from '../../machines/policies/busy-key.ts'

test('a busy key refuses, or makes wait; what waits before goes with `replace` and `keepLatest`, the holder with `replace` alone', () => {
  const decided = ON_BUSY.map((onBusy) => {
    const { mayWait, supersedesWaiting, supersedesHolder } = decideBusyKey(onBusy)
    return [onBusy, mayWait, supersedesWaiting, supersedesHolder]
  })
  expect(decided).toEqual([
    ['reject', false, false, false],
    ['queue', true, false, false],
    ['replace', true, true, true],
    ['keepLatest', true, true, false],
  ])
})
