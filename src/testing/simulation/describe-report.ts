/** What a report says to a person: the story as text, as a sequence diagram, and as a test to keep. */
import { checkChoice, checkOptionNames, orDefault } from '../../options.ts'
import type { HistoryFact } from '../check-history.ts'
import type { SimulationStep } from './plan.ts'
import { nameOfBreach, type SimulationReport } from './report.ts'
import type { ScenarioSource, SimulatedCall } from './scenario.ts'

/** The most messages that a diagram shows; what comes before the last of them is left out. */
const MAX_LINES = 120

const DEFAULT_SOURCE: ScenarioSource = { import: "import { scenario } from './scenario.ts'", expression: 'scenario' }

/**
 * Throws when a run is not sound. The message has the seed, what broke, the plan, and both renderings.
 *
 * @throws Error
 */
export function requireSound(report: SimulationReport): void {
  if (report.breaches.length > 0) throw new Error(describeReport(report))
}

/** All that is to be said about a run that is not sound, as text. */
export function describeReport(report: SimulationReport): string {
  const { plan, breaches, drawnSteps } = report
  const broken = breaches.map((breach) => {
    const about = breach.kind === 'scenario' ? '' : `${breach.taskId ?? 'all'}: `
    return `- ${nameOfBreach(breach)}, step ${breach.step}: ${about}${breach.message}`
  })
  const head =
    breaches.length === 0
      ? `Seed ${plan.seed} is sound: ${plan.steps.length} steps, ${plan.nodes} processes.`
      : `Seed ${plan.seed} breaks, with ${plan.steps.length} of ${drawnSteps} steps, ${plan.nodes} processes:`
  return [
    head,
    ...broken,
    '',
    ...plan.steps.map((step, index) => `${index}. ${textOfStep(step)}`),
    '',
    '```mermaid',
    toSequenceDiagram(report),
    '```',
    '',
    '```ts',
    toTestFile(report),
    '```',
  ].join('\n')
}

/** The run as a Mermaid sequence diagram: what was done, and what everybody was told. */
export function toSequenceDiagram({ plan, history, breaches }: SimulationReport): string {
  const lines: string[] = []
  const byStep = new Map<number, HistoryFact[]>()
  for (const { step, fact } of history) {
    // That all slots are free is no part of a story.
    if (fact.type !== 'tried' || fact.begun < fact.calls) byStep.set(step, [...(byStep.get(step) ?? []), fact])
  }
  for (const [index, step] of plan.steps.entries()) {
    lines.push(lineOfStep(step, index), ...(byStep.get(index) ?? []).map(lineOfFact))
  }
  lines.push('Note over caller,store: nothing goes wrong any more')
  lines.push(...(byStep.get(plan.steps.length) ?? []).map(lineOfFact))
  for (const breach of breaches)
    lines.push(`Note over caller,store: ${safe(`${nameOfBreach(breach)}: ${breach.message}`)}`)
  const processes = Array.from({ length: plan.nodes }, (_, index) => `participant n${index + 1}`)
  const mail = history.some(({ fact }) => fact.type === 'sent') ? ['participant mail'] : []
  const shown = lines.length > MAX_LINES ? ['Note over caller,store: …', ...lines.slice(-MAX_LINES)] : lines
  return ['sequenceDiagram', 'participant caller', ...processes, 'participant store', ...mail, ...shown]
    .map((line, index) => (index === 0 ? line : `  ${line}`))
    .join('\n')
}

/** How a test file that `toTestFile` writes is run. */
export interface TestFileOptions {
  /** What the file imports `test` from: `node --test` runs the one, vitest the other. @defaultValue `'node:test'` */
  readonly runner?: 'node:test' | 'vitest'
}

/**
 * The plan as a test file, with the scenario from where its `source` says. As long as what it found is there, the test fails with the same story; then it stays.
 *
 * @throws TypeError naming the option and the value it got
 * @example
 * ```ts
 * import { simulate, taskTrees, toTestFile } from 'outlive/testing'
 *
 * const report = await simulate(taskTrees(), { seed: 7, steps: 20 })
 * console.log(toTestFile(report, { runner: 'vitest' }).split('\n')[0]) // import { test } from 'vitest'
 * ```
 */
export function toTestFile(report: SimulationReport, options: TestFileOptions = {}): string {
  const { plan, breaches, source = DEFAULT_SOURCE } = report
  checkOptionNames('options', options, ['runner'])
  const runner = checkChoice('runner', orDefault(options.runner, 'node:test'), ['node:test', 'vitest'])
  const [first] = breaches
  const title = first === undefined ? `seed ${plan.seed}` : `seed ${plan.seed}: ${nameOfBreach(first)}`
  return [
    `import { test } from '${runner}'`,
    "import { replayPlan, requireSound } from 'outlive/testing'",
    source.import,
    '',
    `test(${JSON.stringify(title)}, async () => {`,
    `  const report = await replayPlan(${source.expression}, {`,
    `    seed: ${plan.seed},`,
    `    nodes: ${plan.nodes},`,
    '    steps: [',
    ...plan.steps.map((step) => `      ${JSON.stringify(step)},`),
    '    ],',
    '  })',
    '  requireSound(report)',
    '})',
  ].join('\n')
}

