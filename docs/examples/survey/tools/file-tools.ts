/** The tools that run on each file, by name. */
import { createCompressTool } from './compress.ts'
import { countTool } from './count.ts'
import { digestTool } from './digest.ts'
import type { FileTool } from './file-tool.ts'
import { createSearchTool } from './search.ts'

export const FILE_TOOL_NAMES = ['count', 'digest', 'compress', 'search'] as const
export type FileToolName = (typeof FILE_TOOL_NAMES)[number]

/** Below this size a compressed file says more about gzip's header than about the file. */
const LEAST_COMPRESSED_BYTES = 4_096

/** Picks the tools for a file by its size. */
export type PickTools = (bytes: number) => readonly FileTool[]

export function createFileTools(options: {
  readonly names: readonly FileToolName[]
  readonly search: string
  readonly flaky: number
}): PickTools {
  const compress = createCompressTool(options.flaky)
  const tools = { count: countTool, digest: digestTool, compress, search: createSearchTool(options.search) }
  const picked = [...new Set(options.names)].map((name) => tools[name])
  const forSmall = picked.filter((tool) => tool !== compress)
  return (bytes) => (bytes < LEAST_COMPRESSED_BYTES ? forSmall : picked)
}
