/** The end of a survey in words. */
import type { Ending, SurveyRun } from './host.ts'
import { bytesText, countText, msText, plainText } from './texts.ts'
import { packedShare, type FileFacts } from './totals.ts'

const LISTED = 5

export interface SummaryLine {
  readonly title: string
  readonly text: string
}

export function toSummary(ending: Ending, { log }: Pick<SurveyRun, 'log'>): SummaryLine[] {
  const { record, report } = ending
  const { counts } = log
  const lines: SummaryLine[] = []
  const add = (title: string, text: string): void => void lines.push({ title, text: plainText(text) })

  add('survey', `${outcomeOf(ending)} after ${msText((record.endedAt ?? record.createdAt) - record.createdAt)}`)
  if (report !== undefined) {
    const { totals, similar } = report
    const size = [bytesText(totals.bytes), countText(totals.lines, 'line'), countText(totals.words, 'word')]
    add('found', `${countText(totals.files, 'file')} in ${countText(totals.folders, 'subfolder')}, ${size.join(', ')}`)
    if (totals.unreadable > 0) add('unreadable', String(totals.unreadable))
    addFiles('largest', totals.largest, ({ bytes, sha256 }) => `${bytesText(bytes)} ${sha256?.slice(0, 12) ?? ''}`)
    addFiles('packs best', totals.mostCompressible, (file) => `to ${(packedShare(file) * 100).toFixed(1)} %`)
    addFiles('most hits', totals.mostHits, ({ hits = 0 }) => countText(hits, 'hit'))
    add('hits', `${totals.hits.toLocaleString('en')} in all`)
    for (const { paths, similarity } of (similar ?? []).slice(0, LISTED)) {
      add('similar', `${(similarity * 100).toFixed(0)} %  ${paths.join('  ')}`)
    }
  }
  add('calls', `${counts.inline.toLocaleString('en')} answered inline, ${countText(counts.tickets, 'ticket')}`)
  if (counts.mostQueued > 0) add('queue', `up to ${countText(counts.mostQueued, 'task')} waited for their turn`)
  if (counts.retries > 0)
    add(
      'retries',
      `${countText(counts.retries, 'attempt')} failed and ${counts.retries === 1 ? 'was' : 'were'} followed by another`,
    )
  add('tasks', `${countText(counts.agents, 'sub-agent')}, ${counts.cancelled} cancelled, ${counts.failed} failed`)
  add('tokens', `about ${counts.tokens.toLocaleString('en')}, should a model read it all`)
  for (const tree of counts.cancelledTrees) add('cancelled', tree)
  add('report', deliveryText(ending))
  return lines

  function addFiles(title: string, files: readonly FileFacts[], detail: (file: FileFacts) => string): void {
    for (const file of files.slice(0, LISTED)) add(title, `${detail(file).trim()}  ${file.path}`)
  }
}

/** Aligned, with each title once. */
export function formatSummary(lines: readonly SummaryLine[]): string {
  const width = Math.max(...lines.map(({ title }) => title.length))
  const rows = lines.map(({ title, text }, index) => {
    const shown = lines[index - 1]?.title === title ? '' : title
    return `${shown.padEnd(width)}  ${text}`
  })
  return `${rows.join('\n')}\n`
}

/** 0 when the survey ended as it should and its report arrived; the signal's own code is up to the caller. */
export function exitCodeOf({ record, delivery }: Ending): 0 | 1 {
  return record.status !== 'failed' && delivery?.state === 'delivered' ? 0 : 1
}

function outcomeOf({ record, report }: Ending): string {
  if (record.status === 'failed') return `failed (${record.failure?.message ?? ''})`
  if (record.status === 'cancelled') return 'cancelled'
  return report?.totals.isComplete === true ? 'completed' : 'ended early'
}

function deliveryText({ delivery, reportPath }: Ending): string {
  if (delivery?.state === 'delivered') return `delivered to ${reportPath}`
  return `not delivered to ${reportPath}: ${delivery?.failure?.message ?? 'nobody asked for it'}`
}
