/**
 * Trees that are stopped at their root, by everyone who has trees: wide, a chain, and ten children each. Each tree has a process
 * of its own. A tree that did not stop as a whole is no figure but a note, and so is one that took too long.
 */
import { readArguments, reportRows, type Figures, type Row } from './reporting.ts'
import type { ShapeName } from './sides/orders.ts'
import { factsOf, startSide, type SideName } from './sides/start-side.ts'

const { rounds = '3', limit = '10', sizes = '10000,100000' } = readArguments()

const NAMES: readonly SideName[] = ['outlive', 'abortCascade', 'effectFork', 'effection', 'xstateSupervisor']
const SHAPES: readonly ShapeName[] = ['wide', 'deep', 'tenAry']

async function measure(name: SideName): Promise<Row> {
  const figures: Record<string, readonly number[]> = {}
  const notes: Record<string, string> = {}
  for (const shape of SHAPES) {
    for (const count of sizes.split(',').map(Number)) {
      const { taken, note } = await stopTrees(name, shape, count)
      Object.assign(figures, taken)
      if (note === undefined) continue
      notes[`${shape} ${count} ms`] = note
      // What fails at 10,000 is not tried with more.
      break
    }
  }
  const { title, treeTitle = title } = factsOf(name)
  return { name: treeTitle, figures, notes }
}

async function stopTrees(
  name: SideName,
  shape: ShapeName,
  count: number,
): Promise<{ readonly taken: Figures; readonly note?: string }> {
  const ms: number[] = []
  const buildMs: number[] = []
  for (let round = 0; round < (count > 10_000 ? 1 : Number(rounds)); round += 1) {
    const side = startSide(name)
    try {
      const tree = await side.ask({ kind: 'tree', shape, count }, Number(limit) * 1_000)
      if (tree.stopped !== count + 1) return { taken: {}, note: `wrong: ${tree.stopped} of ${count + 1} stopped` }
      ms.push(tree.cancelMs)
      buildMs.push(tree.buildMs)
    } catch (error) {
      return { taken: {}, note: error instanceof Error ? error.message : String(error) }
    } finally {
      side.close()
    }
  }
  return { taken: { [`${shape} ${count} ms`]: ms, [`${shape} ${count} buildMs`]: buildMs } }
}

const rows: Row[] = []
for (const name of NAMES) rows.push(await measure(name))
reportRows(rows)
