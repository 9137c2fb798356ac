/** What the tools for files have in common: their input, and reading it piece by piece under the task's signal. */
import { createReadStream } from 'node:fs'
import type { TaskContext, ToolDefinition } from 'outlive'
import { createGate } from '../lanes.ts'
import type { ListedFile } from '../listing.ts'
import type { Finding } from '../totals.ts'

export type FileTool = ToolDefinition<ListedFile, Finding>

/** Open files are limited for the whole process, however many folders are under way. */
const readers = createGate(64)

/** Hands a file over piece by piece, whatever its size and encoding. Says how far it is, and stops with the task. */
export function readInPieces(file: ListedFile, ctx: TaskContext, take: (piece: Buffer) => void): Promise<void> {
  return readers.pass(ctx.signal, async () => {
    let done = 0
    for await (const piece of createReadStream(file.path, { signal: ctx.signal })) {
      take(piece as Buffer)
      done += (piece as Buffer).length
      ctx.progress({ done, total: file.bytes })
    }
  })
}
