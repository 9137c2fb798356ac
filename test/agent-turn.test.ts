import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildProgram, runProgram } from './support/child-program.ts'
import { SCRATCH } from './support/repository.ts'

// The turn in docs/examples, as a program.

const built = join(SCRATCH, `agent-turn-${process.pid}`)

afterAll(() => {
  rmSync(built, { recursive: true, force: true })
})

test('an agent gets a ticket, does other work, is woken by a digest, and reads the whole result in its next turn', async () => {
  const { exitCode, stdout, stderr } = await runProgram(buildProgram(built, 'docs/examples/agent-turn.ts'), []).ended
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  const said = stdout.split('\n').filter((line) => /^(user|host|model|tool): /.test(line))
  const id = /as task (?<id>\S+) \(running\)/.exec(stdout)?.groups?.['id'] ?? ''
  expect(stdout).toContain(`- The task ${id} with the tool research has completed`)
  expect(said).toEqual([
    'user:  What do owls do at night?',
    'model: I look that up.',
    expect.stringMatching(
      /^tool:  The call to research goes on in the background as task \S+ \(running\)\..*task_result reads/,
    ),
    expect.stringContaining('I count the words of your question meanwhile'),
    'tool:  6',
    expect.stringMatching(`^tool:  Task ${id} \\(research\\): (running|completed)\\.`),
    expect.stringContaining('I tell you the rest when I have it.'),
    expect.stringMatching(/^host: {2}1 task has ended\./),
    'model: I read page 1.',
    expect.stringContaining(`tool:  Task ${id} (research): completed.`),
    'model: I read page 2.',
    expect.stringContaining(`tool:  Task ${id} (research): completed.`),
    'model: They hunt: 60 sources say so.',
  ])
})
