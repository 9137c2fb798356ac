import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildProgram, runProgram } from './support/child-program.ts'
import { SCRATCH } from './support/repository.ts'

// The restart in docs/examples, as programs: one is killed with -9, the other goes on.

const built = join(SCRATCH, `survive-${process.pid}`)

afterAll(() => {
  rmSync(built, { recursive: true, force: true })
})

test('a process is killed with -9; another one finishes or closes its tasks, and a reader resumes from its cursor', async () => {
  const { exitCode, stdout, stderr } = await runProgram(buildProgram(built, 'docs/examples/survive.ts'), []).ended
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  const lines = stdout.trim().split('\n')
  const death = lines.indexOf('The first process was killed.')
  expect(lines.slice(0, 4)).toEqual([
    'first:  letter 1 task.queued',
    'first:  letter 2 task.started',
    'first:  book 1 task.queued',
    'first:  book 2 task.started',
  ])
  expect(lines.slice(death + 1, death + 3)).toEqual(['second: found letter, running', 'second: found book, running'])
  expect(lines.at(-2)).toBe('second: letter failed: interrupted')
  expect(lines.at(-1)).toBe('second: book completed: chapter 1, chapter 2, chapter 3, chapter 4 in attempt 2')
  // No event twice, none missing: the numbers of the book go on where the first reader stood.
  const numbers = lines.flatMap((line) => {
    const number = /: +book (?<seq>\d+) task\./.exec(line)?.groups?.['seq']
    return number === undefined ? [] : [Number(number)]
  })
  expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  expect(lines.filter((line) => line.includes('letter 3 task.failed'))).toHaveLength(1)
  expect(lines.filter((line) => line.includes('task.retrying'))).toHaveLength(1)
})
