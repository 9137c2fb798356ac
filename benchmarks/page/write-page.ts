/**
 * docs/benchmarks.md and its charts. What people wrote stays; what stands between `<!-- results: NAME -->` and
 * `<!-- end of results -->` comes from `benchmarks/results` alone.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../root.ts'
import { readResults } from '../runner/results.ts'
import { renderBlocks, type Blocks } from './blocks.ts'
import { renderCharts } from './charts.ts'

export const PAGE = join(ROOT, 'docs/benchmarks.md')
export const CHARTS = join(ROOT, 'docs/pictures/benchmarks')

const BLOCK = /<!-- results: ([\w-]+) -->\n[\s\S]*?<!-- end of results -->/g

/** @throws when the page names a block that there is none of, or lacks one that there is */
export function fillPage(page: string, blocks: Blocks): string {
  const left = new Set(Object.keys(blocks))
  const filled = page.replaceAll(BLOCK, (_all, name: string) => {
    const block = blocks[name]
    if (block === undefined) throw new Error(`there are no results called ${name}`)
    left.delete(name)
    return `<!-- results: ${name} -->\n\n${block}\n\n<!-- end of results -->`
  })
  if (left.size > 0) throw new Error(`the page does not show ${[...left].join(', ')}`)
  return filled
}

/** Writes both anew from the results that are kept. */
export async function render(): Promise<void> {
  const results = readResults()
  writeFileSync(PAGE, fillPage(readFileSync(PAGE, 'utf8'), renderBlocks(results)))
  const charts = await renderCharts(results)
  rmSync(CHARTS, { recursive: true, force: true })
  mkdirSync(CHARTS, { recursive: true })
  for (const [name, svg] of Object.entries(charts)) writeFileSync(join(CHARTS, name), svg)
}
