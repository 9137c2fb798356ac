import { constants } from 'node:fs'
import { lstat, mkdir, open, type FileHandle } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ChannelError } from '../../channel-error.ts'
import { checkOptionNames, checkText } from '../../options.ts'
import type { Channel } from '../../ports/channel.ts'

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/
/** Windows lacks the last two, which are 0 then: it has no pipes to wait for, and links are looked for beforehand. */
const { O_APPEND, O_CREAT, O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const APPENDING = O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK

/**
 * A channel that appends each message to a file: `file:report.md` goes to `report.md` in the folder. The folder is made
 * when the first message comes.
 *
 * 1. An id is one plain file name, so nothing outside the folder can be named; and what is there under that name has to be a
 *    file, not a link to one or a device, so nothing outside can be written either.
 * 2. A message is delivered when the system has it. What is written is the text and a line break, as UTF-8.
 *
 * @throws `TypeError` for a bad option
 * @example
 * ```ts no-run
 * import { createTaskSupervisor, fileChannel } from 'outlive'
 *
 * const tasks = createTaskSupervisor({ channels: { file: fileChannel({ folder: 'results' }) } })
 * ```
 */
export function fileChannel(options: { readonly folder: string }): Channel {
  const { folder: given } = checkOptionNames('options', options, ['folder'])
  const folder = resolve(checkText('folder', given, 4_096))
  const refuse = (id: string): string | undefined =>
    FILE_NAME.test(id) ? undefined : 'the id has to be a plain file name'
  return {
    refuse,
    async send({ target, message, signal }) {
      signal.throwIfAborted()
      const refusal = refuse(target.id)
      if (refusal !== undefined) throw new ChannelError('refused', refusal)
      await mkdir(folder, { recursive: true })
      signal.throwIfAborted()
      const file = await openPlain(join(folder, target.id))
      try {
        if (!(await file.stat()).isFile()) throw notPlain()
        await file.appendFile(`${message.text}\n`)
      } finally {
        await file.close()
      }
    },
  }
}

/** Opens a file that is none of links, pipes and devices; it is made when nothing is there. */
async function openPlain(path: string): Promise<FileHandle> {
  try {
    const found = await lstat(path).catch(() => undefined)
    if (found !== undefined && !found.isFile()) throw notPlain()
    return await open(path, APPENDING)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR') throw notPlain(error)
    throw error
  }
}

function notPlain(cause?: unknown): ChannelError {
  return new ChannelError('refused', 'what is there under this name is not a plain file', { cause })
}
