import { appendFile, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { checkOptionNames, checkText } from '../../options.ts'
import type { Channel } from '../../ports/channel.ts'

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

/**
 * A channel that appends each message to a file: `file:report.md` goes to `report.md` in the folder. The folder is made
 * when the first message comes. An id is one plain file name, so nothing outside the folder can be named.
 *
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
  return {
    refuse: (id) => (FILE_NAME.test(id) ? undefined : 'the id has to be a plain file name'),
    async send({ target, message, signal }) {
      await mkdir(folder, { recursive: true })
      signal.throwIfAborted()
      await appendFile(join(folder, target.id), `${message.text}\n`)
    },
  }
}
