/** What a survey finds: of one file, and summed over a folder and everything below it. Plain JSON, so it can be a result. */

export interface FileFacts {
  readonly path: string
  readonly bytes: number
  lines?: number
  words?: number
  sha256?: string
  packedBytes?: number
  hits?: number
}

/** What one tool says of a file. */
export type Finding = Omit<FileFacts, 'path' | 'bytes'>

export interface Totals {
  files: number
  /** Subfolders at any depth. */
  folders: number
  bytes: number
  lines: number
  words: number
  hits: number
  largest: FileFacts[]
  mostCompressible: FileFacts[]
  mostHits: FileFacts[]
  /** What could not be read, or failed in a tool. */
  unreadable: number
  /** Folders whose sub-agent was cancelled. What they had found so far is not in the totals. */
  cancelled: string[]
  /** False when the survey was ended early. */
  isComplete: boolean
}

const LISTED = 5

export function createTotals(): Totals {
  return {
    files: 0,
    folders: 0,
    bytes: 0,
    lines: 0,
    words: 0,
    hits: 0,
    largest: [],
    mostCompressible: [],
    mostHits: [],
    unreadable: 0,
    cancelled: [],
    isComplete: true,
  }
}

export function addFile(totals: Totals, file: FileFacts): void {
  totals.files += 1
  totals.bytes += file.bytes
  totals.lines += file.lines ?? 0
  totals.words += file.words ?? 0
  totals.hits += file.hits ?? 0
  keepBest(totals, {
    largest: [file],
    mostCompressible: file.packedBytes === undefined ? [] : [file],
    mostHits: [file],
  })
}

/** Adds what a subfolder found, and the subfolder itself. */
export function addFolder(totals: Totals, below: Totals): void {
  for (const key of ['files', 'bytes', 'lines', 'words', 'hits', 'unreadable'] as const) totals[key] += below[key]
  totals.folders += 1 + below.folders
  totals.cancelled.push(...below.cancelled)
  totals.isComplete &&= below.isComplete
  keepBest(totals, below)
}

/** What is left of a file after compression, from 0 to 1. */
export function packedShare({ bytes, packedBytes }: FileFacts): number {
  return packedBytes === undefined || bytes === 0 ? 1 : packedBytes / bytes
}

function keepBest(totals: Totals, more: Pick<Totals, 'largest' | 'mostCompressible' | 'mostHits'>): void {
  totals.largest = best([...totals.largest, ...more.largest], ({ bytes }) => bytes)
  totals.mostCompressible = best(
    [...totals.mostCompressible, ...more.mostCompressible],
    (file) => 1 - packedShare(file),
  )
  totals.mostHits = best([...totals.mostHits, ...more.mostHits], ({ hits }) => hits ?? 0)
}

function best(files: readonly FileFacts[], score: (file: FileFacts) => number): FileFacts[] {
  const listed = files.filter((file) => score(file) > 0)
  return listed.sort((a, b) => score(b) - score(a) || (a.path < b.path ? -1 : 1)).slice(0, LISTED)
}
