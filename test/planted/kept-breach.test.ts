import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { REPOSITORY } from '../support/repository.ts'
import { PLANTED_BUGS } from './bugs.ts'
import { plantedCopy } from './planted-copy.ts'

const { folder, plant, hunt } = plantedCopy('kept-breach')

const RUNNERS = [
  { runner: 'node', file: 'kept.node.mjs', args: ['--test'] },
  {
    runner: 'vitest',
    file: 'kept.vitest.test.mjs',
    args: [join(REPOSITORY, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'vitest.config.mjs'],
  },
] as const

function run(args: readonly string[]): Promise<{ readonly exitCode: number; readonly text: string }> {
  // The variables of the run that this test is part of would turn the one it starts into a part of it as well.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_|TEST$)/.test(name)))
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd: folder, env, timeout: 240_000 }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : (child.exitCode ?? -1), text: stdout + stderr }),
    )
  })
}

test.each(RUNNERS)(
  'the file of a breach fails under $runner for the reason it names, and passes once the cause is gone',
  async ({ runner, file, args }) => {
    const bug = PLANTED_BUGS.find(({ title }) => title === 'an attempt keeps its number')
    if (bug === undefined) throw new Error('the bug is not planted any more')
    const undo = plant(bug)
    onTestFinished(undo)
    const found = await hunt(20)
    if (found === null) throw new Error('the bug was not found')
    writeFileSync(join(folder, file), found.files[runner])
    writeFileSync(join(folder, 'vitest.config.mjs'), 'export default {}')
    const broken = await run([...args, file])
    expect(broken.exitCode, broken.text).toBe(1)
    expect(broken.text).toContain(`Seed ${found.seed} breaks`)
    expect(broken.text).toContain(`${found.name}, step`)
    expect(broken.text).toContain(found.message)
    undo()
    const sound = await run([...args, file])
    expect(sound.exitCode, sound.text).toBe(0)
    // It was run, and it is the one that is meant.
    expect(sound.text).toMatch(/pass 1\b|1 passed/)
  },
)
