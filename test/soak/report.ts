/** What a soak has shown, as Markdown. */
import type { Growth } from './growth.ts'
import type { SoakReport } from './soak.ts'

const SHOWN_BREACHES = 20

export function toMarkdown(report: SoakReport): string {
  const { breaches, byStatus, deliveries, faults, refusals, workers } = report
  const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none'
  const shown = breaches.slice(0, SHOWN_BREACHES).map((breach) => `- ${breach}`)
  return [
    `# Soak of ${seconds(report.ranMs)}, seed ${report.seed}: ${breaches.length === 0 ? 'sound' : `${breaches.length} breaches`}`,
    '',
    ...(shown.length === 0 ? [] : [...shown, '']),
    `- ${report.tasks} tasks (${list(byStatus)}), ${report.events} events, ${report.facts} facts`,
    `- faults: ${list(faults)}`,
    `- ${report.calls} calls; refused: ${list(refusals)}`,
    `- results: ${list(deliveries)}`,
    `- at rest ${seconds(report.restedAfterMs)} after the last call`,
    '',
    '| worker | lived | what | first → last | a minute |',
    '| --- | --- | --- | --- | --- |',
    ...workers.flatMap(({ name, livedMs, growth }) =>
      Object.entries(growth).map(([what, series]) => {
        const unit = what === 'heap' ? 1_024 : 1
        const shown = what === 'heap' ? 'heap, KiB' : what
        return `| ${[name, seconds(livedMs), shown, range(series, unit), slope(series, unit)].join(' | ')} |`
      }),
    ),
    '',
    ...workers.map(({ name, counters }) => `- ${name}: ${list(counters)}`),
    '',
  ].join('\n')
}

function range({ first, last }: Growth, unit: number): string {
  return `${Math.round(first / unit)} → ${Math.round(last / unit)}`
}

function slope({ perMinute, uncertainty, verdict }: Growth, unit: number): string {
  if (verdict === 'unknown') return 'too short'
  return `${(perMinute / unit).toFixed(2)} ± ${(uncertainty / unit).toFixed(2)}, ${verdict}`
}
