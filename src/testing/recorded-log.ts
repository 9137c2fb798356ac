/**
 * A log that was recorded becomes a test: what a consumer saw is kept in a file, a line of JSON for each item, and is read
 * back to be checked against the laws (`verifyLog`) and compared with another run.
 *
 * 1. The lines stand in the order in which the stream gave its items.
 * 2. A last line that was cut off, as by the end of the process, is left out; anything else that is no item is an error.
 */
import { writeFileSync } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import type { StreamItem } from '../ports/task-event.ts'
import { verifyLog, type LawBreach, type VerifyOptions } from './verify-log.ts'

const HEADER = { format: 'outlive-log', version: 1 } as const
/** What may wait for the disk, in characters, before the stream has to. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024

export interface RecordOptions {
  /** What is written for an item; `undefined` leaves it out, which breaks law 1. For what must not leave production. */
  readonly redact?: (item: StreamItem) => StreamItem | undefined
}

/** What a recorded log holds, and what is wrong with it. */
export interface Replay {
  readonly items: readonly StreamItem[]
  readonly breaches: readonly LawBreach[]
}

/**
 * Writes a stream into a file, which is made anew. Resolves with the number of items when the stream has ended and all of
 * it is on its way to the disk; the signal of the stream ends it.
 *
 * @throws what the stream throws (`stream_lagged`, when the disk is too slow for it), and what the file system says
 * @example
 * ```ts
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { createTaskSupervisor } from 'outlive'
 * import { recordLog, replay } from 'outlive/testing'
 *
 * const tasks = createTaskSupervisor()
 * const file = join(tmpdir(), 'run.jsonl')
 * const task = await tasks.spawn(async (n: number) => n + 1, 41)
 * await recordLog(task.events(), file)
 * const { items, breaches } = await replay(file)
 * console.log(items.length, breaches) // 3 []
 * await tasks.shutdown()
 * ```
 */
export async function recordLog(
  stream: AsyncIterable<StreamItem>,
  file: string | URL,
  { redact = (item) => item }: RecordOptions = {},
): Promise<number> {
  // At once, so that the stream is open when the call has returned.
  writeFileSync(file, `${JSON.stringify(HEADER)}\n`)
  let waiting = ''
  let count = 0
  let writing: Promise<void> | undefined
  let fault: { readonly error: unknown } | undefined

  const write = async (): Promise<void> => {
    try {
      while (waiting !== '') {
        const text = waiting
        waiting = ''
        await appendFile(file, text)
      }
    } catch (error) {
      fault = { error }
    } finally {
      writing = undefined
    }
  }

  for await (const item of stream) {
    const kept = redact(item)
    if (kept === undefined) continue
    waiting += `${JSON.stringify(kept)}\n`
    count += 1
    writing ??= write()
    if (waiting.length > MAX_WAITING_CHARS) await writing
    if (fault !== undefined) break
  }
  await writing
  if (fault !== undefined) throw fault.error
  return count
}

/** The items of a text that `recordLog` has written. @throws Error that names the line that is no item */
export function parseLog(text: string): StreamItem[] {
  const lines = text.split('\n')
  const torn = lines.pop()
  const [header, ...rest] = lines
  const { format, version } = readLine(header ?? torn ?? '', 1)
  if (format !== HEADER.format || version !== HEADER.version) {
    throw new Error(`line 1 is not the head of a recorded log: ${header ?? torn ?? ''}`)
  }
  return rest.map((line, index) => {
    const item = readLine(line, index + 2)
    if (typeof item['type'] !== 'string') throw new Error(`line ${index + 2} is no item of a stream: ${line}`)
    return item as unknown as StreamItem
  })
}

function readLine(line: string, number: number): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {
    // What cannot be read is said below.
  }
  throw new Error(`line ${number} is no item of a stream: ${line.slice(0, 80)}`)
}

/**
 * Reads a recorded log and checks its laws. The options say what kind of log it is, as for `verifyLog`: one of production
 * mostly begins and ends in the middle.
 *
 * @throws Error that names the line that is no item, and what the file system says
 */
export async function replay(file: string | URL, options: VerifyOptions = {}): Promise<Replay> {
  const items = parseLog(await readFile(file, 'utf8'))
  return { items, breaches: verifyLog(items, options) }
}
