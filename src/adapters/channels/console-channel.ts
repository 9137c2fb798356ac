import { stripVTControlCharacters } from 'node:util'
import { onAbort } from '../../abort-listeners.ts'
import { ChannelError } from '../../channel-error.ts'
import { badOption, checkOptionNames } from '../../options.ts'
import type { Channel, ChannelMessage } from '../../ports/channel.ts'

/** What is printed to: `process.stdout` is one. */
export interface ConsoleStream {
  write(text: string, done: (error?: Error | null) => void): unknown
  readonly isTTY?: boolean
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

export interface ConsoleChannelOptions {
  /** @defaultValue `process.stdout` */
  readonly stream?: ConsoleStream
}

const DIM = '\u001b[2m'
const PLAIN = '\u001b[0m'
/** Every line of a message begins with it, so that no message can look like the title of another one. */
const MARGIN = '  '
const LINE_BREAK = /\r\n?|[\u0085\u2028\u2029]/gu
/** All but tabs and line feeds; and what turns the direction of the text around it. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu

/**
 * A channel that prints each message: a title that names the task, then the text with a margin. The target is the name of
 * the channel alone.
 *
 * 1. Nothing in a message moves the cursor, colours, rings or forges a title: control characters and terminal codes are
 *    left out, and each line has the margin.
 * 2. The title is dim on a terminal, unless `NO_COLOR` is set. Anywhere else nothing but text is written.
 * 3. A message is one write, so messages do not mix. It is delivered when the stream has taken it.
 *
 * @throws `TypeError` for a bad option
 * @example
 * ```ts
 * import { consoleChannel, createTaskSupervisor } from 'outlive'
 *
 * const tasks = createTaskSupervisor({ channels: { console: consoleChannel() }, deliverTo: ['console'] })
 * await tasks.shutdown()
 * ```
 */
export function consoleChannel(options: ConsoleChannelOptions = {}): Channel {
  checkOptionNames('options', options, ['stream'])
  const { stream = process.stdout } = options
  if (typeof (stream as Partial<ConsoleStream> | null)?.write !== 'function') {
    throw badOption('stream', 'a stream', stream)
  }
  const write = createWriter(stream)
  const refuse = (id: string): string | undefined =>
    id === '' ? undefined : 'the console is one place, and has no ids'
  return {
    refuse,
    async send({ target, message, signal }) {
      signal.throwIfAborted()
      const refusal = refuse(target.id)
      if (refusal !== undefined) throw new ChannelError('refused', refusal)
      await write(toPage(message, isColoured(stream)), signal)
    },
  }
}

function isColoured({ isTTY }: ConsoleStream): boolean {
  return isTTY === true && (process.env['NO_COLOR'] ?? '') === ''
}

function toPage({ taskId, kind, part, parts, text }: ChannelMessage, coloured: boolean): string {
  const place = parts > 1 ? ` (${part} of ${parts})` : ''
  const title = `── task ${printable(taskId).replaceAll('\n', ' ')} · ${kind}${place} ──`
  const lines = printable(text)
    .split('\n')
    .map((line) => `${MARGIN}${line}`.trimEnd())
  return `${coloured ? `${DIM}${title}${PLAIN}` : title}\n${lines.join('\n')}\n`
}

/** The text without anything that a terminal obeys but tabs and line feeds. */
function printable(text: string): string {
  return stripVTControlCharacters(text.replaceAll(LINE_BREAK, '\n')).replaceAll(CONTROL, '')
}

/**
 * Writes that each end with their own outcome. A stream that fails tells its listeners too, after the write has been told,
 * and would end the process if it had none.
 */
function createWriter(stream: ConsoleStream): (text: string, signal: AbortSignal) => Promise<void> {
  let underWay = 0
  const ignore = (): void => undefined
  const begin = (): void => {
    if (underWay === 0) stream.on?.('error', ignore)
    underWay += 1
  }
  const end = (): void => {
    underWay -= 1
    if (underWay === 0) stream.off?.('error', ignore)
  }
  return (text, signal) =>
    new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, reject)
      begin()
      stream.write(text, (error) => {
        stopListening()
        if (error instanceof Error) reject(error)
        else resolve()
        setImmediate(end)
      })
    })
}
