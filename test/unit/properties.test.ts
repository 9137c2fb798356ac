import { expect, test } from 'vitest'
import { expectReached, fc } from '../support/properties.ts'

const isKeptSeed = process.env['PROPERTY_SEED'] === undefined

test.runIf(isKeptSeed)('a property draws the same cases in every run', () => {
  const draw = (): number[] => {
    const drawn: number[] = []
    fc.assert(fc.property(fc.nat(1_000_000), (number) => void drawn.push(number)))
    return drawn
  }
  expect(draw()).toEqual(draw())
  expect(draw().slice(0, 3)).toEqual([407_563, 999_984, 146_208])
})

test.runIf(isKeptSeed)('what cases have not reached often enough is named', () => {
  expectReached({ ends: 5, failures: 7 }, 5)
  expect(() => expectReached({ ends: 5, failures: 4 }, 5)).toThrow('failures: expected 4')
})
