/** What the tools for files have in common: their input, and reading it piece by piece under the task's signal. */
import { createReadStream } from 'node:fs'
import type { TaskContext, ToolDefinition } from 'outlive'
import type { ListedFile } from '../listing.ts'
import type { Finding } from '../totals.ts'

export type FileTool = ToolDefinition<ListedFile, Finding>

/** Hands a file over piece by piece, whatever its size and encoding. Says how far it is, and stops with the task. */
export async function readInPieces(file: ListedFile, ctx: TaskContext, take: (piece: Buffer) => void): Promise<void> {
  let done = 0
  for await (const piece of createReadStream(file.path, { signal: ctx.signal })) {
    take(piece as Buffer)
    done += (piece as Buffer).length
    ctx.progress({ done, total: file.bytes })
  }
}
