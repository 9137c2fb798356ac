import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createSlices, type Slices } from '../../src/runtime/slices.ts'
import { fc } from '../support/properties.ts'

interface Bench {
  readonly slices: Slices<string>
  readonly done: string[]
  /** Lets one turn of the loop pass. */
  turn(): Promise<void>
}

function bench(size: number, onWork: (piece: string, slices: Slices<string>) => void = () => undefined): Bench {
  const done: string[] = []
  const turns: (() => void)[] = []
  const clock = { ...createManualClock(), soon: (work: () => void) => void turns.push(work) }
  const slices: Slices<string> = createSlices<string>({
    clock,
    size,
    work(piece) {
      done.push(piece)
      onWork(piece, slices)
    },
    toWaiting: (piece) => `${piece} later`,
  })
  return {
    slices,
    done,
    async turn() {
      const due = turns.splice(0)
      expect(due.length).toBeLessThanOrEqual(1)
      for (const work of due) work()
    },
  }
}

test('pieces are worked on at once until the slice is full, then a slice a turn', async () => {
  const { slices, done, turn } = bench(2)
  for (const piece of ['a', 'b', 'c', 'd', 'e']) slices.push(piece)
  expect(done).toEqual(['a', 'b'])
  await turn()
  expect(done).toEqual(['a', 'b', 'c later', 'd later'])
  await turn()
  expect(done).toEqual(['a', 'b', 'c later', 'd later', 'e later'])
})

test('after a turn with nothing in the line, pieces are worked on at once again', async () => {
  const { slices, done, turn } = bench(2)
  for (const piece of ['a', 'b']) slices.push(piece)
  await turn()
  for (const piece of ['c', 'd', 'e']) slices.push(piece)
  expect(done).toEqual(['a', 'b', 'c', 'd'])
  await turn()
  expect(done).toEqual(['a', 'b', 'c', 'd', 'e later'])
})

test('what the work itself pushes comes after everything that was there before', async () => {
  const { slices, done, turn } = bench(3, (piece, line) => {
    if (piece.startsWith('d')) line.push('x')
  })
  for (const piece of ['a', 'b', 'c', 'd', 'e']) slices.push(piece)
  await turn()
  expect(done).toEqual(['a', 'b', 'c', 'd later', 'e later', 'x later'])
})

test('any pushes over any turns are worked on once, in order, never more than a slice a turn', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(12)), async (size, bursts) => {
      const { slices, done, turn } = bench(size)
      let pushed = 0
      for (const burst of bursts) {
        const before = done.length
        for (let n = 0; n < burst; n += 1) slices.push(String((pushed += 1)))
        expect(done.length - before).toBeLessThanOrEqual(size)
        const then = done.length
        await turn()
        expect(done.length - then).toBeLessThanOrEqual(size)
      }
      for (let n = 0; n <= pushed; n += 1) await turn()
      expect(done.map((piece) => Number.parseInt(piece, 10))).toEqual(Array.from({ length: pushed }, (_, n) => n + 1))
    }),
  )
})
