/** Counts lines and words, by bytes: any encoding, any size. */
import { defineTool } from 'outlive'
import { readInPieces, type FileTool } from './file-tool.ts'

const NEWLINE = 0x0a
/** What a language model takes for one token, about. */
const BYTES_PER_TOKEN = 4

export const countTool: FileTool = defineTool({
  name: 'count',
  async run(file, ctx) {
    let bytes = 0
    let lines = 0
    let words = 0
    let last = NEWLINE
    await readInPieces(file, ctx, (piece) => {
      for (const byte of piece) {
        if (byte === NEWLINE) lines += 1
        if (!isSpace(byte) && isSpace(last)) words += 1
        last = byte
      }
      bytes += piece.length
    })
    // A last line without an end is a line.
    if (last !== NEWLINE) lines += 1
    ctx.usage({ tokens: Math.ceil(bytes / BYTES_PER_TOKEN) })
    return { lines, words }
  },
})

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
