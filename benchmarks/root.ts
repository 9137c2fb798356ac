/** Where the repository begins: the cases run from `dist`, and what they read and write is beside it. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const above = dirname(folder)
  if (above === folder) throw new Error('there is no package.json above the benchmarks')
  return findRoot(above)
}

export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)))
