import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allCases } from '../benchmarks/cases/index.ts'
import { GATE_CASES } from '../benchmarks/cases/gate-cases.ts'
import { renderBlocks } from '../benchmarks/page/blocks.ts'
import { renderCharts } from '../benchmarks/page/charts.ts'
import { CHARTS, fillPage, PAGE } from '../benchmarks/page/write-page.ts'
import { judge } from '../benchmarks/runner/judge.ts'
import { readResults } from '../benchmarks/runner/results.ts'
import { median, quantile, toSpread } from '../benchmarks/statistics.ts'

// `npm run bench:render` writes the page and its charts from the results that are kept; a difference fails here.

const page = readFileSync(PAGE, 'utf8')

test('docs/benchmarks.md shows what the results give', () => {
  expect(fillPage(page, renderBlocks(readResults()))).toBe(page)
})

test('docs/pictures/benchmarks holds the charts that the results give and nothing else', async () => {
  const charts = Object.entries(await renderCharts(readResults()))
  expect(charts.length).toBeGreaterThan(0)
  expect(readdirSync(CHARTS).sort()).toEqual(charts.map(([name]) => name).sort())
  for (const [name, svg] of charts) expect(readFileSync(join(CHARTS, name), 'utf8'), name).toBe(svg)
})

test('the results are of one run, which measured every case', () => {
  const results = readResults()
  const [first] = results
  for (const { run } of results) expect(run).toEqual(first?.run)
  const measured = results.flatMap(({ cases }) => cases.map(({ name }) => name)).sort()
  expect(measured).toEqual(
    allCases(first?.run.effort ?? { isQuick: false, isLong: false })
      .map(({ name }) => name)
      .sort(),
  )
  for (const one of results.flatMap(({ cases }) => cases)) {
    expect(one.processes.length, one.name).toBeGreaterThan(0)
    for (const { rows } of one.processes) expect(rows.length, one.name).toBeGreaterThan(0)
  }
})

test('a page without a block that there is, or with one that there is not, is refused', () => {
  const block = '<!-- results: calls -->\nold\n<!-- end of results -->'
  expect(fillPage(`before\n${block}\nafter`, { calls: 'new' })).toBe(
    'before\n<!-- results: calls -->\n\nnew\n\n<!-- end of results -->\nafter',
  )
  expect(() => fillPage(block, {})).toThrow('there are no results called calls')
  expect(() => fillPage(block, { calls: 'new', trees: 'new' })).toThrow('the page does not show trees')
})

test('every gate is a ratio, and leaves room above its goal', () => {
  expect(GATE_CASES.length).toBeGreaterThan(0)
  for (const { name, unit, goal = 0, gate = 0 } of GATE_CASES) {
    expect(unit, name).toBe('×')
    expect(gate, name).toBeGreaterThan(goal * 1.2)
  }
})

test('a figure that is missing or no number misses its gate', () => {
  const one = { name: 'n', section: 'calls', file: '', arguments: [], value: 'ratio', unit: '×', gate: 2 } as const
  const processOf = (figures: Record<string, number[]>) => ({ load: 0, rows: [{ name: '', figures }] })
  expect(judge(one, [processOf({})]).word).toBe('MISSED')
  expect(judge(one, [processOf({ ratio: [Number.NaN] })]).isMissed).toBe(true)
  expect(judge(one, [processOf({ ratio: [2.1] })]).isMissed).toBe(true)
  expect(judge(one, [processOf({ ratio: [1, 9, 1] })]).word).toBe('met')
  expect(judge({ ...one, goal: 1.5 }, [processOf({ ratio: [1.8] })]).word).toBe('over, within the gate')
})

test('the middle of several processes is the median of their medians, its spread is over all rounds', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(quantile([0, 10], 0.25)).toBe(2.5)
  expect(toSpread([[1, 1, 1, 1, 1], [5], [7, 8, 9]])).toEqual({ middle: 5, low: 1, high: 7 })
})
