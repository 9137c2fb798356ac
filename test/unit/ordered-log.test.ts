import { expect, test } from 'vitest'
import { createOrderedLog } from '../../src/adapters/memory/ordered-log.ts'
import { fc } from '../support/properties.ts'

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

test('what comes back stands at its place again, also where everything around it is gone', () => {
  const log = createOrderedLog<number>()
  for (let n = 1; n <= 2_000; n += 1) log.append(n)
  for (let n = 1; n <= 1_990; n += 1) expect(log.drop(n)).toBe(true)
  expect(log.drop(7)).toBe(false)
  for (const place of [700, 7, 1_500, 701]) log.restore(place, place)
  const kept = (): number[] => [...log.after(0)].map(({ item }) => item)
  expect(kept().slice(0, 6)).toEqual([7, 700, 701, 1_500, 1_991, 1_992])
  expect([...log.after(700)].map(({ place }) => place).slice(0, 3)).toEqual([701, 1_500, 1_991])
  expect([log.size(), log.append(2_001)]).toEqual([14, 2_001])
  expect([log.drop(700), log.drop(7), log.drop(701), log.drop(7)]).toEqual([true, true, true, false])
  expect(kept().slice(0, 2)).toEqual([1_500, 1_991])
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

test('a log agrees with a plain list over any appends, drops and returns, also when dropped places are squeezed out', () => {
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
          expect(log.oldest()).toBe(model.get(Math.min(...model.keys())))
          if (step < 0) {
            last += 1
            model.set(last, `item ${last}`)
            expect(log.append(`item ${last}`)).toBe(last)
          } else if (model.delete(step)) {
            expect(log.drop(step)).toBe(true)
          } else if (step > 0 && step <= last) {
            model.set(step, `item ${step} again`)
            log.restore(step, `item ${step} again`)
          }
        }
        const kept = [...model].map(([place, item]) => ({ place, item })).toSorted((a, b) => a.place - b.place)
        expect([...log.after(0)]).toEqual(kept)
        expect([...log.after(after)]).toEqual(kept.filter(({ place }) => place > after))
        expect([log.size(), log.lastPlace()]).toEqual([model.size, last])
      },
    ),
  )
})
