/** The survey as plain lines, for pipes, logs and CI: what a person wants to know, and not a line per call. */
import type { SurveyRun } from '../host.ts'
import type { Fact } from '../facts.ts'

/** How many lines of a kind are written; what is missing here is written always. */
const MAX_LINES: Readonly<Partial<Record<Fact['kind'], number>>> = { folder: 30, ticket: 6, collected: 6, failed: 20 }
const MAX_FOLDER_DEPTH = 2

export function startPlainView(run: SurveyRun, write: (text: string) => void): () => void {
  const counts = new Map<Fact['kind'], number>()
  return run.log.onFact(({ kind, text, depth }) => {
    if (kind === 'folder' && depth > MAX_FOLDER_DEPTH) return
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    const maxLines = MAX_LINES[kind] ?? Infinity
    if (count > maxLines + 1) return
    const seconds = ((Date.now() - run.startedAt) / 1_000).toFixed(1).padStart(6)
    const shown = count > maxLines ? '(more of these are only counted)' : text
    write(`${seconds} s  ${kind.padEnd(10)}  ${shown}\n`)
  })
}
