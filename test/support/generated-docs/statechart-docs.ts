/** `docs/statecharts.md` and the drawings beside it, made from the charts themselves. */
import type { AnyStateMachine } from 'xstate'
import { deliveryMachine } from '../../../machines/delivery.machine.ts'
import { supervisorMachine } from '../../../machines/supervisor.machine.ts'
import { taskMachine } from '../../../machines/task.machine.ts'
import { findParallelState, toFinals, toRegions, type Region, type Step } from './chart-steps.ts'
import { drawMermaid } from './draw-mermaid.ts'

const CHARTS: readonly { readonly title: string; readonly file: string; readonly machine: AnyStateMachine }[] = [
  { title: 'The task', file: 'machines/task.machine.ts', machine: taskMachine },
  { title: 'A delivery', file: 'machines/delivery.machine.ts', machine: deliveryMachine },
  { title: 'The supervisor', file: 'machines/supervisor.machine.ts', machine: supervisorMachine },
]

/** The page. */
export function renderStatechartsPage(): string {
  const sections = CHARTS.map(({ title, file, machine }) => {
    const parallel = findParallelState(machine)
    const regions = toRegions(machine)
    const overview = parallel === undefined ? [] : [overviewOf(machine, parallel.key, regions)]
    return [
      `## ${title}`,
      `From [\`${file}\`](../${file}), where each state says what may be assumed in it.`,
      ...overview,
      ...regions.map((region) => renderRegion(machine, region)),
    ].join('\n\n')
  })
  return `${['# Statecharts', 'Generated from the charts by `npm run docs`; a test compares.', ...sections].join('\n\n')}\n`
}

/** The drawings, by file name. */
export function renderStatechartDrawings(): Readonly<Record<string, string>> {
  const drawings: Record<string, string> = {}
  for (const { machine } of CHARTS) {
    for (const region of toRegions(machine)) {
      drawings[drawingOf(machine, region)] = drawMermaid(toMermaid(region))
    }
  }
  return drawings
}

function overviewOf(machine: AnyStateMachine, parallel: string, regions: readonly Region[]): string {
  const names = regions.map(({ name }) => `\`${name}\``).join(' and ')
  return [
    `While \`${parallel}\`, the chart is in ${names} at once. The finals stand above both regions.`,
    fence(toOverview(machine, parallel, regions)),
  ].join('\n\n')
}

function renderRegion(machine: AnyStateMachine, region: Region): string {
  const drawing = drawingOf(machine, region)
  const rows = groupSteps(region.steps).map(
    ({ from, events, to }) => `| \`${from}\` | ${events.map((event) => `\`${event}\``).join(' ')} | \`${to}\` |`,
  )
  return [
    ...(region.name === machine.root.key ? [] : [`### \`${region.name}\``]),
    `![${machine.id} ${region.name}](statecharts/${drawing})`,
    fence(toMermaid(region)),
    ['| in | on | goes to |', '| --- | --- | --- |', ...rows].join('\n'),
    `Starts in \`${region.initial}\`. Every other event is ignored.`,
  ].join('\n\n')
}

/** One region with the finals it reaches, flat. */
function toMermaid(region: Region): string {
  return [
    'stateDiagram-v2',
    `  [*] --> ${region.initial}`,
    ...groupSteps(region.steps).map(({ from, events, to }) => `  ${from} --> ${to} : ${events.join(' / ')}`),
    ...region.finals.map((key) => `  ${key} --> [*]`),
  ].join('\n')
}

/** The regions side by side, and the finals they end in. */
function toOverview(machine: AnyStateMachine, parallel: string, regions: readonly Region[]): string {
  const finals = toFinals(machine)
  const inside = regions.map((region) => {
    const states = groupSteps(region.steps)
      .filter(({ from, to }) => region.states.includes(to) && from !== to)
      .map(({ from, to }) => `    ${from} --> ${to}`)
    return [`    [*] --> ${region.initial}`, ...states].join('\n')
  })
  return [
    'stateDiagram-v2',
    `  [*] --> ${parallel}`,
    `  state ${parallel} {`,
    inside.join('\n    --\n'),
    '  }',
    ...finals.flatMap((key) => [`  ${parallel} --> ${key}`, `  ${key} --> [*]`]),
  ].join('\n')
}

/** Steps between the same two states become one arrow. */
function groupSteps(steps: readonly Step[]): { from: string; events: string[]; to: string }[] {
  const arrows = new Map<string, { from: string; events: string[]; to: string }>()
  for (const { from, event, to } of steps) {
    const arrow = arrows.get(`${from} ${to}`) ?? { from, events: [], to }
    arrow.events.push(event)
    arrows.set(`${from} ${to}`, arrow)
  }
  return [...arrows.values()]
}

function drawingOf(machine: AnyStateMachine, region: Region): string {
  return region.name === machine.root.key ? `${machine.id}.svg` : `${machine.id}-${region.name}.svg`
}

function fence(mermaid: string): string {
  return `\`\`\`mermaid\n${mermaid}\n\`\`\``
}
