import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createOrderedLog } from '../../src/adapters/memory/ordered-log.ts'

test('places rise by one from 1, whatever was dropped', () => {
  const log = createOrderedLog<string>()
  expect(log.lastPlace()).toBe(0)
  expect([log.append('a'), log.append('b')]).toEqual([1, 2])
  log.drop(1)
  log.drop(2)
  expect(log.append('c')).toBe(3)
  expect([...log.after(0)]).toEqual([{ place: 3, item: 'c' }])
  expect([log.lastPlace(), log.size()]).toEqual([3, 1])
})

test('dropping twice, or a place that never was, changes nothing', () => {
  const log = createOrderedLog<string>()
  log.append('a')
  log.append('b')
  for (const place of [2, 2, 0, -1, 3, 99]) log.drop(place)
  expect(log.size()).toBe(1)
  expect([...log.after(0)].map(({ item }) => item)).toEqual(['a'])
})

test('a reader that is in the middle goes on over what is dropped meanwhile', () => {
  const log = createOrderedLog<number>()
  for (let n = 1; n <= 10; n += 1) log.append(n)
  const seen: number[] = []
  for (const { item } of log.after(0)) {
    seen.push(item)
    if (item === 3) log.drop(4)
  }
  expect(seen).toEqual([1, 2, 3, 5, 6, 7, 8, 9, 10])
})

test('a log agrees with a plain list over any appends and drops, also when dropped places are squeezed out', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, { weight: 4, arbitrary: fc.nat(400) }), {
        maxLength: 800,
        size: 'max',
      }),
      fc.nat(400),
      (script, after) => {
        const log = createOrderedLog<string>()
        const model = new Map<number, string>()
        let last = 0
        for (const step of script) {
          if (step < 0) {
            last += 1
            model.set(last, `item ${last}`)
            expect(log.append(`item ${last}`)).toBe(last)
          } else {
            model.delete(step)
            log.drop(step)
          }
        }
        const kept = [...model].map(([place, item]) => ({ place, item }))
        expect([...log.after(0)]).toEqual(kept)
        expect([...log.after(after)]).toEqual(kept.filter(({ place }) => place > after))
        expect([log.size(), log.lastPlace()]).toEqual([model.size, last])
      },
    ),
  )
})
