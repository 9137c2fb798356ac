import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProgram, runProgram } from '../support/child-program.ts'
import { REPOSITORY, SCRATCH } from '../support/repository.ts'

/** What the guide says a process with 256 MB carries, with the default retention. */
const MAX_LIVE = 20_000

let folder = ''
let program = ''
beforeAll(() => {
  mkdirSync(SCRATCH, { recursive: true })
  folder = mkdtempSync(join(SCRATCH, 'heap-'))
  program = buildProgram(folder, 'test/programs/limited-heap.ts')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('a process with 256 MB of heap goes on at its caps, again and again, and comes to its end', async () => {
  const guide = readFileSync(join(REPOSITORY, 'docs/guide.md'), 'utf8')
  expect(guide).toContain('(`node --max-old-space-size=256`) carries `limits: { maxLive: 20_000 }`')
  const { ended } = runProgram(program, [String(MAX_LIVE)], ['--max-old-space-size=256'])
  const { exitCode, signal, stdout, stderr } = await ended
  expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' })
  expect(stdout.match(/^full with 20000, /gm)).toHaveLength(3)
  expect(stdout).toMatch(/^kept 500 of 134217 bytes$/m)
  expect(stdout).toMatch(/^report .*"abandoned":0,"unsaved":0/m)
})
