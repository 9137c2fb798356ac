/**
 * The sub-agent that looks for similar files: a child per kind of file, each of which compares all with all. It is given a
 * budget by whoever spawns it, and is cancelled, with its children, when that is used up. A message gives it a time to end in, with
 * what it has by then.
 */
import { extname, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineTool, type TaskHandle, type ToolDefinition } from 'outlive'
import { inLanes } from '../lanes.ts'
import { listTree } from '../listing.ts'
import { compareTool, type SimilarPair } from '../tools/compare.ts'

const MAX_FILES = 2_000
/** gzip sees 32 KiB at once, and two files have to fit. */
const MAX_BYTES = 16 * 1_024
const MIN_BYTES = 256
const LANES = 2

/** What it is told when nobody wants to wait for all of it. */
export interface EndSoon {
  readonly text: string
  readonly withinMs: number
}

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
      const comparing = new Set<TaskHandle<SimilarPair[]>>()
      let isHurried = false
      let done = 0

      const whenTold = async (): Promise<void> => {
        const { payload } = await ctx.inbox.receive({ waitMs: Infinity })
        await sleep((payload as EndSoon).withinMs, undefined, { signal: ctx.signal })
        isHurried = true
        await Promise.all(Array.from(comparing, (child) => child.cancel({ note: 'nobody waits for more' })))
      }
      // Nobody tells it anything any more once its code has ended.
      whenTold().catch(() => undefined)

      await inLanes(kinds, LANES, async ([kind, paths]) => {
        if (isHurried || ctx.signal.aborted || paths.length < 2) return
        const description = `${paths.length} × ${kind === '' ? 'no ending' : kind}`
        const child = await ctx.spawn(compareTool, { paths }, { description })
        comparing.add(child)
        const { status, partial } = await child.wait({ waitMs: Infinity })
        comparing.delete(child)
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
