/** The SHA-256 of a file. */
import { createHash } from 'node:crypto'
import { defineTool } from 'outlive'
import { readInPieces, type FileTool } from './file-tool.ts'

export const digestTool: FileTool = defineTool({
  name: 'digest',
  async run(file, ctx) {
    const hash = createHash('sha256')
    await readInPieces(file, ctx, (piece) => void hash.update(piece))
    return { sha256: hash.digest('hex') }
  },
})
