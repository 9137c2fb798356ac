import { expect, test } from 'vitest'

// A module that throws when it is loaded fails its test files, but none of their tests, and these alone are counted where
// mutants are tried.
test.each([
  { what: 'the charts', load: () => import('../../machines/index.ts') },
  { what: 'the gate', load: () => import('../../src/session.ts') },
])('$what can be loaded', async ({ load }) => {
  expect(Object.keys(await load())).not.toEqual([])
})
