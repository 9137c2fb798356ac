import { expect, test } from 'vitest'
import { expectGrowth } from '../growth/growth-ratio.ts'

/** What the rounds take, one after the other; the last one stands for all that follow. */
function rounds(costOf: (size: number) => number, delays: readonly number[]): (size: number) => Promise<number[]> {
  let round = 0
  return async (size) => [costOf(size) + (delays[(round += 1)] ?? 0)]
}

test('what grows as its size passes, also where the first rounds of the large one were held up', async () => {
  await expectGrowth({ size: 10, below: 2.5 }, async (size) => [size, 3 * size])
  await expectGrowth(
    { size: 10, below: 2.5 },
    rounds((size) => size, [0, 0, 90, 0, 80, 0, 70, 0, 60]),
  )
})

test('what grows as the square of its size fails, also where the small one was held up for two rounds', async () => {
  await expect(expectGrowth({ size: 10, below: 2.5 }, async (size) => [size, size ** 2])).rejects.toThrow(
    'after 20 rounds: expected 4 to be less than 2.5',
  )
  const heldUp = rounds((size) => size ** 2, [0, 100, 0, 100, 0])
  await expect(expectGrowth({ size: 10, below: 2.5 }, heldUp)).rejects.toThrow('expected 4 to be less than 2.5')
})

test('what measures nothing fails', async () => {
  await expect(expectGrowth({ size: 10, below: 2.5 }, async () => [])).rejects.toThrow('to not deeply equal []')
})
