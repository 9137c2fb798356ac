import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileChannel } from 'outlive'
import { describe, expect, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'
import { refusalOf, sendTo } from '../support/sends.ts'

const NOT_PLAIN = 'what is there under this name is not a plain file'

describe('a file', () => {
  test('gets the text and a line break, after what it has already', async () => {
    const folder = join(scratchFolder('file-channel'), 'deep', 'below')
    const channel = fileChannel({ folder })
    await sendTo(channel, 'report.md', { text: 'one\ntwo' })
    await sendTo(channel, 'report.md', { text: 'three' })
    expect(readFileSync(join(folder, 'report.md'), 'utf8')).toBe('one\ntwo\nthree\n')
  })

  test.each(['symlink to a file', 'symlink to nothing', 'symlink to a folder'])(
    'is not written through a %s',
    async (kind) => {
      const outside = join(scratchFolder('outside'), 'secret.txt')
      if (kind === 'symlink to a file') writeFileSync(outside, 'kept')
      if (kind === 'symlink to a folder') mkdirSync(outside)
      const folder = scratchFolder('file-channel')
      symlinkSync(outside, join(folder, 'report.md'))
      const refusal = await refusalOf(sendTo(fileChannel({ folder }), 'report.md'))
      expect(refusal).toMatchObject({ kind: 'refused', message: NOT_PLAIN })
      if (kind === 'symlink to a file') expect(readFileSync(outside, 'utf8')).toBe('kept')
      else expect(existsSync(outside)).toBe(kind === 'symlink to a folder')
    },
  )

  test('is no folder and no pipe, and waits for neither', async () => {
    const folder = scratchFolder('file-channel')
    mkdirSync(join(folder, 'a-folder'))
    execFileSync('mkfifo', [join(folder, 'a-pipe')])
    for (const name of ['a-folder', 'a-pipe']) {
      expect(await refusalOf(sendTo(fileChannel({ folder }), name))).toMatchObject({
        kind: 'refused',
        message: NOT_PLAIN,
      })
    }
  })

  test('that has another name as well is still a file', async () => {
    const folder = scratchFolder('file-channel')
    writeFileSync(join(folder, 'first'), 'one\n')
    linkSync(join(folder, 'first'), join(folder, 'second'))
    await sendTo(fileChannel({ folder }), 'second', { text: 'two' })
    expect(readFileSync(join(folder, 'first'), 'utf8')).toBe('one\ntwo\n')
  })

  test.each([
    '',
    '.',
    '..',
    '../x',
    'a/b',
    'a\\b',
    '/etc/passwd',
    '.hidden',
    'a b',
    'a\nb',
    'a\u0000',
    'C:x',
    'é',
    'x'.repeat(201),
  ])('cannot be called %j, and nothing is written', async (id) => {
    const folder = scratchFolder('file-channel')
    const channel = fileChannel({ folder })
    expect(channel.refuse?.(id)).toBe('the id has to be a plain file name')
    expect((await refusalOf(sendTo(channel, id))).kind).toBe('refused')
    expect(readdirSync(folder)).toEqual([])
  })

  test('that cannot be written fails its message, which may be sent again', async () => {
    const folder = scratchFolder('file-channel')
    writeFileSync(join(folder, 'not-a-folder'), '')
    const channel = fileChannel({ folder: join(folder, 'not-a-folder') })
    await expect(sendTo(channel, 'report.md')).rejects.toMatchObject({
      code: expect.stringMatching(/EEXIST|ENOTDIR/) as string,
    })
  })
})
