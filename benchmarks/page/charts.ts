/** The charts beside docs/benchmarks.md, drawn by vega without a browser. */
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { allCases } from '../cases/index.ts'
import type { SectionResult } from '../runner/results.ts'
import { plain, processesOf, toPoints, type Point } from './chart-points.ts'

/** The drawings, by file name. */
export async function renderCharts(results: readonly SectionResult[]): Promise<Readonly<Record<string, string>>> {
  const drawings: Record<string, string> = {}
  for (const [name, spec] of Object.entries(toSpecs(results))) {
    const view = new View(parse(compile(spec).spec), { renderer: 'none' })
    drawings[`${name}.svg`] = `${await view.toSVG()}\n`
    view.finalize()
  }
  return drawings
}

function toSpecs(results: readonly SectionResult[]): Readonly<Record<string, TopLevelSpec>> {
  const of = (name: string) => processesOf(results, name)
  const effort = results[0]?.run.effort ?? { isQuick: false, isLong: false }
  return {
    calls: dots(
      'A quick call',
      'µs per call, logarithmic; the bar is the middle half of the rounds',
      toPoints(of('calls, everyone'), [
        { figure: 'now one us', kind: 'one by one' },
        { figure: 'now batch us', kind: 'batches of 1,000' },
      ]),
    ),
    'live-bytes': dots(
      'What a live task holds',
      'bytes of heap, logarithmic',
      toPoints(of('live, everyone'), [{ figure: 'bytes', kind: 'a live task' }]),
    ),
    'live-growth': lines(
      'A quick call while others live',
      'live tasks, logarithmic (0 is drawn at 100)',
      'µs per call, logarithmic',
      toPoints(
        of('live, everyone'),
        [0, 1_000, 10_000, 100_000, 200_000].map((level) => ({
          figure: `at ${level} us`,
          kind: '',
          at: level === 0 ? 100 : level,
        })),
      ),
    ),
    'fan-out': lines(
      'An event that many hear',
      'watchers, logarithmic',
      'µs per event, logarithmic',
      of('fan-out').length === 0 ? [] : fanOutPoints(of('fan-out')),
    ),
    trees: dots(
      'Stopping 10,000 descendants',
      'ms, logarithmic; what stopped too few or took too long is not drawn',
      toPoints(of('trees, everyone'), [
        { figure: 'wide 10000 ms', kind: 'wide' },
        { figure: 'deep 10000 ms', kind: 'a chain' },
        { figure: 'tenAry 10000 ms', kind: '10-ary' },
      ]),
    ),
    loop: dots(
      'The delay of the event loop',
      'ms, logarithmic',
      allCases(effort)
        .filter(({ section }) => section === 'loop')
        .flatMap(({ name }) =>
          toPoints(of(name), [
            { figure: 'p50Ms', kind: 'median' },
            { figure: 'p99Ms', kind: '99th percentile' },
            { figure: 'maxMs', kind: 'longest' },
          ]).map((point) => ({ ...point, side: plain(name) })),
        ),
    ),
  }
}

function fanOutPoints(processes: Parameters<typeof toPoints>[0]): Point[] {
  const points = toPoints(processes, [
    { figure: 'us', kind: 'outlive' },
    { figure: 'emitterUs', kind: 'EventEmitter' },
  ])
  return points.map((point) => {
    const [scope = '', watchers = ''] = point.side.split(' ')
    const what = scope === 'task' ? 'one task' : 'all tasks'
    return { ...point, side: `${point.kind}, watchers of ${what}`, at: Number(watchers) }
  })
}

const LOOK = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  background: 'white',
  padding: 12,
  config: { font: 'sans-serif', view: { stroke: 'transparent' } },
} as const

/** A line for each side, its points on it. */
function dots(title: string, axis: string, points: readonly Point[]): TopLevelSpec {
  const x = { type: 'quantitative', scale: { type: 'log' }, title: axis } as const
  const y = { field: 'side', type: 'nominal', sort: null, title: null, axis: { labelLimit: 520 } } as const
  const color = { field: 'kind', type: 'nominal', sort: null, title: null } as const
  return {
    ...LOOK,
    title,
    width: 460,
    height: { step: 22 },
    data: { values: [...points] },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 3, opacity: 0.4 },
        encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color },
      },
      { mark: { type: 'point', filled: true, size: 60 }, encoding: { x: { ...x, field: 'value' }, y, color } },
    ],
  }
}

function lines(title: string, xTitle: string, yTitle: string, points: readonly Point[]): TopLevelSpec {
  return {
    ...LOOK,
    title,
    width: 460,
    height: 320,
    data: { values: [...points] },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'at', type: 'quantitative', scale: { type: 'log' }, title: xTitle },
      y: { field: 'value', type: 'quantitative', scale: { type: 'log' }, title: yTitle },
      color: { field: 'side', type: 'nominal', sort: null, title: null, legend: { labelLimit: 420 } },
    },
  }
}
