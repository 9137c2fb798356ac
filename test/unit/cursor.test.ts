import { expect, test } from 'vitest'
import { fromCursor, tagOf, toCursor } from '../../src/events/cursor.ts'
import { fromListCursor, toListCursor } from '../../src/list-cursor.ts'
import type { FeedEntry } from '../../src/ports/task-store.ts'
import { fc } from '../support/properties.ts'

const refusal = expect.objectContaining({ code: 'invalid_cursor' }) as Error

function entryOf(place: {
  taskId: string
  owner: string
  seq: number
  ownerPosition: number
  position: number
}): FeedEntry {
  const { taskId, owner, seq, ownerPosition, position } = place
  return { event: { seq }, record: { taskId, owner }, ownerPosition, position } as unknown as FeedEntry
}

const places = fc.record({
  taskId: fc.string({ minLength: 1 }),
  owner: fc.string({ minLength: 1 }),
  seq: fc.maxSafeNat(),
  ownerPosition: fc.maxSafeNat(),
  position: fc.maxSafeNat(),
})

test('a cursor gives back the places it was made of, and says neither the task nor the owner', () => {
  fc.assert(
    fc.property(places, fc.uuid(), (place, incarnation) => {
      const cursor = toCursor(incarnation, entryOf(place), 'all')
      expect(fromCursor(cursor)).toEqual({
        incarnation,
        seq: place.seq,
        ownerPosition: place.ownerPosition,
        position: place.position,
        taskTag: tagOf(place.taskId),
        ownerTag: tagOf(place.owner),
      })
      const ofOwner = toCursor(incarnation, entryOf(place), 'owner')
      expect(fromCursor(ofOwner)).toEqual({ ...fromCursor(cursor), position: undefined })
      if (place.owner.length > 8) expect(cursor).not.toContain(place.owner)
    }),
  )
})

test('a cursor that was given out by an earlier version is understood, that of a first place too', () => {
  const place = { taskId: 'task-1', owner: 'ann', seq: 0, ownerPosition: 345, position: 0 }
  expect(toCursor('5f2c', entryOf(place), 'all')).toBe('5f2c.0.9l.0.11sdjk6.5ve6mw.1jnnvk4')
  expect(fromCursor('5f2c.0.9l.0.11sdjk6.5ve6mw.1jnnvk4')).toMatchObject({ seq: 0, ownerPosition: 345, position: 0 })
})

test('a cursor with one character changed, added or removed is refused', () => {
  const cursor = toCursor(
    '5f2c',
    entryOf({ taskId: 'task-1', owner: 'ann', seq: 12, ownerPosition: 345, position: 6_789 }),
    'all',
  )
  for (let index = 0; index < cursor.length; index += 1) {
    const bent = [
      cursor.slice(0, index) + cursor.slice(index + 1),
      `${cursor.slice(0, index)}7${cursor.slice(index)}`,
      cursor.slice(0, index) + (cursor[index] === 'z' ? 'y' : 'z') + cursor.slice(index + 1),
    ]
    for (const text of bent) expect(() => fromCursor(text), text).toThrow(refusal)
  }
})

test('no text whatever makes a cursor by accident or throws anything else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((text) => text.replaceAll(' ', '.')),
      ),
      (text) => {
        expect(() => fromCursor(text)).toThrow(refusal)
      },
    ),
  )
})

test('places that no log gives are refused although their check is right', () => {
  for (const bad of ['-1', '', 'zzzzzzzzzzzzzzzz']) {
    const body = `5f2c.${bad}.1.1.a.b`
    const cursor = `${body}.${tagOf(body)}`
    expect(() => fromCursor(cursor), bad).toThrow(refusal)
  }
})

test('a list cursor fits the list of one owner only', () => {
  fc.assert(
    fc.property(fc.nat(), fc.string(), fc.string(), (place, owner, other) => {
      const cursor = toListCursor(owner, place)
      expect(fromListCursor(owner, cursor)).toBe(place)
      fc.pre(other !== owner)
      expect(() => fromListCursor(other, cursor)).toThrow(refusal)
    }),
  )
  for (const bad of [undefined, null, 5, {}, '', '.', 'a', 'a.b'])
    expect(() => fromListCursor('ann', bad)).toThrow(refusal)
})
