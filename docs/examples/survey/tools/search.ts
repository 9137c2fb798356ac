/** How often a text occurs in a file. It is compared byte by byte, so binary files are no trouble. */
import { defineTool } from 'outlive'
import { readInPieces, type FileTool } from './file-tool.ts'

export function createSearchTool(text: string): FileTool {
  const wanted = Buffer.from(text)
  return defineTool({
    name: 'search',
    async run(file, ctx) {
      let hits = 0
      let tail = Buffer.alloc(0)
      await readInPieces(file, ctx, (piece) => {
        const bytes = Buffer.concat([tail, piece])
        let from = 0
        for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, from)) {
          hits += 1
          from = at + wanted.length
        }
        // The text may lie across two pieces: what could be its beginning waits for the next one.
        tail = bytes.subarray(Math.max(from, bytes.length - wanted.length + 1))
      })
      return { hits }
    },
  })
}