function lineOfStep(step: SimulationStep, index: number): string {
  const text = safe(`${index}. ${textOfStep(step)}`)
  if (step.do === 'pass' || step.do === 'channelFault') return `Note over caller,store: ${text}`
  const process = `n${step.node + 1}`
  switch (step.do) {
    case 'crash':
    case 'restart':
    case 'stop':
    case 'pause':
    case 'resume':
    case 'cut':
    case 'mend':
    case 'storeFault':
    case 'jump':
      return `Note over ${process}: ${text}`
    case 'spawn':
    case 'run':
    case 'spawnBelow':
    case 'runBelow':
    case 'redirectEnded':
    case 'cancel':
    case 'answer':
    case 'send':
    case 'redirect':
    case 'background':
    case 'attach':
    case 'wait':
    case 'look':
    case 'cancelAll':
    case 'peek':
    case 'follow':
      return `caller->>${process}: ${text}`
  }
}

function textOfStep(step: SimulationStep): string {
  switch (step.do) {
    case 'pass':
      return `${step.ms} ms pass`
    case 'spawn':
    case 'run':
      return `${step.owner} ${step.do}s ${textOfCall(step.call)}`
    case 'spawnBelow':
      return `below task ${step.task} from the youngest: spawns ${textOfCall(step.call)}`
    case 'runBelow':
      return `below task ${step.task} from the youngest: runs ${textOfCall(step.call)}`
    case 'redirectEnded':
      return `redirect to box ${step.box}${step.again ? ' again' : ''}, ended task ${step.task} from the youngest`
    case 'cancelAll':
      return `${step.owner} cancels all`
    case 'crash':
      return step.atCall === 0 ? 'crash' : `crash at store call ${step.atCall}, ${step.isDone ? 'done' : 'not done'}`
    case 'storeFault':
      return `the next ${step.calls} store calls: ${step.fault}`
    case 'channelFault':
      return `the next ${step.sends} messages: ${step.fault}`
    case 'jump':
      return `the wall clock jumps by ${step.ms} ms`
    case 'follow':
      return `consumer ${step.consumer + 1} follows`
    case 'cut':
      return 'cut off from the store'
    case 'mend':
      return 'reaches the store again'
    case 'restart':
    case 'stop':
    case 'pause':
    case 'resume':
      return step.do
    case 'peek':
    case 'cancel':
    case 'answer':
    case 'send':
    case 'redirect':
    case 'background':
    case 'attach':
    case 'wait':
    case 'look':
      return `${step.do}, task ${step.task} from the youngest`
  }
}

function textOfCall({ tool, input, options = {} }: SimulatedCall): string {
  const given = [input, ...(Object.keys(options).length === 0 ? [] : [options])]
  return `${tool}(${given.map((value) => JSON.stringify(value)).join(', ')})`
}

function lineOfFact(fact: HistoryFact): string {
  switch (fact.type) {
    case 'committed':
      return `Note right of store: ${safe(`${fact.event.taskId} ${fact.event.seq} ${fact.event.type}`)}`
    case 'acknowledged':
      return `Note left of caller: ${safe(`${fact.taskId} has started`)}`
    case 'told':
      return `Note left of caller: ${safe(`${fact.taskId} is ${fact.status}`)}`
    case 'seen':
      return `Note left of caller: ${safe(`${fact.consumer} reads ${'seq' in fact.item ? `${fact.item.taskId} ${fact.item.seq} ` : ''}${fact.item.type}`)}`
    case 'peeked':
      return `Note left of caller: ${safe(`a stranger tries ${fact.verb} on ${fact.taskId}: ${fact.found ? 'found' : 'not found'}`)}`
    case 'sent':
      return `store->>mail: ${safe(`${fact.deliveryId}${fact.parts === undefined ? '' : ` ${fact.part}/${fact.parts}`}${fact.isAccepted ? '' : ', refused'}`)}`
    case 'tried':
      return `Note left of caller: ${safe(`${fact.begun} of ${fact.calls} new calls have begun on ${fact.process}`)}`
    case 'delivery':
      return `Note right of store: ${safe(`${fact.deliveryId} is ${fact.state}`)}`
    case 'effect':
      return `Note over ${fact.process}: ${safe(`${fact.name} ${fact.data === undefined ? '' : JSON.stringify(fact.data)}`)}`
    case 'stuck':
    case 'kept':
      return `Note right of store: ${safe(`${fact.taskId} is ${fact.status}`)}`
    case 'counted':
      return `Note right of store: ${safe(JSON.stringify(fact.byStatus))}`
  }
}

/** What ends a statement in Mermaid, or begins another one. */
function safe(text: string): string {
  return text.replaceAll(/[;#\n`]/g, ' ').slice(0, 160)
}
