import { expect, test } from 'vitest'
import { fromListCursor, toListCursor } from '../../src/list-cursor.ts'

test('a place in a list comes back for the owner it was made for, and for nobody else', () => {
  for (const place of [0, 1, 35, 36, 123_456_789, Number.MAX_SAFE_INTEGER]) {
    expect(fromListCursor('ann', toListCursor('ann', place))).toBe(place)
    expect(() => fromListCursor('bob', toListCursor('ann', place))).toThrow('does not belong')
  }
})

test('what is no place is refused, however well it is signed', () => {
  for (const place of [-1, 2 ** 53, 2 ** 60]) {
    expect(() => fromListCursor('ann', toListCursor('ann', place)), String(place)).toThrow('does not belong')
  }
  for (const cursor of ['', 'NaN', toListCursor('ann', Number.NaN), 5, null, undefined, {}, Symbol('5')]) {
    expect(() => fromListCursor('ann', cursor)).toThrow(expect.objectContaining({ code: 'invalid_cursor' }) as Error)
  }
})
