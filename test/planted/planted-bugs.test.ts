import { describe, expect, test } from 'vitest'
import { CONTRACT_BUGS, PLANTED_BUGS } from './bugs.ts'
import { plantedCopy } from './planted-copy.ts'

const SEEDS = 150
const { plant, hunt, judge } = plantedCopy('planted')

describe('the simulation', () => {
  test('finds nothing where nothing is planted', async () => {
    expect(await hunt(12)).toBeNull()
  })

  test.each(PLANTED_BUGS)('finds that $title', async (bug) => {
    const undo = plant(bug)
    try {
      const found = await hunt(SEEDS)
      expect(found?.name, `${found?.seed}: ${found?.message}`).toBeDefined()
      expect(bug.foundBy).toContain(found?.name)
    } finally {
      undo()
    }
  })
})

describe('the contracts of stores and channels', () => {
  test('find nothing where nothing is planted', async () => {
    expect(await judge()).toEqual([])
  })

  test.each(CONTRACT_BUGS)('find that $title', async (bug) => {
    const undo = plant(bug)
    try {
      expect(await judge()).toEqual(bug.foundBy)
    } finally {
      undo()
    }
  })
})
