/**
 * The sub-agent that looks for similar files: a child per kind of file, each of which compares all with all. It is given a
 * budget by whoever spawns it, and is cancelled, with its children, when that is used up.
 */
import { extname, relative } from 'node:path'
import { defineTool, type ToolDefinition } from 'outlive'
import { inLanes } from '../lanes.ts'
import { listTree } from '../listing.ts'
import { compareTool, type SimilarPair } from '../tools/compare.ts'

const MAX_FILES = 2_000
/** gzip sees 32 KiB at once, and two files have to fit. */
const MAX_BYTES = 16 * 1_024
const MIN_BYTES = 256
const LANES = 2

export type DuplicatesAgent = ToolDefinition<{ readonly folder: string }, SimilarPair[]>

export function createDuplicatesAgent(skip: readonly string[]): DuplicatesAgent {
  return defineTool({
    name: 'duplicates',
    policy: { timeoutMs: Infinity },
    async run({ folder }, ctx) {
      const files = await listTree(folder, { skip, limit: MAX_FILES, signal: ctx.signal })
      const kinds = new Map<string, string[]>()
      for (const { path, bytes } of files) {
        if (bytes < MIN_BYTES || bytes > MAX_BYTES) continue
        const kind = extname(path)
        kinds.set(kind, [...(kinds.get(kind) ?? []), path])
      }
      const similar: SimilarPair[] = []
      let done = 0
      await inLanes(kinds, LANES, async ([kind, paths]) => {
        if (ctx.signal.aborted || paths.length < 2) return
        const description = `${paths.length} × ${kind === '' ? 'no ending' : kind}`
        const child = await ctx.spawn(compareTool, { paths }, { description })
        const { status, partial } = await child.wait({ waitMs: Infinity })
        // A child that was stopped has left what it had found so far.
        const pairs = status === 'completed' ? await child.result() : ((partial ?? []) as SimilarPair[])
        similar.push(...pairs)
        ctx.progress({ done: (done += 1), total: kinds.size })
      })
      similar.sort((a, b) => b.similarity - a.similarity)
      return similar.map(({ similarity, paths: [one, other] }) => ({
        similarity,
        paths: [relative(folder, one), relative(folder, other)],
      }))
    },
  })
}
