import { expect, test } from 'vitest'
import { randomId } from '../../src/adapters/system/random-id.ts'

test('an id is 22 characters, each of which may be any of 64 at any place, and no two are alike', () => {
  const ids = Array.from({ length: 10_000 }, () => randomId())
  expect(new Set(ids).size).toBe(10_000)
  for (let place = 0; place < 22; place += 1) {
    const seen = new Set(ids.map((id) => id[place]))
    expect(seen.size).toBe(64)
  }
  for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/)
})

test('an id is made without the strings of its beginnings', () => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('the tests run with --expose-gc')
  // Few enough that nothing is collected in between.
  const count = 2_000
  const ids: string[] = Array.from({ length: count }, () => '')
  gc()
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < count; n += 1) ids[n] = randomId()
  const bytes = (process.memoryUsage().heapUsed - before) / count
  expect(new Set(ids).size).toBe(count)
  // The string alone is 40 of them; made a character at a time it takes more than 600.
  expect(bytes).toBeGreaterThan(30)
  expect(bytes).toBeLessThan(200)
})
