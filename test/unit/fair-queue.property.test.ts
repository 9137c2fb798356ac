import { expect, test } from 'vitest'
import { createFairQueue } from '../../src/fair-queue.ts'
import { fc } from '../support/properties.ts'

type Step =
  | { readonly kind: 'add'; readonly owner: string; readonly priority: number }
  | { readonly kind: 'leave'; readonly index: number }
  | { readonly kind: 'close' | 'open'; readonly owner: string }
  | { readonly kind: 'take' }

interface Item {
  readonly owner: string
  readonly priority: number
  readonly number: number
}

const owner = fc.constantFrom('ann', 'bob', 'cid', 'dora')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add'), owner, priority: fc.integer({ min: -1, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), index: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('close', 'open'), owner }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'take' }) },
)

test('what is taken is the best of an open owner, nothing is lost, and no owner is passed over twice', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const closed = new Set<string>()
      const queue = createFairQueue<Item>((name) => !closed.has(name))
      let waiting: { readonly item: Item; readonly leave: () => void }[] = []
      let count = 0
      /** How often each other owner was taken from while this one waited and was open. */
      const passedBy = new Map<string, Map<string, number>>()
      const isEligible = (name: string): boolean => !closed.has(name) && waiting.some(({ item }) => item.owner === name)

      const takeOne = (): void => {
        const eligible = [...new Set(waiting.map(({ item }) => item.owner))].filter(isEligible)
        const taken = queue.take()
        expect(taken === undefined).toBe(eligible.length === 0)
        if (taken === undefined) return
        const own = waiting.filter(({ item }) => item.owner === taken.owner).map(({ item }) => item)
        const best = own.toSorted((a, b) => b.priority - a.priority || a.number - b.number)[0]
        expect(taken).toBe(best)
        waiting = waiting.filter(({ item }) => item !== taken)
        for (const other of eligible) {
          const counts = passedBy.get(other) ?? new Map<string, number>()
          passedBy.set(other, counts)
          if (other === taken.owner) counts.clear()
          else counts.set(taken.owner, (counts.get(taken.owner) ?? 0) + 1)
          expect(Math.max(0, ...counts.values())).toBeLessThanOrEqual(1)
        }
      }

      for (const each of steps) {
        switch (each.kind) {
          case 'add': {
            const item = { owner: each.owner, priority: each.priority, number: (count += 1) }
            waiting.push({ item, leave: queue.add(each.owner, each.priority, item) })
            break
          }
          case 'leave': {
            const [gone] = waiting.splice(each.index % Math.max(1, waiting.length), 1)
            gone?.leave()
            break
          }
          case 'close':
            closed.add(each.owner)
            break
          case 'open':
            closed.delete(each.owner)
            queue.reopen(each.owner)
            break
          case 'take':
            takeOne()
        }
        for (const name of passedBy.keys()) if (!isEligible(name)) passedBy.delete(name)
        expect(queue.size()).toBe(waiting.length)
      }
      for (const name of closed) {
        closed.delete(name)
        queue.reopen(name)
      }
      while (waiting.length > 0) takeOne()
      expect(queue.take()).toBeUndefined()
    }),
    { numRuns: 1_000 },
  )
})
