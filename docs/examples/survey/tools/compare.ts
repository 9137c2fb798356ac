/**
 * Looks for files that say nearly the same: two files are similar when packing them together takes hardly more than packing
 * one. Every file is compared with every other, so this is slow on purpose, and a good thing to cancel.
 */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip as gzipWithCallback } from 'node:zlib'
import { defineTool, type ToolDefinition } from 'outlive'

export interface SimilarPair {
  readonly similarity: number
  readonly paths: readonly [string, string]
}

const gzip = promisify(gzipWithCallback)
const THOROUGH = { level: 9 }
const LEAST_SIMILARITY = 0.5
const MAX_PAIRS = 100

interface Sample {
  readonly path: string
  readonly content: Buffer
  readonly packedBytes: number
}

export const compareTool: ToolDefinition<{ readonly paths: readonly string[] }, SimilarPair[]> = defineTool({
  name: 'compare',
  async run({ paths }, ctx) {
    const samples: Sample[] = []
    for (const path of paths) {
      const content = await readFile(path).catch(() => undefined)
      if (content !== undefined) samples.push({ path, content, packedBytes: await packedBytes(content) })
    }
    const similar: SimilarPair[] = []
    const total = (samples.length * (samples.length - 1)) / 2
    let done = 0
    for (const [one, other] of pairsOf(samples)) {
      if (ctx.signal.aborted) break
      const together = await packedBytes(Buffer.concat([one.content, other.content]))
      const [less, more] = [one.packedBytes, other.packedBytes].sort((a, b) => a - b) as [number, number]
      const similarity = Math.round((1 - (together - less) / more) * 1_000) / 1_000
      if (similarity >= LEAST_SIMILARITY) similar.push({ similarity, paths: [one.path, other.path] })
      done += 1
      ctx.progress({ done, total })
    }
    // Returned after a stop, this is kept as the task's `partial`.
    return similar.sort((a, b) => b.similarity - a.similarity).slice(0, MAX_PAIRS)
  },
})

async function packedBytes(content: Buffer): Promise<number> {
  return (await gzip(content, THOROUGH)).length
}

function* pairsOf<Item>(items: readonly Item[]): Generator<[Item, Item]> {
  for (const [index, one] of items.entries()) {
    for (const other of items.slice(index + 1)) yield [one, other]
  }
}
